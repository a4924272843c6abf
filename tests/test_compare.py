"""Finished runs compared: only on the same test, and only what the test can tell is told."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from blpo.data.arrow import pa, pq
from blpo.data.errors import ConfigError, DataError
from blpo.pipeline.metrics.intervals import holm, mcnemar
from blpo.pipeline.runs.finished_run import (
    PastRun,
    read_past_run,
    refuse_other_test,
    runs_beside,
)
from blpo.pipeline.sweeps.compare import Comparisons, compare_past_runs, read_runs
from command_line import Blpo
from ideal_runs import GOOD_PROMPT, ideal_dataset, ideal_run


def compare_runs(paths: Sequence[Path]) -> Comparisons:
    return compare_past_runs(read_runs(paths))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs: poor and same under the task's own prompt, good under a better one."""
    folder = tmp_path_factory.mktemp("runs")
    engine = ideal_dataset(folder)
    ideal_run(folder, engine, "poor")
    ideal_run(folder, engine, "same", seed=1)
    ideal_run(folder, engine, "good", judge_prompt=GOOD_PROMPT)
    return folder


def test_the_difference_is_that_of_the_two_results(folder: Path) -> None:
    [found] = compare_runs([folder / "poor", folder / "good"]).runs
    poor, good = (read_past_run(folder / name).result.test.final for name in ("poor", "good"))
    assert found.accuracy.difference == pytest.approx(good.accuracy - poor.accuracy)
    assert found.macro_f1.difference == pytest.approx(good.macro_f1 - poor.macro_f1)
    assert (found.won - found.lost) / 60 == pytest.approx(found.accuracy.difference)
    assert found.accuracy.p_value == mcnemar(found.won, found.lost)
    low, high = found.accuracy.ci95
    assert 0 < low < found.accuracy.difference < high
    assert found.accuracy.is_distinguishable
    assert found.macro_f1.is_distinguishable


def test_runs_beside_a_run_are_those_that_ended_with_another_prompt(folder: Path) -> None:
    for name, others in (("poor", ["good"]), ("good", ["poor", "same"])):
        found = runs_beside(folder / name, read_past_run(folder / name).result)
        assert [path.name for path, _ in found] == others


def test_exchanging_the_runs_turns_the_difference_round(folder: Path) -> None:
    [forth] = compare_runs([folder / "poor", folder / "good"]).runs
    [back] = compare_runs([folder / "good", folder / "poor"]).runs
    assert back.macro_f1.difference == pytest.approx(-forth.macro_f1.difference)
    assert back.macro_f1.p_value == pytest.approx(forth.macro_f1.p_value, abs=0.005)
    assert (back.won, back.lost) == (forth.lost, forth.won)


def test_equal_verdicts_are_the_same_and_say_so(folder: Path, blpo: Blpo) -> None:
    outcome = blpo("compare", str(folder / "poor"), str(folder / "same"))
    assert outcome.code == 0
    assert "The same: accuracy, macro F1, kappa." in outcome.out
    rows = [line for line in outcome.out.splitlines() if "0.000" in line]
    assert [row.split("│")[-2].strip() for row in rows[-2:]] == ["-", "-"]  # macro F1, kappa
    [found] = compare_runs([folder / "poor", folder / "same"]).runs
    assert (found.macro_f1.detectable, found.kappa.detectable) == (None, None)
    assert (found.accuracy.p_value, found.macro_f1.p_value) == (1.0, 1.0)


def test_several_runs_are_each_compared_with_the_first_under_holm(folder: Path) -> None:
    found = compare_runs([folder / "poor", folder / "good", folder / "same"]).runs
    assert [Path(comparison.run).name for comparison in found] == ["good", "same"]
    p_values = [comparison.accuracy.p_value for comparison in found]
    assert [comparison.accuracy.p_holm for comparison in found] == holm(p_values)


def test_the_configuration_values_that_differ_are_named(folder: Path) -> None:
    [found] = compare_runs([folder / "poor", folder / "same"]).runs
    assert found.differs_in == ["seed: 0 -> 1"]


def test_json_says_in_words_whether_the_runs_can_be_told_apart(folder: Path, blpo: Blpo) -> None:
    outcome = blpo("compare", str(folder / "poor"), str(folder / "good"), "--json")
    printed = json.loads(outcome.out)
    [run] = printed["runs"]
    assert run["distinguishable"] == {"accuracy": True, "macro_f1": True, "kappa": True}
    assert run["in_words"][0] == "Accuracy is distinguishably higher than the reference's."
    assert printed["n"] == 60


