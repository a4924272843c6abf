"""A judge shaped like Qwen3-VL-Thinking: vLLM and the reference read it alike."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from blpo.data.errors import EngineError
from blpo.models.engine import Request, Sampling
from blpo.models.engines.settings import EngineSettings
from blpo.models.engines.transformers import TransformersEngine
from blpo.models.engines.vllm.engine import VllmEngine
from blpo.models.requests.choices import Thinking
from test_engines import (
    LABELS,
    SIZES,
    TOLERANCE,
    largest_difference,
    layout_of,
    picture,
    whole_characters,
)

THOUGHT = "<think>\nA red </think> square.\n</think>\n\nIt is red.\n\nFinal answer:\n"


@pytest.fixture(scope="module", params=["off", "on"])
def engines(
    request: pytest.FixtureRequest, tiny_qwen3: Path
) -> Iterator[tuple[VllmEngine, TransformersEngine]]:
    """vLLM and transformers, thinking off and on."""
    thinking: Thinking = request.param
    common = EngineSettings(model=str(tiny_qwen3), thinking=thinking, kv_cache_gib=0.25)
    engine = VllmEngine(common)
    yield engine, TransformersEngine(common.model_copy(update={"kind": "transformers"}))
    engine.close()


@pytest.mark.engine
def test_labels_behind_the_thought_agree(engines: tuple[VllmEngine, TransformersEngine]) -> None:
    ours, reference = engines
    start = THOUGHT if layout_thinks(ours) else ""
    requests = [
        Request("Is it safe? </think>", picture(i, size), labels=LABELS, reply_start=start)
        for i, size in enumerate(SIZES)
    ]
    requests += [
        Request("Rate.", picture(9), "<tool_call>", tuple("1234567"), reply_start=start),
        Request("Is it?", labels=("yes", "no"), reply_start=start),
    ]
    replies, expected = ours.ask(requests), reference.ask(requests)
    assert [r.prompt_tokens for r in replies] == [r.prompt_tokens for r in expected]
    assert largest_difference(replies, expected) < TOLERANCE
    layout = layout_of(ours)
    closer = layout.tokenizer.convert_tokens_to_ids("</think>")
    ids = layout.token_ids("</think>", num_images=1, text="</think>", reply_start=start)
    assert ids.count(closer) == 1


@pytest.mark.engine
def test_text_is_written_alike_and_a_thought_is_told(
    engines: tuple[VllmEngine, TransformersEngine],
) -> None:
    ours, reference = engines
    requests = [Request("Describe it.", picture(i), sampling=Sampling(8)) for i in range(3)]
    replies, expected = ours.ask(requests), reference.ask(requests)
    assert [whole_characters(r) for r in replies] == [whole_characters(r) for r in expected]
    thinks = layout_thinks(ours)
    assert all(reply.text.startswith("<think>\n") == thinks for reply in replies)


@pytest.mark.engine
def test_a_direct_verdict_is_refused_while_the_model_thinks(
    engines: tuple[VllmEngine, TransformersEngine],
) -> None:
    request = Request("Is it safe?", picture(0), labels=LABELS)
    for engine in engines:
        if layout_thinks(engines[0]):
            with pytest.raises(EngineError, match="set `verdict: reasoned`"):
                engine.ask([request])
        else:
            assert engine.ask([request])[0].finish_reason == "label"


def layout_thinks(engine: VllmEngine) -> bool:
    engine.ask([Request("start", sampling=Sampling(1))])
    return layout_of(engine).thought is not None
