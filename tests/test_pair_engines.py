"""Several images in one request, through the local engines, on tiny checkpoints."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from blpo.data.arrow import pq
from blpo.models.engine import Engine, Reply, Request
from blpo.models.engines.checkpoint import load_processor, locate
from blpo.models.engines.settings import EngineSettings
from blpo.models.engines.transformers import TransformersEngine
from blpo.models.engines.vllm.engine import VllmEngine
from blpo.models.requests.layout import make_layout
from blpo.pipeline.runs.engine_pool import EnginePool
from command_line import Blpo
from documentation import blocks
from public_sources import write_csv, write_files
from test_engines import SIZES, TOLERANCE, largest_difference, logprobs_of, picture, transformers_on
from tiny_models import build_tiny_llama4

LABELS = ("A", "B")
NUM_EDITS = 12
SHORT = ("algorithm={outer_steps: 1, inner_steps: 1}", "verbalizer.max_tokens=4")


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


def write_edits(folder: Path, name: str, labels: tuple[str, ...] = ()) -> None:
    """A table of edits with their images; without labels, one of other edits."""
    rows: list[tuple[str, ...]] = []
    for i in range(NUM_EDITS):
        both = (f"images/{name}-{i}-{side}.png" for side in ("before", "after"))
        shown = {path: picture(100 + i + 50 * k, SIZES[0]).data for k, path in enumerate(both)}
        write_files(folder, shown)
        rows.append((*shown, f"Make it {i}.", *labels[i % 2 : i % 2 + 1]))
    header = ("before", "after", "instruction", *(["label"] if labels else []))
    write_csv(folder / name, header, rows)


@pytest.mark.engine
def test_a_table_of_edits_becomes_verdicts_as_the_page_shows(
    pair_engine: VllmEngine, blpo: Blpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, asked = EnginePool.engine, list[EngineSettings]()

    def shared(pool: EnginePool, settings: EngineSettings) -> Engine:
        asked.append(settings)
        return pair_engine if settings.kind == "vllm" else own(pool, EngineSettings(kind="lexicon"))

    monkeypatch.setattr(EnginePool, "engine", shared)
    page = "docs/tasks-and-datasets.md"
    for block in blocks(page, "yaml"):
        if block.file_name in ("edits.yaml", "edits-run.yaml"):
            (tmp_path / block.file_name).write_text(block.text)
    write_edits(tmp_path, "edits.csv", ("missed", "followed"))
    write_edits(tmp_path, "new-edits.csv")
    [recipe] = [block for block in blocks(page, "sh") if "edits-run.yaml" in block.text]
    printed: dict[str, str] = {}
    for _, command, *arguments in recipe.commands:
        options = SHORT if command == "optimize" else ()
        outcome = blpo(command, *arguments, *(word for o in options for word in ("--set", o)))
        assert outcome.code == 0, outcome.err
        printed[command] = outcome.out
    assert {s.images_per_request for s in asked if s.kind == "vllm"} == {2}
    columns = pq.read_schema(tmp_path / "edits.parquet").names
    assert columns[:4] == ["example_id", "source", "result", "text"]
    assert "runs/edits: ok" in printed["verify"]
    report = (tmp_path / "runs/edits/report.html").read_text()
    assert report.count(">source image</p>") == report.count(">result image</p>") > 0
    verdicts = pq.read_table(tmp_path / "edit-verdicts.parquet").to_pylist()
    assert len(verdicts) == NUM_EDITS
    assert {row["verdict"] for row in verdicts} <= {"missed", "followed"}
    assert len({row["label_mass"] for row in verdicts}) == NUM_EDITS
