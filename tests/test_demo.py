"""The demo end to end on fewer images: the micro model in a real vLLM engine, as a user runs it."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from blpo.data.arrow import pq
from command_line import Blpo, Outcome
from micro_datasets import write_micro_datasets

pytestmark = pytest.mark.engine

BLPO = Path(sys.executable).with_name("blpo")
NUM_TRAIN, NUM_TEST = 40, 80
FOUR_TASKS = ("micro-agin", "micro-seetrue", "micro-imagereward", "micro-unsafebench")


@dataclass(frozen=True)
class Demo:
    runs: list[dict[str, Any]]
    messages: str

    @property
    def new_calls(self) -> int:
        return sum(run["session"]["new_calls"] for run in self.runs)

    def gain(self, task: str) -> float:
        [run] = [run for run in self.runs if run["result"]["task"] == task]
        return run["result"]["test"]["gain"]["accuracy"]


def in_its_own_process(*arguments: str) -> Outcome:
    done = subprocess.run([str(BLPO), *arguments], capture_output=True, text=True, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr)


def demo(blpo: Blpo, out: Path) -> Demo:
    done = blpo("demo", "--json", "--out", str(out))
    assert done.code == 0, done.err
    return Demo(json.loads(done.out), done.err)


def printed(blpo: Blpo, *arguments: str) -> Any:
    done = blpo(*arguments)
    assert done.code == 0, done.err
    return json.loads(done.out)


def run_files(out: Path) -> dict[str, bytes]:
    runs = out / "runs"
    return {str(p.relative_to(runs)): p.read_bytes() for p in runs.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    write_micro_datasets(folder / "datasets", NUM_TRAIN, NUM_TEST)
    return folder


@pytest.fixture(scope="module")
def first(out: Path) -> Demo:
    return demo(in_its_own_process, out)


def test_the_judge_moves_at_least_15_points_toward_the_labels_on_three_of_four_tasks(
    first: Demo,
) -> None:
    gains = {task: first.gain(task) for task in FOUR_TASKS}
    assert sum(gain >= 0.15 for gain in gains.values()) >= 3, gains


def test_the_judge_of_pairs_moves_toward_the_preferences_as_the_others_do(
    first: Demo,
) -> None:
    assert first.gain("micro-pairs") >= 0.15
    [run] = [run for run in first.runs if run["result"]["task"] == "micro-pairs"]
    pairs = run["result"]["test"]["final"]["pairs"]
    assert pairs["strict_accuracy"] == run["result"]["test"]["final"]["accuracy"]
    assert pairs["num_strict"] == NUM_TEST


def test_the_first_prompt_is_poor_and_the_result_says_that_it_is_synthetic(first: Demo) -> None:
    for run in first.runs:
        assert run["result"]["synthetic"]
        assert run["result"]["test"]["initial"]["unparsable_share"] == 0
        assert run["result"]["test"]["initial"]["label_mass"] > 0.8
    assert "Synthetic test bench" in first.messages


def test_the_same_demo_again_starts_no_engine_asks_nothing_and_changes_no_byte(
    out: Path, first: Demo, blpo: Blpo, caplog: pytest.LogCaptureFixture
) -> None:
    before = run_files(out)
    again = demo(blpo, out)
    assert again.new_calls == 0
    assert first.new_calls > 0
    assert "starting vLLM" in first.messages
    assert "starting vLLM" not in caplog.text
    assert run_files(out) == before


def test_a_finished_run_scores_images_and_agrees_with_its_own_predictions(
    out: Path, first: Demo, blpo: Blpo
) -> None:
    [run] = [run for run in first.runs if run["result"]["task"] == "micro-unsafebench"]
    dataset = out / "datasets" / "micro-unsafebench.parquet"
    test, judged_file = out / "test.parquet", out / "verdicts.parquet"
    rows = pq.read_table(dataset)
    of_test = [split == "test" for split in rows["split"].to_pylist()]
    pq.write_table(rows.filter(of_test), test)
    source = ("--run", run["output"], "--store", str(out / "store"), "--json")
    judged = printed(blpo, "judge", str(test), *source, "--out", str(judged_file))
    assert judged["rows"] == NUM_TEST
    assert judged["new_calls"] == 0
    verdicts = pq.read_table(judged_file)["verdict"].to_pylist()
    predictions = pq.read_table(Path(run["output"]) / "predictions.parquet")
    assert verdicts == predictions["final_verdict"].to_pylist()
    evaluation = printed(blpo, "evaluate", str(dataset), *source)
    expected = run["result"]["test"]["final"]["accuracy"]
    assert evaluation["accuracy"] == evaluation["scorecard"]["judge"]["accuracy"] == expected