def test_what_cannot_be_told_apart_comes_with_what_could_be(folder: Path, blpo: Blpo) -> None:
    # One example of 60 turned round cannot be told from luck.
    run = folder / "almost"
    run.mkdir(exist_ok=True)
    for name in ("config.json", "inputs.json", "run_id", "result.json"):
        (run / name).write_bytes((folder / "good" / name).read_bytes())
    table = pq.read_table(folder / "good" / "predictions.parquet")
    verdicts = table.column("final_verdict").to_pylist()
    verdicts[0] = "Safe" if verdicts[0] == "Unsafe" else "Unsafe"
    place = table.schema.get_field_index("final_verdict")
    pq.write_table(
        table.set_column(place, "final_verdict", pa.array(verdicts)), run / "predictions.parquet"
    )
    outcome = blpo("compare", str(folder / "good"), str(run))
    assert "Not distinguishable" in outcome.out
    assert "often goes unnoticed" in outcome.out


def refusal(one: PastRun, other: PastRun) -> str:
    with pytest.raises(ConfigError) as error:
        refuse_other_test(one, other)
    return str(error.value)


def test_runs_tested_on_other_examples_are_refused_by_name(folder: Path) -> None:
    run = read_past_run(folder / "poor")
    fewer = replace(run, examples=run.examples[2:], initial=(), final=())
    missing = [example.example_id for example in run.examples[:2]]
    for message in (refusal(run, fewer), refusal(fewer, run)):
        assert all(name in message for name in missing)
        assert "compare runs on one dataset file" in message
        assert f"`blpo evaluate {run.config.dataset} --run {run.path}`" in message


def test_runs_with_other_human_labels_are_refused_by_name(folder: Path) -> None:
    run = read_past_run(folder / "poor")
    changed = replace(run.examples[3], label="other")
    other = replace(run, examples=(*run.examples[:3], changed, *run.examples[4:]))
    assert f"differs for {changed.example_id};" in refusal(run, other)
    assert "label sets differ" in refusal(run, replace(run, labels=("1", "2")))


def test_the_order_of_the_examples_makes_no_difference(folder: Path) -> None:
    run = read_past_run(folder / "poor")
    turned = replace(run, examples=run.examples[::-1], final=run.final[::-1])
    refuse_other_test(run, turned)
    assert (turned.confusions == run.confusions).all()


def test_a_run_that_is_not_there_or_not_finished_is_refused(folder: Path, blpo: Blpo) -> None:
    missing = blpo("compare", str(folder / "por"), str(folder / "poor")).err
    assert f"por: no such run directory; did you mean {folder / 'poor'}?" in missing
    unfinished = folder / "unfinished"
    unfinished.mkdir(exist_ok=True)
    (unfinished / "config.json").write_bytes((folder / "poor" / "config.json").read_bytes())
    assert "is not finished" in blpo("compare", str(folder / "poor"), str(unfinished)).err
    assert "at least two" in blpo("compare", str(folder / "poor")).err


def test_damaged_predictions_are_named_with_the_way_out(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "inputs.json", "run_id", "result.json"):
        (tmp_path / name).write_bytes((folder / "poor" / name).read_bytes())
    whole = (folder / "poor" / "predictions.parquet").read_bytes()
    (tmp_path / "predictions.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="start the run again"):
        read_past_run(tmp_path)
    table = pq.read_table(folder / "poor" / "predictions.parquet").drop_columns(["group"])
    pq.write_table(table, tmp_path / "predictions.parquet")
    with pytest.raises(DataError, match="no column `group`"):
        read_past_run(tmp_path)


def test_in_groups_accuracy_is_tested_by_groups(folder: Path, tmp_path: Path) -> None:
    for name in ("poor", "good"):
        run = tmp_path / name
        run.mkdir()
        for file in ("config.json", "inputs.json", "run_id", "result.json"):
            (run / file).write_bytes((folder / name / file).read_bytes())
        table = pq.read_table(folder / name / "predictions.parquet")
        groups = pa.array([f"g{row // 4}" for row in range(table.num_rows)])
        place = table.schema.get_field_index("group")
        pq.write_table(table.set_column(place, "group", groups), run / "predictions.parquet")
    found = compare_runs([tmp_path / "poor", tmp_path / "good"])
    assert found.groups == 15
    assert found.runs[0].accuracy.test == "paired permutation of groups"
