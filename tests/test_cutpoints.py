"""Cut-points on top of any preset: fitted on train, kept with the result, used where it is."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from blpo.data.examples import write_dataset
from blpo.data.tasks import load_task
from blpo.models.engine import EngineIdentity, Reply, Request
from blpo.models.engines.settings import EngineSettings
from blpo.pipeline.bulk.judge_source import judge_source
from blpo.pipeline.config import OptimizerConfig, RunConfig
from blpo.pipeline.runs.run import Run
from ideal_engine import ideal_world
from killable_run import IdealPool

TASK = load_task("micro-agin")


class LeaningEngine:
    """Knows every label, and leans by most of its probability to the next higher one."""

    version = "leaning"
    identity = EngineIdentity("leaning", "m", "r", "l")

    def __init__(self, labels: dict[str, str]) -> None:
        self._labels = labels
        self.num_verdicts = 0

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        return [self._answer(request) for request in requests]

    def close(self) -> None:
        pass

    def _answer(self, request: Request) -> Reply:
        assert request.image is not None
        self.num_verdicts += 1
        place = TASK.labels.index(self._labels[request.image.digest])
        masses = dict.fromkeys(TASK.labels, 1e-6)
        masses[TASK.labels[place]] += 0.2
        masses[TASK.labels[min(place + 1, len(TASK.labels) - 1)]] += 0.79
        return Reply("", "label", {label: math.log(mass) for label, mass in masses.items()})


def execute(folder: Path, **fields: Any) -> tuple[LeaningEngine, dict[str, Any]]:
    dataset, _ = ideal_world(TASK.name, num_train=50, num_test=40)
    rows = [*dataset.train, *dataset.test]
    write_dataset(folder / "data.parquet", rows)
    engine = LeaningEngine({example.image.digest: example.label for example in rows})
    config = RunConfig.model_validate(
        {
            "task": TASK.name,
            "dataset": folder / "data.parquet",
            "output": folder / "run",
            "store": folder / "store",
            "optimizer": OptimizerConfig(engine=EngineSettings(kind="lexicon")),
            "method": "none",
            **fields,
        }
    )
    Run(config, IdealPool(engine)).execute()  # pyright: ignore[reportArgumentType]
    return engine, json.loads((folder / "run" / "result.json").read_text())


@pytest.mark.parametrize("preset", ["paper", "plus"])
def test_cut_points_right_a_leaning_judge_under_any_preset(tmp_path: Path, preset: str) -> None:
    engine, result = execute(tmp_path, preset=preset, reading="cutpoints")
    test = result["test"]
    assert test["reading"]["initial_raw"]["accuracy"] < 0.4
    assert test["initial"]["accuracy"] > 0.95
    assert test["gain"]["accuracy"] == 0
    assert test["reading"]["gain_of_reading"] == test["reading"]["gain_of_both"]
    assert len(result["reading"]["cuts"]) == len(TASK.labels) - 1
    assert engine.num_verdicts == 50 + 40
    assert judge_source(tmp_path / "run", None, None, []).reading is not None


def test_without_cut_points_the_likeliest_label_is_the_verdict(tmp_path: Path) -> None:
    engine, result = execute(tmp_path)
    assert result["reading"] is None
    assert result["test"]["final"] == result["test"]["initial"]
    assert engine.num_verdicts == 40
