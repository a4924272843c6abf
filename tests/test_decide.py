"""Targets are kept as often as promised, estimates hold the truth, and `judge` says what to do."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from blpo.data.arrow import pq
from blpo.data.errors import ConfigError
from blpo.data.examples import write_dataset
from blpo.models.engines.settings import EngineSettings
from blpo.models.roles.judge import Verdict
from blpo.pipeline.bulk.next_labels import Candidate, picked_of
from blpo.pipeline.cli.show.decisions import show_decision, show_estimate
from blpo.pipeline.decisions.control import (
    Point,
    controlled,
    fewest_units,
    labels_needed,
    recall_points,
    selective_points,
)
from blpo.pipeline.decisions.decide import Decision, Outcome, unsupported
from blpo.pipeline.decisions.estimate import Estimate
from blpo.pipeline.decisions.target import parse_target
from blpo.pipeline.metrics.drift import Distribution, mass_bins
from blpo.pipeline.metrics.prevalence import prevalence
from blpo.pipeline.readings.config import ReadingConfig
from blpo.pipeline.report.page import sections_of
from blpo.pipeline.runs.engine_pool import EnginePool
from blpo.pipeline.verify.decisions import check_decision
from blpo.pipeline.verify.findings import Findings
from blpo.pipeline.verify.kept import read_kept
from blpo.pipeline.verify.run import verify_run
from command_line import Blpo
from ideal_engine import IdealEngine, ideal_world
from ideal_runs import GOOD_PROMPT, TASK, ideal_run
from simulate_decisions import JUDGES, coverage, violations

LABELS = ("Safe", "Unsafe")


@pytest.mark.parametrize(
    ("measure", "judge"),
    [
        ("precision", "good"),
        ("precision", "leaning, too sure"),
        ("recall", "weak"),
        ("error", "good"),
        ("cost", "good"),
    ],
)
def test_a_target_is_broken_in_no_more_draws_than_stated(measure: str, judge: str) -> None:
    risk = 0.05 if measure == "cost" else 0.1
    broken, decided = violations(JUDGES[judge], measure, risk, num=200, draws=60, seed=1)
    assert broken <= 0.1
    assert decided > 0.5


def test_a_judge_that_knows_nothing_decides_nothing() -> None:
    broken, decided = violations(JUDGES["knows nothing"], "error", 0.2, 200, draws=50, seed=0)
    assert broken == decided <= 0.1


def test_an_interval_holds_the_true_share_and_is_shorter_than_by_labels_alone() -> None:
    held, width, alone = coverage(JUDGES["leaning, too sure"], 100, 2000, draws=100, seed=0)
    assert held >= 0.9
    assert width < 0.8 * alone


def test_a_rare_label_that_no_labelled_image_has_is_no_certainty() -> None:
    nothing = np.zeros(50)
    found = prevalence("x", nothing, nothing, list(map(str, range(50))), np.zeros(1000), 0.0)
    assert found.share == 0
    assert 0.03 < found.ci95[1] < 0.1


def test_groups_make_an_interval_wider() -> None:
    rng = np.random.default_rng(0)
    has_label = np.repeat(rng.random(40) < 0.5, 5).astype(float)
    alone = [str(i) for i in range(200)]
    together = [str(i // 5) for i in range(200)]
    widths = [
        high - low
        for low, high in (
            prevalence("x", has_label, np.zeros(200), groups, np.zeros(10), 0.0).ci95
            for groups in (alone, together)
        )
    ]
    assert widths[1] > 1.8 * widths[0]


def test_no_error_among_few_is_no_proof() -> None:
    assert fewest_units(0, 0.05, 0.1) == 45
    points = selective_points(np.linspace(1, 0.5, 40), np.zeros(40))
    assert controlled(points, 0.05, 0.9) is None
    assert labels_needed(points, 40, 0.05, 0.9) == pytest.approx(67, abs=5)
    assert labels_needed([Point(0.5, 40, 40, 20.0)], 40, 0.05, 0.9) is None


def test_an_early_error_does_not_end_everything() -> None:
    losses = np.zeros(400)
    losses[3] = 1
    point = controlled(selective_points(np.linspace(1, 0.5, 400), losses), 0.05, 0.9)
    assert point is not None
    assert point.num_acts == 400


def test_a_judge_that_does_not_know_when_it_errs_may_still_be_good_enough_as_it_is() -> None:
    """27 errors in 120, most of them early: all are sure to keep 0.34, not 0.3."""
    losses = np.zeros(120)
    losses[::2][:27] = 1
    points = selective_points(np.linspace(1, 0.5, 120), losses)
    assert controlled(points, 0.35, 0.9) is None
    for risk in (0.4, 0.35, 0.34):
        found = controlled(points, risk, 0.9, tests_all=True)
        assert found is not None
        assert (found.num_acts, found.total_loss) == (120, 27)
    assert controlled(points, 0.3, 0.9, tests_all=True) is None


def test_more_labels_are_no_remedy_where_there_are_enough() -> None:
    points = [Point(0.9, 50, 50, 20.0), Point(0.5, 120, 120, 27.0)]
    assert controlled(points, 0.4, 0.9) is None
    target = parse_target("precision(Unsafe) >= .6", [], LABELS)
    told = unsupported(target, points, 120, 0.9)
    assert "More labels may not help" in told
    few = unsupported(target, [Point(0.5, 40, 40, 12.0)], 40, 0.9)
    assert "about 88 like them would be enough" in few


def test_equal_confidences_are_acted_on_together() -> None:
    confidences = np.array([0.9] * 60 + [0.6] * 60)
    points = selective_points(confidences, np.zeros(120))
    assert [point.num_acts for point in points] == [60, 120]
    assert [p.threshold for p in recall_points(confidences, np.ones(120, bool))] == [0.6, 0.9]


@pytest.mark.parametrize(
    ("text", "costs", "told"),
    [
        ("precision(Maybe) >= .9", [], "'Maybe' is no label; choose from Safe, Unsafe"),
        ("precision(Safe) <= .9", [], "is no target; give one such as"),
        ("error <= 1", [], "between 0 and 1"),
        ("error <= .1", ["Safe:Unsafe=2"], "goes with a target of `cost`"),
        ("cost <= .1", ["Safe=2"], "expected HUMAN:VERDICT=COST"),
        ("cost <= .1", ["Safe:Safe=2"], "costs nothing"),
        ("cost <= 3", ["Safe:Unsafe=2"], "between 0 and 2"),
    ],
)
def test_a_target_that_is_none_says_why(text: str, costs: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        parse_target(text, costs, LABELS)


def test_the_confidence_of_a_cost_is_what_a_verdict_is_expected_to_cost() -> None:
    target = parse_target("cost <= .5", ["Unsafe:Safe=4"], LABELS)
    assert target.risk == pytest.approx(0.125)
    verdict = Verdict("Safe", {"Safe": 0.9, "Unsafe": 0.1})
    assert target.confidence(verdict) == pytest.approx(0.9)
    assert target.confidence(Verdict("Unsafe", {"Safe": 0.4, "Unsafe": 0.6})) == pytest.approx(0.9)
    assert target.confidence(Verdict("Safe")) is None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with a reading, and one without."""
    folder = tmp_path_factory.mktemp("decisions")
    dataset, engine = ideal_world(TASK, num_train=100, num_test=40)
    write_dataset(folder / "data.parquet", [*dataset.train, *dataset.test])
    for name, word in (("run", "auto"), ("plain", "none")):
        reading = ReadingConfig.model_validate(word)
        ideal_run(folder, engine, name, judge_prompt=GOOD_PROMPT, reading=reading)
    return folder


