"""Pairs through the judge, the verbalizer and the metrics: labels, orders, ties, failures."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from blpo.data.examples import Example
from blpo.data.images import ImageBounds, ImageRef
from blpo.data.importers.pairs import PairRow, presented
from blpo.data.importers.places import ImagePlace
from blpo.data.tasks import Task
from blpo.models.cost import Cost
from blpo.models.engine import EngineIdentity, Reply, Request
from blpo.models.roles.judge import Judge, Verdict
from blpo.models.roles.judges import make_judge, num_requests
from blpo.models.roles.optimizer import Case, render_cases
from blpo.models.roles.pair_judge import (
    PairJudge,
    PairVerdict,
    average_orders,
    compare_scores,
    is_turned,
)
from blpo.models.roles.verbalizer import Verbalization, Verbalizer
from blpo.pipeline.metrics.agreement import agreement
from blpo.pipeline.metrics.pairs import leaning_note, pair_scores
from blpo.pipeline.readings.cutpoints import CutPoints
from blpo.pipeline.readings.tie_band import fit_tie_band
from blpo.pipeline.runs.predictions import PastExample, predictions_bytes, read_predictions


def pair_task(**changes: Any) -> Task:
    fields: dict[str, Any] = {
        "name": "pairs",
        "description": "Which image?",
        "kind": "pairwise",
        "labels": ("A", "B"),
        "compare": "joint",
        "judge_prompt": "Which image is better?",
        "i2t_prompt": "Describe it.",
        "answer_instruction": "Answer A or B.",
        "primary_metric": "accuracy",
    }
    return Task.model_validate(fields | changes)


TIES = ("A", "tie", "B")
JOINT = pair_task()
JOINT_TIES = pair_task(labels=TIES)
SCORES = pair_task(compare="scores", score_labels=("1", "2", "3"))
SCORES_TIES = pair_task(labels=TIES, compare="scores", score_labels=("1", "2", "3"))


def image(name: str) -> ImageRef:
    return ImageRef(name.encode(), ImageBounds())


def pair(number: int, label: str = "A", group: str | None = None) -> Example:
    return Example(
        example_id=f"pair-{number}",
        image=image(f"a{number}"),
        further_images=(image(f"b{number}"),),
        text=None,
        label=label,
        group=group or f"g{number}",
        category=None,
        split="test",
    )


@dataclass
class Engine:
    """Answers by what a function says of the images it is shown, named by their bytes."""

    answer: Callable[[Sequence[str]], Reply]
    asked: list[Request] = field(default_factory=list[Request])
    version: str = "fake"

    @property
    def identity(self) -> EngineIdentity:
        return EngineIdentity("fake", "fake", "0", "none")

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        self.asked.extend(requests)
        return [self.answer([i.data.decode() for i in r.images]) for r in requests]

    def close(self) -> None:
        pass


def shown(engine: Engine) -> list[str]:
    """The images of each request, by name."""
    return [" ".join(i.data.decode() for i in request.images) for request in engine.asked]


def label_reply(probabilities: Mapping[str, float], mass: float = 1.0) -> Reply:
    logprobs = {label: math.log(p * mass) for label, p in probabilities.items()}
    return Reply(max(logprobs, key=lambda label: logprobs[label]), "label", logprobs)


def verdict(**probabilities: float) -> Verdict:
    best = max(probabilities, key=lambda label: probabilities[label])
    return Verdict(best, probabilities, 1.0)


def scored(*probabilities: float) -> Verdict:
    return verdict(**{str(i): p for i, p in enumerate(probabilities, 1)})


def test_a_joint_judge_is_asked_in_both_orders_and_averages_after_turning_back() -> None:
    def prefers_b_and_the_first(images: Sequence[str]) -> Reply:
        first = 0.3 if images[0].startswith("a") else 0.9
        return label_reply({"A": first, "B": 1 - first}, mass=0.5)

    engine = Engine(prefers_b_and_the_first)
    [given] = PairJudge(engine, JOINT)("p", [pair(1)])
    assert shown(engine) == ["a1 b1", "b1 a1"]
    assert isinstance(given, PairVerdict)
    assert given.probabilities == pytest.approx({"A": 0.2, "B": 0.8})
    assert (given.label, given.in_order, given.turned) == ("B", "B", "B")
    assert given.label_mass == pytest.approx(0.5)


def test_a_judge_that_always_answers_the_first_image_is_at_one_half_and_told_as_such() -> None:
    engine = Engine(lambda _: label_reply({"A": 0.99, "B": 0.01}))
    examples = [pair(number, "AB"[number % 2]) for number in range(40)]
    verdicts = PairJudge(engine, JOINT)("p", examples)
    assert all(v.probabilities == pytest.approx({"A": 0.5, "B": 0.5}) for v in verdicts)
    scores = pair_scores(examples, verdicts, seed=0)
    assert scores is not None
    assert scores.position_consistency == 0
    assert scores.first_position_rate == 1
    assert scores.strict_accuracy == 0.5


@pytest.mark.parametrize(
    ("rate", "told"),
    [
        (1.0, "100% of its answers prefer the image shown first"),
        (0.1, "90% of its answers prefer the image shown second"),
        (0.74, ""),
        (0.26, ""),
        (None, ""),
    ],
)
def test_a_leaning_to_a_place_is_told_from_three_answers_in_four(
    rate: float | None, told: str
) -> None:
    engine = Engine(lambda _: label_reply({"A": 0.99, "B": 0.01}))
    verdicts = PairJudge(engine, JOINT)("p", [pair(1)])
    scores = pair_scores([pair(1)], verdicts, seed=0)
    assert scores is not None
    note = leaning_note(scores.model_copy(update={"first_position_rate": rate}))
    assert note.partition(": ")[0] == told
    assert leaning_note(None) == ""


def test_hashed_orders_ask_once_half_of_them_turned_and_mean_the_same() -> None:
    def prefers_a(images: Sequence[str]) -> Reply:
        a = 0.9 if images[0].startswith("a") else 0.1
        return label_reply({"A": a, "B": 1 - a})

    engine = Engine(prefers_a)
    examples = [pair(number) for number in range(200)]
    verdicts = PairJudge(engine, JOINT, "hashed")("p", examples)
    assert {v.label for v in verdicts} == {"A"}
    first = Counter(request.images[0].data[:1] for request in engine.asked)
    assert first.total() == 200
    assert 70 < first[b"a"] < 130
    scores = pair_scores(examples, verdicts, seed=0)
    assert scores is not None
    assert scores.position_consistency is None
    assert scores.first_position_rate == pytest.approx(first[b"a"] / 200)


def test_the_order_asked_does_not_undo_the_order_of_the_import() -> None:
    place = ImagePlace.__new__(ImagePlace)
    both = Counter(
        (presented(PairRow(f"{i}", place, place, "", "A")).swapped, is_turned(f"{i}"))
        for i in range(400)
    )
    assert min(both[key] for key in [(True, True), (True, False), (False, True)]) > 60


@pytest.mark.parametrize(
    ("labels", "task", "expected"),
    [
        (("A", "A"), JOINT, "A"),
        (("A", "B"), JOINT, None),
        (("A", "B"), JOINT_TIES, "tie"),
        (("tie", "tie"), JOINT_TIES, "tie"),
    ],
)
def test_without_probabilities_orders_that_disagree_are_a_tie_or_no_label(
    labels: tuple[str, str], task: Task, expected: str | None
) -> None:
    given = average_orders(Verdict(labels[0]), Verdict(labels[1]), task)
    assert given.label == expected
    assert (given.reason is None) == (expected is not None)
    assert (given.in_order, given.turned) == labels


def test_an_order_that_fails_leaves_the_pair_without_a_label_and_says_why() -> None:
    given = average_orders(verdict(A=0.9, B=0.1), Verdict(None, reason="too long"), JOINT)
    assert (given.label, given.reason, given.in_order, given.turned) == (
        None,
        "too long",
        "A",
        None,
    )


def test_a_tie_that_both_orders_find_likeliest_is_the_verdict() -> None:
    probabilities = {"A": 0.2, "tie": 0.5, "B": 0.3}
    given = average_orders(verdict(**probabilities), verdict(**probabilities), JOINT_TIES)
    assert given.label == "tie"
    assert given.probabilities == pytest.approx(probabilities)


def test_scores_are_compared_as_draws_from_either_image() -> None:
    first, second = scored(0.1, 0.2, 0.7), scored(0.5, 0.25, 0.25)
    a = 0.2 * 0.5 + 0.7 * 0.75
    tie = 0.1 * 0.5 + 0.2 * 0.25 + 0.7 * 0.25
    with_ties = compare_scores(first, second, SCORES_TIES)
    assert with_ties.probabilities == pytest.approx({"A": a, "tie": tie, "B": 1 - a - tie})
    without = compare_scores(first, second, SCORES)
    assert without.probabilities == pytest.approx({"A": a + tie / 2, "B": 1 - a - tie / 2})
    assert (without.label, without.in_order, without.num_orders) == ("A", None, 0)


def test_scores_without_probabilities_count_as_certain() -> None:
    for one, other, expected in (("3", "1", "A"), ("1", "3", "B"), ("2", "2", "tie")):
        assert compare_scores(Verdict(one), Verdict(other), SCORES_TIES).label == expected
    failed = compare_scores(Verdict("1"), Verdict(None, reason="cut"), SCORES)
    assert (failed.label, failed.reason) == (None, "cut")


def test_scores_ask_about_each_image_alone_on_the_score_labels() -> None:
    engine = Engine(lambda _: label_reply({"1": 0.1, "2": 0.1, "3": 0.8}))
    make_judge(engine, SCORES)("p", [pair(1), pair(2)])
    assert shown(engine) == ["a1", "b1", "a2", "b2"]
    assert {request.labels for request in engine.asked} == {("1", "2", "3")}
    assert {request.prompt for request in engine.asked} == {"p\nAnswer A or B."}


@pytest.mark.parametrize("compare", ["joint", "scores"])
def test_a_pair_costs_what_both_of_its_requests_cost(compare: str) -> None:
    task = JOINT if compare == "joint" else SCORES
    shares = dict.fromkeys(task.score_labels or task.labels, 0.3)
    engine = Engine(lambda _: replace(label_reply(shares), prompt_tokens=20, completion_tokens=1))
    [given] = make_judge(engine, task)("p", [pair(1)])
    assert given.cost == Cost(calls=2, prompt_tokens=40, completion_tokens=2)


def test_a_task_without_pairs_gets_the_plain_judge_and_one_request_a_verdict() -> None:
    single = pair_task(kind="binary", compare=None)
    assert isinstance(make_judge(Engine(lambda _: label_reply({"A": 1})), single), Judge)
    assert num_requests(single, "both") == 1
    assert [num_requests(JOINT, orders) for orders in ("both", "hashed")] == [2, 1]
    assert [num_requests(SCORES, orders) for orders in ("both", "hashed")] == [2, 2]


def test_strict_accuracy_leaves_out_human_ties_and_counts_a_tie_verdict_as_wrong() -> None:
    labels = ["A", "A", "B", "tie", "tie"]
    examples = [pair(number, label) for number, label in enumerate(labels)]
    verdicts = [PairVerdict(label) for label in ("A", "tie", "B", "tie", "A")]
    scores = pair_scores(examples, verdicts, seed=0)
    assert scores is not None
    assert (scores.strict_accuracy, scores.num_strict) == (2 / 3, 3)
    assert scores.tie_aware_accuracy == 3 / 5
    assert agreement(examples, verdicts, JOINT_TIES.labels, 0).pairs == scores


def test_an_order_without_a_label_is_not_consistent() -> None:
    verdicts = [
        PairVerdict("A", in_order="A", turned="A", num_orders=2),
        PairVerdict(None, in_order="A", turned=None, num_orders=2),
        PairVerdict(None, in_order=None, turned=None, num_orders=2),
        PairVerdict("tie", in_order="tie", turned="tie", num_orders=2),
    ]
    scores = pair_scores([pair(number) for number in range(4)], verdicts, seed=0)
    assert scores is not None
    assert scores.position_consistency == 0.5
    assert scores.first_position_rate == 2 / 3


def test_pairs_of_one_group_widen_the_interval() -> None:
    rights = [number % 10 < 5 for number in range(100)]
    verdicts = [PairVerdict("A" if right else "B") for right in rights]

    def width(groups: Callable[[int], str]) -> float:
        examples = [pair(number, group=groups(number)) for number in range(100)]
        scores = pair_scores(examples, verdicts, seed=0)
        assert scores is not None
        low, high = scores.ci95["strict_accuracy"]
        return high - low

    assert width(lambda number: f"{number // 5}") > 1.5 * width(str)


def test_intervals_of_pairs_are_drawn_by_the_seed() -> None:
    examples = [pair(number) for number in range(60)]
    verdicts = [PairVerdict("A" if number % 3 else "B") for number in range(60)]
    drawn = [pair_scores(examples, verdicts, seed) for seed in (0, 0, *range(1, 10))]
    assert drawn[0] == drawn[1]
    # Two seeds may agree: bounds are shares of 60 pairs.
    assert any(other != drawn[0] for other in drawn[2:])


def test_an_interval_over_few_strict_pairs_is_a_share_of_those_that_were_drawn() -> None:
    pairs = [pair(number, "A" if number < 4 else "tie") for number in range(10)]
    found = pair_scores(pairs, [PairVerdict("A")] * 10, seed=0)
    assert found is not None
    assert found.ci95["strict_accuracy"] == (1.0, 1.0)


def preference(a: float, tie: float) -> PairVerdict:
    probabilities = {"A": a, "tie": tie, "B": 1 - a - tie}
    label = max(probabilities, key=lambda name: probabilities[name])
    return PairVerdict(label, probabilities, 1.0, num_orders=2)


@pytest.mark.parametrize("seed", range(20))
def test_the_band_of_ties_is_the_best_of_all_on_train_and_even_about_one_half(seed: int) -> None:
    draw = np.random.default_rng(seed)
    shares = draw.dirichlet((2, 1, 2), 40)
    verdicts = [preference(round(a, 2), round(tie, 2)) for a, tie, _ in shares.tolist()]
    examples = [pair(i, str(label)) for i, label in enumerate(draw.choice(TIES, 40))]
    fitted = fit_tie_band(examples, verdicts, TIES)
    assert fitted.cuts[0] + fitted.cuts[1] == pytest.approx(2)

    def num_right(cuts: CutPoints) -> int:
        return sum(cuts(v).label == e.label for v, e in zip(verdicts, examples, strict=True))

    halves = [0.0013 + 0.002 * i for i in range(499)]
    tried = (CutPoints(labels=TIES, cuts=(1 - half, 1 + half)) for half in halves)
    assert num_right(fitted) == max(map(num_right, tried))


def test_a_band_keeps_what_a_verdict_says_of_the_orders() -> None:
    band = CutPoints(labels=TIES, cuts=(0.8, 1.2))
    probabilities = {"A": 0.55, "tie": 0.0, "B": 0.45}
    given = band(PairVerdict("A", probabilities, 1.0, in_order="A", turned="B", num_orders=2))
    assert isinstance(given, PairVerdict)
    assert (given.label, given.in_order, given.turned) == ("tie", "A", "B")


def test_verdicts_on_single_images_have_no_pair_scores() -> None:
    assert pair_scores([pair(1)], [Verdict("A")], seed=0) is None


def test_each_image_of_a_pair_is_described_on_its_own_and_they_are_read_together() -> None:
    engine = Engine(lambda images: Reply(f"shows {images[0]}", "stop"))
    [one, two] = Verbalizer(engine, 64)("Describe it.", [pair(1), pair(2)])
    assert shown(engine) == ["a1", "b1", "a2", "b2"]
    assert one == Verbalization("Image A: shows a1\nImage B: shows b1")
    assert two.text.endswith("shows b2")


def test_a_pair_of_which_one_image_was_not_described_says_so() -> None:
    def fails_on_b(images: Sequence[str]) -> Reply:
        return Reply("", "error", error="too large") if images[0][0] == "b" else Reply("x", "stop")

    [given] = Verbalizer(Engine(fails_on_b), 64)("Describe it.", [pair(1)])
    assert given == Verbalization(
        "Image A: x\nImage B: (no description)", "image B: too large", has_failed=True
    )
    [none] = Verbalizer(Engine(lambda _: Reply("", "stop")), 64)("Describe it.", [pair(1)])
    assert none == Verbalization("", "image A: empty reply; image B: empty reply", has_failed=True)


def test_a_pair_tells_a_description_that_was_cut_off_from_one_that_failed() -> None:
    cut, failed = Reply("a cat on", "length"), Reply("", "error", error="too large")
    whole = Reply("a cat", "stop")

    def told(a: Reply, b: Reply) -> tuple[bool, bool]:
        engine = Engine(lambda images: a if images[0].startswith("a") else b)
        [given] = Verbalizer(engine, 64)("Describe it.", [pair(1)])
        return given.is_cut_off, given.has_failed

    assert told(whole, cut) == (True, False)
    assert told(failed, whole) == (False, True)
    assert told(cut, failed) == (True, True)
    assert told(whole, whole) == (False, False)


def test_an_optimizer_that_sees_pairs_is_told_which_image_is_which() -> None:
    no_text = Verbalization("")
    cases = [Case(no_text, None, "A", "B", (image(f"a{i}"), image(f"b{i}"))) for i in (1, 2)]
    rendered = render_cases(cases)
    assert "A: <image>1</image>\nB: <image>2</image>" in rendered
    assert "A: <image>3</image>\nB: <image>4</image>" in rendered
    assert [i.data for case in cases for i in case.images] == [b"a1", b"b1", b"a2", b"b2"]


def test_what_each_order_was_answered_is_read_back_from_the_predictions(tmp_path: Path) -> None:
    given = [
        PairVerdict("A", {"A": 0.7, "B": 0.3}, 0.9, in_order="A", turned="B", num_orders=2),
        PairVerdict(None, reason="the two orders disagree", in_order="A", num_orders=2),
    ]
    examples = [PastExample(f"e{i}", f"g{i}", "A") for i in range(2)]
    record: Any = SimpleNamespace(
        task=JOINT,
        dataset=SimpleNamespace(test=examples),
        initial_verdicts=given,
        final_verdicts=given,
        again_verdicts=None,
        raw_on_test=None,
    )
    (tmp_path / "predictions.parquet").write_bytes(predictions_bytes(record))
    assert list(read_predictions(tmp_path / "predictions.parquet").final) == given
