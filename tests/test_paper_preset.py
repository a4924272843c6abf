"""`preset: paper` asks what it has always asked and finds what it has always found."""

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from blpo.data.examples import write_dataset
from blpo.models.engine import Engine, Reply, Request
from blpo.models.engines.settings import EngineSettings
from blpo.models.wrappers.around import AroundEngine
from blpo.pipeline.config import OptimizerConfig, RunConfig
from blpo.pipeline.runs.engine_pool import EnginePool
from blpo.pipeline.runs.run import Run
from ideal_engine import ideal_world

GOLDEN = Path(__file__).with_name("golden")
JUDGE_PROMPT = "Decide whether the image matches the text. Pay attention to the side and the color."
METHODS = ("blpo", "blpo-fixed-i2t", "blpo-judge-i2t")


class Recorded(AroundEngine):
    """An engine that writes down every batch it is asked: a line per batch."""

    def __init__(self, engine: Engine, lines: list[str], lock: threading.Lock) -> None:
        super().__init__(engine)
        self._lines, self._lock = lines, lock

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        digest = hashlib.sha256()
        for request in requests:
            digest.update(repr((request.prompt, request.text, request.labels)).encode())
            digest.update(repr(request.sampling).encode())
            digest.update(request.image.digest.encode() if request.image else b"")
        first = requests[0].prompt.splitlines()[0][:60]
        with self._lock:
            self._lines.append(f"{len(requests)} {digest.hexdigest()[:16]} {first}")
        return super().ask(requests)


class RecordedPool(EnginePool):
    """The ideal engine as judge and verbalizer, and the lexicon, both recorded."""

    def __init__(self, ideal: Engine) -> None:
        super().__init__()
        self.lines: list[str] = []
        lock = threading.Lock()
        self._ideal = Recorded(ideal, self.lines, lock)
        self._lexicon = Recorded(super().engine(EngineSettings(kind="lexicon")), self.lines, lock)

    def engine(self, settings: EngineSettings) -> Engine:
        return self._lexicon if settings.kind == "lexicon" else self._ideal


@pytest.mark.parametrize("method", METHODS)
def test_the_requests_and_the_result_of_the_paper_preset_are_pinned(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    dataset, engine = ideal_world("micro-seetrue", num_train=40, num_test=20)
    write_dataset(Path("data.parquet"), [*dataset.train, *dataset.test])
    config = RunConfig(
        task="micro-seetrue",
        dataset=Path("data.parquet"),
        output=Path("run"),
        judge_prompt=JUDGE_PROMPT,
        method=method,
        optimizer=OptimizerConfig(engine=EngineSettings(kind="lexicon")),
    )
    pool = RecordedPool(engine)
    result = Run(config, pool).execute()
    found = [*pool.lines, result.judge_prompt_final, result.i2t_prompt_final]
    found += [f"{role}: {counts.asked} asked" for role, counts in result.calls.items()]
    found += [f"accuracy on test: {result.test.final.accuracy:.3f}"]
    golden = GOLDEN / f"paper-{method}.txt"
    assert golden.exists(), f"{golden} is missing; it should hold:\n" + "\n".join(found)
    assert found == golden.read_text("utf-8").splitlines()