def decided(blpo: Blpo, run: Path, *arguments: str) -> Any:
    outcome = blpo("decide", str(run), "--target", "error <= .4", "--json", *arguments)
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def test_decide_writes_the_operating_point_beside_the_run(blpo: Blpo, folder: Path) -> None:
    found = decided(blpo, folder / "run")
    assert found["test"]["n"] == found["test"]["num_acts"] or found["test"]["coverage"] < 1
    assert json.loads((folder / "run" / "decision.json").read_text())["threshold"] > 0
    again = blpo("decide", str(folder / "run"), "--target", "error <= .4")
    assert again.code == 1
    assert "--overwrite" in again.err
    decided(blpo, folder / "run", "--overwrite")


def outcome_of(num_acts: int, n: int) -> Outcome:
    interval = {"coverage": (0.0, 1.0), "value": (0.0, 1.0)}
    return Outcome(
        n=n, num_acts=num_acts, num_units=num_acts, coverage=num_acts / n, value=0.1, ci95=interval
    )


@pytest.mark.parametrize(
    ("train", "test", "differs"),
    [
        ((90, 100), (80, 200), True),
        ((90, 100), (175, 200), False),
        ((900, 1000), (1700, 2000), False),
        ((9, 10), (12, 20), False),
        ((100, 100), (200, 200), False),
    ],
)
def test_shares_acted_on_that_are_further_apart_than_by_chance_are_told(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    train: tuple[int, int],
    test: tuple[int, int],
    *,
    differs: bool,
) -> None:
    decision = Decision(
        result="",
        target=parse_target("error <= .4", [], LABELS),
        confidence=0.9,
        threshold=0.5,
        train=outcome_of(*train),
        test=outcome_of(*test),
    )
    show_decision(decision, tmp_path / "decision.json", as_json=False)
    told = capsys.readouterr().out
    assert ("acted on: 90% of train, 40% of the test split, further apart" in told) == differs
    show_decision(decision, tmp_path / "decision.json", as_json=True)
    assert json.loads(capsys.readouterr().out)["coverage_differs"] == differs


