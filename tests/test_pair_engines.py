"""Two images in one request, through the local engines, on tiny checkpoints."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from blpo.models.engine import Reply, Request
from blpo.models.engines.checkpoint import load_processor, locate
from blpo.models.engines.settings import EngineSettings
from blpo.models.engines.transformers import TransformersEngine
from blpo.models.engines.vllm.engine import VllmEngine
from blpo.models.requests.layout import make_layout
from test_engines import SIZES, TOLERANCE, largest_difference, logprobs_of, picture, transformers_on
from tiny_models import build_tiny_llama4

LABELS = ("A", "B")


def ask(prompt: str, first: int, second: int, text: str | None = None) -> Request:
    images = [picture(seed, SIZES[seed % len(SIZES)]) for seed in (first, second)]
    return Request(prompt, images[0], text, LABELS, further_images=(images[1],))


def difference(one: Reply, two: Reply) -> float:
    return abs(logprobs_of(one)["A"] - logprobs_of(two)["A"])


@pytest.fixture(scope="module")
def pair_engine(tiny_qwen: Path) -> Iterator[VllmEngine]:
    settings = EngineSettings(kind="vllm", model=str(tiny_qwen), kv_cache_gib=0.25)
    engine = VllmEngine(settings.taking(2))
    yield engine
    engine.close()


@pytest.mark.engine
def test_vllm_and_transformers_agree_on_pairs_and_both_images_and_their_order_count(
    pair_engine: VllmEngine, tiny_qwen: Path
) -> None:
    requests = [
        ask("Which is better?", 1, 2),
        ask("Which is better?", 2, 1),
        ask("Which is better?", 1, 3),
        ask("Which is better?", 4, 2),
        ask("Which fits?", 3, 4, text="a red square"),
        Request("Is it safe?", picture(1, SIZES[1]), labels=LABELS),
    ]
    replies = pair_engine.ask(requests)
    expected = transformers_on(tiny_qwen).ask(requests)
    assert largest_difference(replies, expected) < TOLERANCE
    assert [r.prompt_tokens for r in replies] == [r.prompt_tokens for r in expected]
    assert all(difference(replies[0], other) > TOLERANCE for other in replies[1:4])


@pytest.mark.engine
def test_a_later_prompt_reuses_both_images_of_a_pair_and_sends_no_pixels(
    pair_engine: VllmEngine, tiny_qwen: Path
) -> None:
    pairs = [(10 + i, 20 + i) for i in range(6)]
    pair_engine.ask([ask("First prompt.", *pair) for pair in pairs])
    num_sent = pair_engine.num_pixels_sent
    replies = pair_engine.ask([ask("And a second.", *pair) for pair in pairs])
    processor = load_processor(locate(EngineSettings(model=str(tiny_qwen))))
    layout = make_layout(processor, 32)
    num_after = len(layout.token_ids("And a second.", num_images=2, text=None))
    num_after -= len(layout.prefix(2))
    assert all(r.cached_tokens >= r.prompt_tokens - num_after for r in replies)
    assert pair_engine.num_pixels_sent == num_sent


@pytest.mark.engine
def test_the_other_order_is_another_prefix_over_images_that_are_there(
    pair_engine: VllmEngine,
) -> None:
    pair_engine.ask([ask("In order.", 31, 32)])
    num_sent = pair_engine.num_pixels_sent
    [turned] = pair_engine.ask([ask("In order.", 32, 31)])
    assert turned.cached_tokens < 64
    assert pair_engine.num_pixels_sent == num_sent


@pytest.mark.engine
def test_more_images_than_an_engine_takes_are_an_error_of_that_request_alone(
    pair_engine: VllmEngine,
) -> None:
    three = replace(ask("Which?", 1, 2), further_images=(picture(2), picture(3)))
    refused, taken = pair_engine.ask([three, ask("Which?", 1, 2)])
    assert refused.finish_reason == "error"
    assert "3 images" in (refused.error or "")
    assert taken.finish_reason == "label"


def test_llama_4_takes_pairs_too(tmp_path: Path) -> None:
    model = build_tiny_llama4(tmp_path / "llama4")
    engine = TransformersEngine(EngineSettings(kind="transformers", model=str(model)))
    one, two, other = engine.ask([ask("Which?", 1, 2), ask("Which?", 2, 1), ask("Which?", 1, 3)])
    assert difference(one, two) > TOLERANCE
    assert difference(one, other) > TOLERANCE
