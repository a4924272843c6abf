"""The micro task of pairs: its data, and the loop on it with an engine that sees the scenes."""

from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from blpo.data.examples import write_dataset
from blpo.data.images import ImageBounds
from blpo.data.micro.pairs import (
    PAIR_RUBRICS,
    PAIR_SCALE,
    PAIR_TASK,
    PairRow,
    generate_pairs,
    scene_pairs,
)
from blpo.data.micro.rubrics import LABEL_NOISE, RubricName
from blpo.data.micro.world import Scene, claim_text, is_fault, named_aspects
from blpo.data.tasks import load_task
from blpo.models.engines.settings import EngineSettings
from blpo.pipeline.bulk.judge_source import JudgeSource
from blpo.pipeline.bulk.judging import judge_dataset
from blpo.pipeline.config import JudgeConfig, OptimizerConfig, RunConfig
from blpo.pipeline.methods.registry import SEARCHES
from blpo.pipeline.result import RunResult
from blpo.pipeline.runs.demo import example_of
from blpo.pipeline.runs.run import Run
from ideal_engine import IdealEngine
from killable_run import IdealPool

RUBRICS: tuple[RubricName, ...] = ("main", "held-out")


def num_minded(scene: Scene, rubric: RubricName) -> int:
    return sum(is_fault(scene, name) for name in PAIR_RUBRICS[rubric].minded)


def test_the_rows_are_a_pure_function_of_the_seed() -> None:
    assert generate_pairs(3, 6, 6) == generate_pairs(3, 6, 6)
    assert generate_pairs(3, 6, 6) != generate_pairs(4, 6, 6)


@pytest.mark.parametrize("rubric", RUBRICS)
def test_people_prefer_the_picture_with_fewer_faults_that_they_mind(rubric: RubricName) -> None:
    rows, scenes = generate_pairs(0, 100, 100, rubric), scene_pairs(0, 100, 100, rubric)
    agree = 0
    for row, (first, second) in zip(rows, scenes, strict=True):
        assert claim_text(first) == claim_text(second) == row["text"]
        assert first.values != second.values
        difference = num_minded(second, rubric) - num_minded(first, rubric)
        agree += (difference > 0) if row["label"] == "A" else (difference < 0)
    # Label noise, and the few people who also mind something else.
    assert 0.85 < agree / 200 < 1 - LABEL_NOISE / 3


def test_both_labels_are_as_frequent_and_the_splits_share_no_text() -> None:
    rows = generate_pairs(1, 100, 200)
    counts = Counter((row["split"], row["label"]) for row in rows)
    assert all(abs(counts[split, "A"] - counts[split, "B"]) < 16 for split in ("train", "test"))
    texts = {
        split: {r["group"] for r in rows if r["split"] == split} for split in ("train", "test")
    }
    assert not texts["train"] & texts["test"]
    assert len(texts["train"]) == 100


def test_the_first_prompt_names_what_people_do_not_mind() -> None:
    task = load_task(PAIR_TASK)
    named = set(named_aspects(task.judge_prompt))
    assert named
    assert not named & {*PAIR_RUBRICS["main"].minds, *PAIR_RUBRICS["held-out"].minds}
    assert not named_aspects(task.i2t_prompt)


def world(folder: Path, rubric: RubricName = "main", num_train: int = 60) -> IdealEngine:
    """Write data.parquet; the engine that knows its scenes."""
    rows, scenes = generate_pairs(0, num_train, 80, rubric), scene_pairs(0, num_train, 80, rubric)
    write_dataset(folder / "data.parquet", (example_of(row, ImageBounds()) for row in rows))
    return IdealEngine(known(rows, scenes), PAIR_SCALE)


def known(rows: list[PairRow], scenes: list[tuple[Scene, Scene]]) -> dict[bytes, Scene]:
    return {
        image: scene
        for row, pair in zip(rows, scenes, strict=True)
        for image, scene in zip((row["image"], row["image_b"]), pair, strict=True)
    }


def run(folder: Path, engine: IdealEngine, method: str) -> RunResult:
    config = RunConfig(
        task=PAIR_TASK,
        dataset=folder / "data.parquet",
        output=folder / method,
        store=folder / "store",
        optimizer=OptimizerConfig(engine=EngineSettings(kind="lexicon")),
        method=method,
    )
    opened = Run(config, IdealPool(engine))
    expected = opened.expected_calls
    result = opened.execute()
    assert sum(calls.asked for calls in result.calls.values()) <= expected
    return result


@pytest.mark.parametrize("rubric", RUBRICS)
def test_the_loop_finds_what_people_mind_in_pairs(tmp_path: Path, rubric: RubricName) -> None:
    result = run(tmp_path, world(tmp_path, rubric), "blpo")
    minded = set(PAIR_RUBRICS[rubric].minded)
    assert len(minded & set(named_aspects(result.judge_prompt_final))) >= 2
    assert result.test.gain.accuracy >= 0.15
    assert result.test.final.pairs is not None
    assert result.test.final.pairs.strict_accuracy == result.test.final.accuracy


def test_a_fixed_i2t_prompt_gains_less_and_the_baselines_run_on_pairs(tmp_path: Path) -> None:
    engine = world(tmp_path, num_train=24)
    # All but those that only take longer to go the same ways, and the one for criteria.
    methods = set(SEARCHES) - {"opro", "apo", "blpo-criteria"}
    gains = {method: run(tmp_path, engine, method).test.gain.accuracy for method in methods}
    assert gains["none"] == 0
    assert gains["blpo-fixed-i2t"] < gains["blpo"]


def test_the_report_shows_both_images_and_the_scores_of_pairs(tmp_path: Path) -> None:
    run(tmp_path, world(tmp_path, num_train=20), "blpo-judge-i2t")
    report = (tmp_path / "blpo-judge-i2t" / "report.html").read_text()
    assert "Accuracy on strict pairs" in report
    assert report.count("image A") == report.count("image B") > 0
    assert "Each image was judged on its own" in report


def test_pairs_are_judged_in_bulk_without_labels(tmp_path: Path) -> None:
    engine = world(tmp_path, num_train=20)
    unlabelled = pl.read_parquet(tmp_path / "data.parquet").select("example_id", "image", "image_b")
    unlabelled.write_parquet(tmp_path / "new.parquet")
    task = load_task(PAIR_TASK).model_copy(update={"carries_text": False})
    source = JudgeSource(task, "Rate it. Pay attention to the color.", JudgeConfig())
    counts = judge_dataset(
        source,
        tmp_path / "new.parquet",
        tmp_path / "out.parquet",
        tmp_path / "store",
        pool=IdealPool(engine),
    )
    frame = pl.read_parquet(tmp_path / "out.parquet")
    assert (counts.rows, counts.new_calls) == (100, 200)
    assert set(frame["verdict"].to_list()) <= {"A", "B"}
    assert sum(frame["probabilities"].struct.unnest().row(0)) == pytest.approx(1)
