"""Hybrid models: what is reused of an image, and by which way."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from blpo.data.examples import write_dataset
from blpo.data.images import ImageBounds, ImageRef
from blpo.data.micro.rubrics import generate
from blpo.models.engine import Engine, Request, Sampling
from blpo.models.engines.factory import make_engine
from blpo.models.engines.settings import EngineSettings
from blpo.models.engines.transformers import TransformersEngine
from blpo.models.engines.vllm.engine import VllmEngine
from blpo.models.engines.vllm.image_reuse import Shape, Way, question_tokens, way_to_reuse
from blpo.models.engines.vllm.residency import KvCache
from blpo.pipeline.blpo.config import BlpoConfig
from blpo.pipeline.config import ImageConfig, OptimizerConfig, RunConfig, VerbalizerConfig
from blpo.pipeline.runs import engine_pool
from blpo.pipeline.runs.demo import example_of
from blpo.pipeline.runs.run_many import execute_runs
from families import gated_delta
from test_engines import (
    LABELS,
    SIZES,
    TOLERANCE,
    FakeVllm,
    fake_engine,
    inside,
    largest_difference,
    picture,
    planned,
)

TASK = "micro-unsafebench"
HYBRID = KvCache(100_000, 544, 128.0, (544,), 3, hit_tokens=32)


def test_blocks_of_all_groups_of_layers_and_states_count() -> None:
    assert HYBRID.blocks(500) == 1 + 3
    assert HYBRID.blocks(545) == 2 + 3
    assert HYBRID.blocks(500, num_reads=4) == 1 + 3 + 3
    two_groups = KvCache(100_000, 16, 128.0, (16, 16))
    assert two_groups.blocks(17) == 4
    assert KvCache(100_000, 16, 128.0).blocks(17, num_reads=4) == 2


@pytest.mark.parametrize(
    ("way", "tokens"), [("long bridge", 402), ("fine grain", 342), ("warmed", 106)]
)
def test_the_cost_of_each_way_is_what_was_measured(way: Way, tokens: int) -> None:
    shape = Shape(image=255, prompt=37, block=544, grain=32)
    assert question_tokens(way, shape, 6) == pytest.approx(tokens, rel=0.06)


def test_the_cheapest_way_that_an_engine_offers_is_taken() -> None:
    assert way_to_reuse(KvCache(100_000, 32, 128.0), 31) == "blocks"
    assert way_to_reuse(HYBRID, 31) == "warmed"
    whole_blocks = KvCache(100_000, 544, 128.0, (544,), 3)
    assert way_to_reuse(whole_blocks, 31) == "fine grain"  # none keeps it: encoded each time
    assert way_to_reuse(whole_blocks, 543) == "long bridge"


@dataclass
class Recording(FakeVllm):
    """Hits end where a request has ended; `forgotten` makes the next one miss."""

    forgotten: bool = False

    asked: list[str] = field(default_factory=list[str])

    def add_request(self, rid: str, prompt: dict[str, Any], params: Any) -> None:
        super().add_request(rid, prompt, params)
        self.asked.append("".join(map(chr, prompt["prompt_token_ids"][-1:])))

    def _output(self, rid: str, token_ids: list[int], params: Any) -> Any:
        output = super()._output(rid, token_ids, params)
        if self.forgotten:
            output.num_cached_tokens = 0
        return output


def test_each_image_is_warmed_once_before_all_who_ask_about_it(
    monkeypatch: pytest.MonkeyPatch, tiny_qwen: Path
) -> None:
    fake = Recording()
    cache = KvCache(100_000, 544, 128.0, (544,), 3, hit_tokens=8)
    engine = fake_engine(monkeypatch, fake, tiny_qwen, cache)
    engine.ask([Request("start")])
    del fake.asked[:]
    warming = "\3"  # the end of the fake's bridge, where no suffix follows
    asked = (("a", 0, "t"), ("b", 1, "t"), ("c", 0, "u"), ("d", 1, "u"))
    requests = [Request(prompt, picture(seed), text=text) for prompt, seed, text in asked]
    assert [reply.text[-1] for reply in engine.ask(requests)] == list("abcd")
    assert Counter(fake.asked) == {warming: 4, "a": 1, "b": 1, "c": 1, "d": 1}
    del fake.asked[:]
    engine.ask([Request("e", picture(0), text="t"), Request("f", picture(0), text="t")])
    assert fake.asked == ["e", "f"]
    fake.forgotten = True
    engine.ask([Request("g", picture(0), text="t")])
    engine.ask([Request("h", picture(0), text="t"), Request("i", picture(0), text="t")])
    assert fake.asked[2:] == ["g", warming, "h", "i"]
    engine.close()


def test_an_image_that_cannot_be_warmed_fails_its_own_requests_alone(
    monkeypatch: pytest.MonkeyPatch, tiny_qwen: Path
) -> None:
    cache = KvCache(100_000, 544, 128.0, (544,), 3, hit_tokens=8)
    engine = fake_engine(monkeypatch, Recording(), tiny_qwen, cache)
    broken = ImageRef(b"no image", ImageBounds())
    replies = engine.ask([Request("a", broken), Request("b", picture(0)), Request("c", broken)])
    assert [reply.finish_reason for reply in replies] == ["error", "stop", "error"]
    engine.close()


# A tiny Qwen3.5 in vLLM, without any setting.


@pytest.fixture(scope="module")
def hybrid(tiny_qwen35: Path) -> Iterator[VllmEngine]:
    gated_delta.install()
    engine = VllmEngine(EngineSettings(model=str(tiny_qwen35), kv_cache_gib=0.25))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def exact_hybrid(hybrid: VllmEngine, tiny_qwen35: Path) -> Iterator[VllmEngine]:
    """In float32, beside the other in one process."""
    hybrid.ask([Request("start")])
    engine = VllmEngine(EngineSettings(model=str(tiny_qwen35), kv_cache_gib=0.25, dtype="float32"))
    yield engine
    engine.close()


@pytest.mark.engine
def test_a_hybrid_judge_agrees_with_the_reference(
    hybrid: VllmEngine, exact_hybrid: VllmEngine, tiny_qwen35: Path
) -> None:
    requests = [
        Request("Is it safe?", picture(i, size), labels=LABELS) for i, size in enumerate(SIZES)
    ]
    requests += [Request("Rate it. </think>", picture(1), text="a <tool_call>", labels=("1", "10"))]
    requests += [Request("Is the sky blue?", labels=("yes", "no"))]
    reference = TransformersEngine(EngineSettings(kind="transformers", model=str(tiny_qwen35)))
    exact = reference.ask(requests)
    rounded = hybrid.ask(requests)
    assert [r.prompt_tokens for r in rounded] == [r.prompt_tokens for r in exact]
    assert largest_difference(exact, rounded) < 0.1  # logits of bfloat16
    cold, warm = exact_hybrid.ask(requests), exact_hybrid.ask(requests)
    assert all(reply.cached_tokens > 0 for reply in warm[:6])
    assert largest_difference(exact, cold) < TOLERANCE
    assert largest_difference(exact, warm) < TOLERANCE


@pytest.mark.engine
def test_an_engine_that_is_closed_leaves_another_of_its_process_at_work(
    hybrid: VllmEngine, exact_hybrid: VllmEngine
) -> None:
    exact_hybrid.close()
    [reply] = hybrid.ask([Request("Is it?", picture(77), labels=("yes", "no"))])
    assert reply.finish_reason != "error"


@pytest.mark.engine
def test_a_hybrid_judge_encodes_an_image_once_for_all_prompts(
    hybrid: VllmEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [picture(3000 + i, (448, 448)) for i in range(24)]  # more than the encoder's cache
    hybrid.ask([Request("start")])
    cache, config = planned(hybrid), inside(hybrid).vllm_config.cache_config
    # 544 or 288, by the number format of the CPU.
    assert cache.block_size == config.block_size > 200
    assert (cache.grain, cache.keeps_states) == (32, True)
    assert cache.num_blocks == config.num_gpu_blocks
    assert cache.gib(cache.num_blocks) == pytest.approx(0.25, rel=0.01)
    model = inside(hybrid).model_executor.driver_worker.worker.model_runner.model
    encode, encoded = model.embed_multimodal, Counter[str]()

    def counting(**inputs: Any) -> Any:
        embeddings = encode(**inputs)
        encoded[prompt] += len(embeddings)
        return embeddings

    monkeypatch.setattr(model, "embed_multimodal", counting)
    for prompt in ("Is it safe?", "Now judge it once more, please: is it safe? " * 6):
        warm = hybrid.ask([Request(prompt, image, labels=("yes", "no")) for image in images])
    prompt = "Describe it."
    hybrid.ask([Request(prompt, image, sampling=Sampling(4)) for image in images])
    assert encoded == {"Is it safe?": len(images)}
    cold = [Request(prompt * 3, image, labels=("yes", "no")) for image in images[:4]]
    assert all(reply.cached_tokens > 256 for reply in warm)
    assert largest_difference(hybrid.ask(cold), hybrid.ask(cold)) == 0


@pytest.mark.engine
def test_a_hybrid_judge_is_aligned_without_any_setting(
    hybrid: VllmEngine, tiny_qwen35: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(settings: EngineSettings) -> Engine:
        return hybrid if settings.kind == "vllm" else make_engine(settings)

    monkeypatch.setattr(engine_pool, "make_engine", make)  # one engine for all tests
    monkeypatch.setattr(hybrid, "close", lambda: None)
    rows = generate(TASK, 0, num_train=12, num_test=6)
    bounds = ImageConfig().bounds
    write_dataset(tmp_path / "data.parquet", (example_of(row, bounds) for row in rows))
    config = RunConfig(
        task=TASK,
        dataset=tmp_path / "data.parquet",
        output=tmp_path / "run",
        store=tmp_path / "store",
        judge=EngineSettings(model=str(tiny_qwen35)),
        verbalizer=VerbalizerConfig(max_tokens=8),
        optimizer=OptimizerConfig(engine=EngineSettings(kind="lexicon")),
        algorithm=BlpoConfig(outer_steps=1, inner_steps=1),
    )
    (finished,) = execute_runs([config])
    calls = finished.result.calls
    assert calls["judge"].errors == calls["verbalizer"].errors == 0
    assert calls["optimizer"].asked > 0
    assert finished.result.test.final.n == 6