@pytest.fixture
def run(folder: Path, tmp_path: Path) -> Path:
    """A copy of the run, to be changed."""
    return Path(shutil.copytree(folder / "run", tmp_path / "run"))


def test_the_report_marks_the_operating_point_and_verify_checks_it(blpo: Blpo, run: Path) -> None:
    for target in ("recall(Unsafe) >= .5", "cost <= .6"):
        outcome = blpo("decide", str(run), "--target", target, "--overwrite")
        assert outcome.code == 0, outcome.err
        section = sections_of((run / "report.html").read_text())["coverage"]
        assert target.partition(" ")[0] in section
        assert section.count("<svg") == 2
        assert "decided for" in section
    assert verify_run(run).differences == []
    (run / "decision.json").unlink()
    assert any("coverage" in d.figure for d in verify_run(run).differences)


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("threshold", 0.123, "threshold"),
        ("result", "0", "result"),
        ("train", {}, "decision"),
        ("target", {"measure": "error", "bound": 0.001}, "threshold"),
        ("target", {"measure": "precision", "bound": 0.9, "label": "Maybe"}, "threshold"),
    ],
)
def test_verify_finds_what_is_changed_in_a_decision(
    blpo: Blpo, run: Path, key: str, value: Any, told: str
) -> None:
    decided(blpo, run, "--overwrite")
    path, findings = run / "decision.json", Findings()
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    check_decision(read_kept(run), findings)
    assert told in {d.figure for d in findings.differences}


def test_a_report_that_was_changed_gets_no_new_checksum(blpo: Blpo, run: Path) -> None:
    page = (run / "report.html").read_text()
    (run / "report.html").write_text(page.replace("</body>", "more</body>"))
    before = (run / "checksums.json").read_bytes()
    decided(blpo, run, "--overwrite")
    assert (run / "checksums.json").read_bytes() == before


def test_a_run_without_a_reading_says_how_to_get_one(blpo: Blpo, folder: Path) -> None:
    outcome = blpo("decide", str(folder / "plain"), "--target", "error <= .4")
    assert outcome.code == 1
    assert "--set reading=auto" in outcome.err


def test_a_target_that_the_labels_cannot_support_says_how_many_would(
    blpo: Blpo, folder: Path
) -> None:
    outcome = blpo("decide", str(folder / "run"), "--target", "error <= .001", "--overwrite")
    assert outcome.code == 1
    assert "no threshold is sure to keep error <= 0.001" in outcome.err
    assert "More labels for this prompt would not help" in outcome.err
    options = ("--target", "error <= .2", "--confidence", ".999", "--overwrite")
    outcome = blpo("decide", str(folder / "run"), *options)
    assert outcome.code == 1
    assert "like them would be enough. Label more" in outcome.err


# ------------------------------------------------------------------------------- new images


def unlabelled(folder: Path, path: Path, num: int = 30) -> None:
    """New images, two to a group, of which the first has a label."""
    table = pl.read_parquet(folder / "data.parquet").head(num)
    names = [f"new{i}" for i in range(num)]
    labels = [table["label"][0], *[None] * (num - 1)]
    groups = [f"g{i // 2}" for i in range(num)]
    table.with_columns(
        pl.Series("example_id", names), pl.Series("label", labels), pl.Series("group", groups)
    ).write_parquet(path)


@pytest.fixture
def new(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """new.parquet in the working directory; every engine is the run's."""
    _, engine = ideal_world(TASK, num_train=100, num_test=40)

    def shared(_pool: EnginePool, _settings: EngineSettings) -> IdealEngine:
        return engine

    monkeypatch.setattr(EnginePool, "engine", shared)
    monkeypatch.chdir(tmp_path)
    unlabelled(folder, tmp_path / "new.parquet")
    return folder


def test_judge_adds_what_to_do_and_estimate_counts(blpo: Blpo, new: Path) -> None:
    decided(blpo, new / "run", "--overwrite")
    outcome = blpo("judge", "new.parquet", "--run", str(new / "run"), "--out", "v.parquet")
    assert outcome.code == 0, outcome.err
    assert "error <= 0.4: act on" in outcome.out
    table = pl.read_parquet("v.parquet")
    threshold = json.loads((new / "run" / "decision.json").read_text())["threshold"]
    acts = [("act" if c >= threshold else "abstain") for c in table["confidence"]]
    assert table["decision"].to_list() == acts
    outcome = blpo("estimate", "v.parquet", "--run", str(new / "run"), "--json")
    assert outcome.code == 0, outcome.err
    shares = json.loads(outcome.out)["shares"]
    assert sum(share["share"] for share in shares) == pytest.approx(1, abs=0.02)
    assert all(s["ci95"][0] <= s["share"] <= s["ci95"][1] for s in shares)


def test_estimate_takes_verdicts_of_the_runs_own_judge_alone(
    blpo: Blpo, new: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = str(new / "run")
    Path("other.txt").write_text("Is there a weapon in the image?")
    judged = blpo(
        "judge", "new.parquet", "--run", run, "--prompt", "other.txt", "--out", "o.parquet"
    )
    assert judged.code == 0, judged.err
    outcome = blpo("estimate", "o.parquet", "--run", run)
    assert outcome.code == 1
    assert "o.parquet: was not judged as" in outcome.err
    assert "its judge prompt is another. Judge the images" in outcome.err
    table = pq.read_table("o.parquet")
    mark = json.loads(table.schema.metadata[b"blpo.judged_by"])
    mark["judge"]["model"] = "elsewhere"
    pq.write_table(table.replace_schema_metadata({"blpo.judged_by": json.dumps(mark)}), "m.parquet")
    outcome = blpo("estimate", "m.parquet", "--run", run)
    assert "its judge's model is elsewhere, that of the run" in outcome.err
    pq.write_table(table.replace_schema_metadata(None), "unmarked.parquet")
    outcome = blpo("estimate", "unmarked.parquet", "--run", run)
    assert outcome.code == 0, outcome.err
    assert "unmarked.parquet: does not say what judged it" in caplog.text


def test_what_holds_no_verdicts_is_refused_in_plain_words(blpo: Blpo, new: Path) -> None:
    run = str(new / "run")
    Path("x.csv").write_text("example_id,verdict\n")
    Path("cut.parquet").write_bytes(b"PAR1 and no more")
    for name, told in {
        "nope.parquet": "nope.parquet: no such file; make a file of verdicts with `blpo judge",
        "x.csv": "x.csv: no file of verdicts, which end in .parquet; make them with `blpo judge",
        "cut.parquet": "cut.parquet: cannot read the verdicts (its end is missing); make them",
        "new.parquet": "new.parquet: holds no verdicts (it has no column `verdict`); make them",
    }.items():
        outcome = blpo("estimate", name, "--run", run)
        assert (outcome.code, told in outcome.err) == (1, True), outcome.err


def test_estimate_counts_several_files_and_folders_of_shards_as_one(
    blpo: Blpo, new: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = str(new / "run")
    for options in (("--out", "v.parquet"), ("--out", "parts", "--shards", "3")):
        assert blpo("judge", "new.parquet", "--run", run, *options).code == 0
    whole = pq.read_table("v.parquet")
    for name, rows in (("a", whole.slice(0, 12)), ("b", whole.slice(12))):
        pq.write_table(rows, f"{name}.parquet")

    def estimated(*files: str) -> str:
        outcome = blpo("estimate", *files, "--run", run, "--json")
        assert outcome.code == 0, outcome.err
        return outcome.out

    assert json.loads(estimated("v.parquet"))["num_images"] == 30
    assert estimated("parts") == estimated("a.parquet", "b.parquet") == estimated("v.parquet")
    for given in (("parts", "parts/part-00000.parquet"), ("b.parquet", "./b.parquet")):
        again = blpo("estimate", *given, "--run", run)
        assert again.code == 1
        assert f"is named twice, the first time as {given[0]}: leave one of" in again.err
    twice = blpo("estimate", "b.parquet", "v.parquet", "--run", run)
    assert twice.code == 1
    assert "v.parquet: 'new12' is in b.parquet, too, and would count twice" in twice.err
    Path("parts/part-00001.parquet").unlink()
    missing = blpo("estimate", "parts", "--run", run)
    assert missing.code == 1
    told = "parts: 1 of 3 shards are missing (of 1 to 3: 2); "
    assert f"{told}the `blpo judge` command that made the others makes what is" in missing.err
    Path("parts/_manifest.json").unlink()
    unmarked = blpo("estimate", "parts", "--run", run)
    assert (unmarked.code, f"{told}judge them with" in unmarked.err) == (1, True)
    singly = [f"parts/part-0000{number}.parquet" for number in (0, 2)]
    assert json.loads(estimated(*singly))["num_images"] < 30
    assert "1 of 3 shards are missing (of 1 to 3: 2), and not counted" in caplog.text
    Path("empty").mkdir()
    assert "empty: holds no Parquet file" in blpo("estimate", "empty", "--run", run).err


def test_verdicts_that_add_nothing_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    has_label, judged = np.array([0.0, 1.0, 0.0, 1.0]), np.ones(4)
    share = prevalence("x", has_label, judged, list("abcd"), np.ones(10), 1.0)
    show_estimate(Estimate([share], 10, 4, 0), as_json=False)
    assert "the estimate is that of the labelled images alone" in " ".join(
        capsys.readouterr().out.split()
    )
    share = prevalence("x", has_label, has_label, list("abcd"), np.ones(10), 1.0)
    show_estimate(Estimate([share], 10, 4, 0), as_json=False)
    assert "images alone" not in " ".join(capsys.readouterr().out.split())


def test_a_decision_for_another_prompt_is_refused(blpo: Blpo, new: Path) -> None:
    decided(blpo, new / "run", "--overwrite")
    path = new / "run" / "decision.json"
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({**kept, "result": "0"}))
    outcome = blpo("judge", "new.parquet", "--run", str(new / "run"), "--out", "v.parquet")
    path.write_text(json.dumps(kept))
    assert outcome.code == 1
    assert "belongs to another prompt or reading" in outcome.err


def test_next_lists_one_image_of_every_group_first_and_none_with_a_label(
    blpo: Blpo, new: Path
) -> None:
    arguments = ("next", "new.parquet", "--run", str(new / "run"), "--out", "next.csv")
    outcome = blpo(*arguments, "-n", "20")
    assert outcome.code == 0, outcome.err
    assert "left out: 1 that have a label or are of the run's splits" in outcome.out
    assert "next: fill in the column `label`, by example_id" in outcome.out
    table = pl.read_csv("next.csv")
    assert table.columns == ["example_id", "group", "verdict", "margin", "why", "label"]
    assert len(table) == 20
    assert table["group"][:15].n_unique() == 15
    assert "new0" not in table["example_id"]
    again = blpo(*arguments)
    assert again.code == 1
    assert "--overwrite" in again.err
    Path("cut.parquet").write_bytes(Path("new.parquet").read_bytes()[:500])
    cut = blpo("next", "cut.parquet", "--run", str(new / "run"), "--out", "cut.csv")
    assert (cut.code, "cut.parquet: not a whole Parquet file" in cut.err) == (1, True)
    outcome = blpo(*arguments, "-n", "50", "--overwrite")
    assert len(pl.read_csv("next.csv")) == 29
    assert "fewer than the 50 asked for: no others are left\nleft out: 1 that" in outcome.out


def test_picks_are_told_where_nothing_but_their_order_tells_them_from_others() -> None:
    def picked(margins: list[float], number: int) -> bool:
        found = [Candidate(f"{i}", f"{i}", "a", m, "unsure") for i, m in enumerate(margins)]
        return picked_of(found, number, 0).are_equal

    assert picked([0.5, 0.5, 0.5], 2)
    assert not picked([0.5, 0.5, 0.5], 3)
    assert not picked([0.4, 0.5, 0.5], 2)
    assert not picked([0.4, 0.4, 0.5], 2)


def test_with_labels_added_only_the_new_images_are_asked_for(tmp_path: Path) -> None:
    dataset, engine = ideal_world(TASK, num_train=120, num_test=20)
    reading = ReadingConfig.model_validate("auto")
    new_calls: dict[int, int] = {}
    for num in (100, 120):
        write_dataset(tmp_path / "data.parquet", [*dataset.train[:num], *dataset.test])
        engine.asked.clear()
        ideal_run(tmp_path, engine, f"of-{num}", judge_prompt=GOOD_PROMPT, reading=reading)
        new_calls[num] = len(engine.asked)
    assert new_calls == {100: 100 + 20, 120: 20}


def test_a_search_with_labels_added_asks_nothing_twice(tmp_path: Path) -> None:
    dataset, engine = ideal_world(TASK, num_train=24, num_test=8)
    for num in (20, 24):
        write_dataset(tmp_path / "data.parquet", [*dataset.train[:num], *dataset.test])
        ideal_run(tmp_path, engine, f"of-{num}", method="blpo")
    assert len(engine.asked) > 2 * 24 + 8
    assert len(engine.asked) == len(set(engine.asked))


def test_a_batch_that_is_otherwise_is_told_and_a_small_difference_is_not() -> None:
    expected = Distribution.of([Verdict("Safe", label_mass=0.99)] * 80 + [Verdict("Unsafe")] * 20)
    assert expected.drift({"Safe": 800_000, "Unsafe": 250_000}, {}) == []
    assert expected.drift({"Safe": 3, "Unsafe": 7}, {}) == []
    [told] = expected.drift({"Safe": 500, "Unsafe": 490, None: 10}, {})
    assert told == "verdicts (no label: 1%, there 0%, Safe: 50%, there 80%, Unsafe: 49%, there 20%)"
    sure = Distribution.of([Verdict("Safe", label_mass=0.9 + i / 1000) for i in range(100)])
    low = mass_bins([0.5] * 200, sure.mass_edges)
    assert sure.drift({"Safe": 200}, low) == [
        "label mass: how much of the model's probability lies on the labels"
    ]
