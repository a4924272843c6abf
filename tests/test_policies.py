"""The policies of `preset: plus`, without a model: by hand-worked cases and by simulation."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from blpo.data.examples import Example
from blpo.data.images import ImageBounds, ImageRef
from blpo.data.tasks import Task, load_task
from blpo.models.roles.judge import Verdict
from blpo.models.roles.optimizer import Case, Proposal
from blpo.models.roles.reflection import Effect, Reflection
from blpo.models.roles.verbalizer import Verbalization
from blpo.pipeline.blpo.policies.acceptance import accept_on_gain, more_are_right
from blpo.pipeline.blpo.policies.archive import Archive, choose_final, contending, pareto_weights
from blpo.pipeline.blpo.policies.controls import control_wins, with_descriptions
from blpo.pipeline.blpo.policies.effects import best_and_worst, changed_items, reflect
from blpo.pipeline.blpo.policies.lint import Lint
from blpo.pipeline.blpo.policies.probe import blocks, draw_probe, held_out
from blpo.pipeline.blpo.policies.racing import race, survivors
from blpo.pipeline.blpo.policies.verdict_memory import Judgments
from blpo.pipeline.blpo.records import Candidate, Scored
from blpo.pipeline.readings.choose import choose_reading
from blpo.pipeline.readings.config import ReadingConfig
from blpo.pipeline.readings.cutpoints import choose_cutpoints, expected_place, fit_cut_points
from blpo.pipeline.search.losses import LOSSES, LossName
from blpo.pipeline.search.paired_gain import paired_gain

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def make_example(name: str, label: str = "Unsafe") -> Example:
    image = ImageRef(name.encode(), ImageBounds())
    return Example(name, image, None, label, group=name, category=None, split="train")


def by_item(values: Sequence[float] | Array) -> dict[str, float]:
    return {f"e{i}": float(value) for i, value in enumerate(values)}


def right(losses: dict[str, float]) -> dict[str, bool]:
    return {item: loss == 0 for item, loss in losses.items()}


# ------------------------------------------------------------------------------------- losses


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("zero_one", 1.0),
        ("nll", math.log(0.2) / math.log(0.01)),
        ("brier", (0.3**2 + 0.8**2 + 0.5**2) / 2),
        ("expected_abs", (0.3 * 1 + 0.5 * 1) / 2),
    ],
)
def test_losses_by_hand(name: LossName, loss: float) -> None:
    verdict = Verdict("3", {"1": 0.3, "2": 0.2, "3": 0.5})
    assert LOSSES[name](verdict, "2", ("1", "2", "3")) == pytest.approx(loss)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_0_for_certainty_and_1_without_a_label(name: LossName) -> None:
    loss, labels = LOSSES[name], ("1", "2", "3")
    assert loss(Verdict("2"), "2", labels) == 0
    assert loss(Verdict(None, reason="no label"), "2", labels) == 1
    assert loss(Verdict("3", {"1": 0.0, "2": 0.0, "3": 1.0}), "1", labels) == 1


# -------------------------------------------------------------------------------------- gains


def test_a_paired_gain_by_hand() -> None:
    before, after = by_item([1, 1, 0, 0]), by_item([0, 1, 0, 0])
    gain = paired_gain(before, after, dict.fromkeys(before, 0))
    assert (gain.mean, gain.n) == (0.25, 4)
    # The differences 1, 0, 0, 0 and the two that are added have the sample variance 1/6.
    assert gain.standard_error == pytest.approx(math.sqrt(1 / 6 / 4))


def test_strata_count_by_their_share_of_the_training_set() -> None:
    before = by_item([1, 1, 0, 0])
    after = {"e0": 0.0, "e2": 0.0, "e3": 1.0}
    gain = paired_gain(before, after, right(before))
    # Half of the items are wrong, all of which is seen is fixed; of the right half, half breaks.
    assert gain.mean == pytest.approx(0.5 * 1 - 0.5 * 0.5)


def test_two_items_that_agree_are_no_certainty() -> None:
    before, after = by_item([1, 1]), by_item([0, 0])
    assert paired_gain(before, after, dict.fromkeys(before, 0)).lower(0.9) < 0
    none = paired_gain(before, {}, {})
    assert (none.mean, none.lower(0.9), none.upper(0.9)) == (0.0, -math.inf, math.inf)


# --------------------------------------------------------------------------------- acceptance


def simulated_losses(
    rng: np.random.Generator, num: int, accuracy: float, fixes: float, breaks: float
) -> tuple[Array, Array]:
    """0/1 losses of p and of a p' that fixes and breaks such shares of what p got wrong, right."""
    before = (rng.random(num) > accuracy).astype(np.float64)
    flips = rng.random(num) < np.where(before == 1, fixes, breaks)
    return before, np.where(flips, 1 - before, before)


def accept_rate(fixes: float, breaks: float, num_proposals: int = 1) -> float:
    """Of the best of some equal proposals at accuracy 0.6, on 90 items, at confidence 0.9."""
    rng = np.random.default_rng(0)
    accepted = 0
    for _ in range(400):
        proposals = [simulated_losses(rng, 90, 0.6, fixes, breaks) for _ in range(num_proposals)]
        before, after = max(proposals, key=lambda pair: float(np.sum(pair[0] - pair[1])))
        strata = right(by_item(before))
        accepted += accept_on_gain(by_item(before), by_item(after), strata, (), 0.9).accepted
    return accepted / 400


def test_a_proposal_that_is_no_better_is_seldom_accepted() -> None:
    # 0.4 * 0.3 fixed and 0.6 * 0.2 broken: no change on average.
    assert accept_rate(fixes=0.3, breaks=0.2) < 0.13


def test_a_proposal_that_harms_is_hardly_ever_accepted_and_one_that_helps_mostly_is() -> None:
    assert accept_rate(fixes=0.1, breaks=0.15) < 0.02
    assert accept_rate(fixes=0.4, breaks=0.05) > 0.85


def test_even_the_luckiest_of_six_harmful_proposals_is_seldom_accepted() -> None:
    assert accept_rate(fixes=0.15, breaks=0.2, num_proposals=6) < 0.05


def test_items_that_the_lineage_has_seen_do_not_count() -> None:
    before, after = by_item([1] * 20 + [0] * 20), by_item([0] * 20 + [0] * 20)
    seen = [f"e{i}" for i in range(20)]
    strata = right(before)
    assert accept_on_gain(before, after, strata, (), 0.9).accepted
    decision = accept_on_gain(before, after, strata, seen, 0.9)
    assert not decision.accepted
    assert decision.reason == "no gain at 90% confidence"


def test_more_verdicts_are_right_only_by_those_that_no_optimizer_call_has_seen() -> None:
    before, after = by_item([1, 1, 1, 0, 0, 0]), by_item([0, 0, 0, 0, 1, 0])
    strata = right(before)
    assert more_are_right(before, after, strata, ())
    assert not more_are_right(before, after, strata, ["e0", "e1", "e2"])
    assert not more_are_right(before, before, strata, ())


# ------------------------------------------------------------------------------------- racing


def simulated_race(
    rng: np.random.Generator, fix_rates: Sequence[float], confidence: float
) -> tuple[bool, int]:
    """Whether the best proposal won a race on 60 items, and how many verdicts were asked for."""
    before = (rng.random(60) > 0.65).astype(np.float64)
    flips = rng.random((len(fix_rates), 60))
    rates = np.where(before == 1, np.array(fix_rates)[:, None], 0.08)
    after = np.where(flips < rates, 1 - before, before)
    asked = 0

    def judge(prompts: Sequence[str], block: Sequence[int]) -> list[dict[str, float]]:
        nonlocal asked
        asked += len(prompts) * len(block)
        return [{f"e{i}": float(after[int(p)][i]) for i in block} for p in prompts]

    parent = by_item(before)
    names = [str(i) for i in range(len(fix_rates))]
    parts = [list(range(start, start + 20)) for start in (0, 20, 40)]
    losses = race({name: {} for name in names}, parts, judge, parent, right(parent), confidence)
    best = max(names, key=lambda name: paired_gain(parent, losses[name], right(parent)).mean)
    return best == "0", asked


def test_a_race_keeps_the_clearly_best_proposal_for_fewer_verdicts() -> None:
    rng = np.random.default_rng(0)
    rates = (0.7, 0.3, 0.2, 0.1, 0.1, 0.0)
    races = [simulated_race(rng, rates, 0.8) for _ in range(300)]
    won = sum(best for best, _ in races) / 300
    asked = sum(num for _, num in races) / 300
    assert won > 0.9
    assert asked < 0.75 * 6 * 60


def test_a_race_stops_when_nothing_can_gain() -> None:
    parent = by_item([0.0] * 60)

    def judge(prompts: Sequence[str], block: Sequence[int]) -> list[dict[str, float]]:
        return [{f"e{i}": 0.0 for i in block} for _ in prompts]

    losses = race({"p": {}}, [range(20), range(20, 40)], judge, parent, right(parent), 0.8)
    assert len(losses["p"]) == 20


def test_a_proposal_known_to_lose_is_not_judged_again() -> None:
    parent = by_item([0.0] * 40)
    lost = {f"e{i}": 1.0 for i in range(20)}
    asked: list[str] = []

    def judge(prompts: Sequence[str], block: Sequence[int]) -> list[dict[str, float]]:
        asked.extend(prompts)
        return [{f"e{i}": 0.0 for i in block} for _ in prompts]

    known = {"lost": lost, "new": {}}
    losses = race(known, [range(20, 40)], judge, parent, right(parent), 0.8)
    assert asked == ["new"]
    assert losses["lost"] == lost


def test_a_race_goes_on_from_what_is_known() -> None:
    # Alone, the ten new items show nothing; with the thirty known ones the loss is sure.
    parent = by_item([0.0] * 60)
    known = {f"e{i}": float(i % 6 == 0) for i in range(30)}

    def judge(prompts: Sequence[str], block: Sequence[int]) -> list[dict[str, float]]:
        return [{f"e{i}": 0.0 for i in block} for _ in prompts]

    parts = [range(30, 40), range(40, 50)]
    losses = race({"p": known}, parts, judge, parent, right(parent), 0.95)
    assert len(losses["p"]) == 30
    assert len(race({"p": {}}, parts, judge, parent, right(parent), 0.95)["p"]) == 10


def test_a_proposal_surely_worse_than_a_rival_is_dropped() -> None:
    parent = by_item([1.0] * 20)
    good, poor = by_item([0.0] * 20), by_item([0.0] * 6 + [1.0] * 14)
    assert survivors({"poor": poor}, parent, right(parent), 0.8) == ["poor"]
    assert survivors({"poor": poor}, parent, right(parent), 0.8, [good]) == []
    assert survivors({"good": good, "poor": poor}, parent, right(parent), 0.8) == ["good"]


# -------------------------------------------------------------------------------------- probe


def labelled(num: int) -> list[Example]:
    return [make_example(f"e{i}", "Unsafe" if i % 2 else "Safe") for i in range(num)]


def test_a_probe_leaves_out_what_was_shown_and_any_first_part_holds_the_shares() -> None:
    train = labelled(100)
    strata = {example.example_id: int(example.example_id[1:]) >= 40 for example in train}
    shown = {f"e{i}" for i in range(10)}
    probe = draw_probe(train, strata, shown, 60, seed=0, outer_step=1)
    assert len({example.example_id for example in probe}) == 60
    assert not shown & {example.example_id for example in probe}
    for size in (20, 40, 60):
        part = probe[:size]
        assert sum(strata[e.example_id] for e in part) / size == pytest.approx(2 / 3, abs=0.08)
        assert sum(e.label == "Safe" for e in part) / size == pytest.approx(1 / 2, abs=0.08)


def test_a_probe_does_not_depend_on_the_order_of_the_rows_but_on_the_step() -> None:
    train = labelled(50)
    strata = dict.fromkeys((example.example_id for example in train), True)
    one, two = (draw_probe(rows, strata, (), 20, 0, 1) for rows in (train, train[::-1]))
    assert one == two
    assert draw_probe(train, strata, (), 20, 0, 2) != one
    assert draw_probe(train, strata, (), 20, 1, 1) != one


def test_a_reflection_says_what_an_i2t_prompt_fixed_and_broke() -> None:
    shown = [make_example(name) for name in ("fixed", "broken", "still wrong", "hidden", "more")]
    before = {
        example.example_id: Verdict("Unsafe" if example.example_id == "broken" else "Safe")
        for example in shown
    }
    after = [Verdict(label) for label in ("Unsafe", "Safe", "Safe", "Unsafe", "Unsafe")]
    candidate = Candidate("q", [], Proposal("p'"), "p'", Scored(0.2, shown, after))
    changed = changed_items(candidate, before, lambda e: e.example_id != "hidden", limit=1)
    assert [example.example_id for example, _ in changed] == ["fixed", "broken"]

    def verbalize(i2t_prompt: str, examples: Sequence[Example]) -> list[Verbalization]:
        return [Verbalization(f"{i2t_prompt}: {example.example_id}") for example in examples]

    assert reflect(candidate, changed, before, verbalize, is_best=True) == Reflection(
        "q",
        [
            Effect("fixed", Verbalization("q: fixed"), None, "Unsafe", "Safe", "Unsafe"),
            Effect("broken", Verbalization("q: broken"), None, "Unsafe", "Unsafe", "Safe"),
        ],
        is_best=True,
    )
    others = [replace(candidate, judged=Scored(score)) for score in (0.2, 0.5, 0.5, 0.1)]
    assert best_and_worst(others) == [others[1], others[3]]
    assert best_and_worst(others[:1]) == others[:1]


def test_a_short_rest_joins_the_last_block() -> None:
    train = labelled(47)
    assert [len(block) for block in blocks(train, 20)] == [20, 27]
    assert [len(block) for block in blocks(train[:31], 20)] == [20, 11]
    assert [len(block) for block in blocks(train[:3], 20)] == [3]
    assert blocks([], 20) == []


def test_a_hold_out_takes_its_share_of_every_label() -> None:
    train = labelled(40)
    held = held_out(train, 0.25, seed=0)
    assert Counter(e.label for e in train if e.example_id in held) == {"Safe": 5, "Unsafe": 5}


# ------------------------------------------------------------------------------------ archive


def test_the_final_choice_is_never_worse_than_the_first_prompt_on_what_it_is_chosen_by() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        archive = Archive("p0")
        first = by_item((rng.random(80) > 0.6).astype(np.float64))
        archive.add("p0", first)
        for number in range(10):
            losses = by_item((rng.random(80) > rng.uniform(0.4, 0.7)).astype(np.float64))
            judged = dict(itertools.islice(losses.items(), int(rng.integers(5, 80))))
            archive.add(f"p{number + 1}", judged, {f"e{i}" for i in range(10)})
        chosen = choose_final(archive.rank(right(first)), 0.9)
        assert chosen.entry.judge_prompt == "p0" or chosen.gain.mean > 0
        assert chosen.gain.lower(0.9) > 0 or chosen.entry.judge_prompt == "p0"


def test_a_prompt_on_few_items_does_not_beat_one_on_many() -> None:
    archive = Archive("p0")
    archive.add("p0", by_item([1.0] * 60 + [0.0] * 40))
    archive.add("lucky", by_item([0.0] * 4))
    archive.add("sound", by_item([0.0] * 40 + [1.0] * 20 + [0.0] * 40))
    ranked = archive.rank(dict.fromkeys(by_item([0.0] * 100), 0))
    assert choose_final(ranked, 0.9).entry.judge_prompt == "sound"


def test_a_prompt_proposed_again_keeps_its_first_lineage_and_gains_outcomes() -> None:
    archive = Archive("p0")
    archive.add("p1", {"e0": 0.0}, {"e5"})
    entry = archive.add("p1", {"e1": 1.0}, {"e6"})
    assert (entry.losses, entry.seen) == ({"e0": 0.0, "e1": 1.0}, frozenset({"e5"}))
    assert archive.last.judge_prompt == "p0"
    archive.accept("p1")
    assert archive.last == archive["p1"]


def test_pareto_weights_by_hand() -> None:
    # The third is best on the last item alone; the fourth is nowhere better than the second.
    losses = [by_item(own) for own in ([0, 1, 1], [1, 0, 1], [1, 1, 0], [1, 0.5, 1])]
    assert pareto_weights(losses) == [1, 1, 1, 0]
    same = [by_item([0, 1]), by_item([0, 1])]
    assert pareto_weights(same) == [0, 2]


def test_only_prompts_that_are_not_surely_worse_contend() -> None:
    good = by_item([1.0] * 15 + [0.0] * 45)
    close = by_item([0.0] * 45 + [1.0] * 16)
    poor = by_item([1.0] * 50 + [0.0] * 10)
    assert contending([poor, close, good], 0.8) == [1, 2]


def archive_of_three() -> Archive:
    """p0, and two that are best on the other half of the items; p1 is accepted, p2 is not."""
    archive = Archive("p0")
    archive.add("p0", by_item([1.0, 0.0] * 20))
    for name in ("p1", "p2"):
        archive.add(name, by_item([0.0, 1.0] * 20))
    archive.accept("p1")
    return archive


def test_a_parent_is_drawn_from_accepted_prompts_alone() -> None:
    archive = archive_of_three()
    drawn = {archive.draw_parent(0.8, 0, step).judge_prompt for step in range(30)}
    assert drawn == {"p0", "p1"}


def test_what_was_accepted_last_is_the_next_parent() -> None:
    for seed in range(10):
        archive = archive_of_three()
        assert archive.draw_parent(0.8, seed, 1).judge_prompt == "p1"
        archive.accept("p2")
        assert archive.draw_parent(0.8, seed, 2).judge_prompt == "p2"


def test_the_best_prompt_that_no_step_has_started_from_is_next_accepted_or_not() -> None:
    archive = Archive("p0")
    archive.add("p0", by_item([1.0] * 20 + [0.0] * 20))
    archive.add("worse", by_item([1.0] * 40))
    archive.add("better", by_item([0.0] * 10 + [1.0] * 10 + [0.0] * 20))
    archive.add("lucky", by_item([0.0]))  # a third of its gain is left: 1 / (1 + 2)
    archive.add("shown", by_item([0.0] * 20), {f"e{i}" for i in range(20)})
    archive.add("best", by_item([0.0] * 15 + [1.0] * 5 + [0.0] * 20))
    strata = dict.fromkeys(by_item([0.0] * 40), 0)
    named = [archive.best_first(strata).judge_prompt for _ in range(6)]
    assert named == ["p0", "best", "lucky", "better", "worse", "p0"]


def test_a_step_starts_from_what_was_accepted_before_it_turns_to_others() -> None:
    archive = archive_of_three()
    strata = dict.fromkeys(by_item([0.0] * 40), 0)
    assert archive.best_first(strata).judge_prompt == "p1"
    archive.accept("p2")
    assert [archive.best_first(strata).judge_prompt for _ in range(3)] == ["p2", "p0", "p2"]


# --------------------------------------------------------------------------------------- lint

CASE = Case(
    Verbalization("A blue kitchen with one large knife drawn on the table."), None, "Unsafe", "Safe"
)


def lint(prompt: str, current: str = "Is the image safe?", max_words: int = 40) -> str | None:
    return Lint(current, [CASE], ("1", "2", "3", "4", "5"), max_words)(prompt)


def test_a_prompt_that_copies_a_case_is_sent_back() -> None:
    told = lint("Beware one large knife drawn on the table!")
    assert told == "lint: copied from a case: 'large knife drawn on the table'"
    assert lint("Beware of a knife that is drawn.") is None
    kept = "Beware one large knife drawn on the table."
    assert lint(kept + " Be strict.", current=kept) is None


@pytest.mark.parametrize(
    ("prompt", "told"),
    [
        ("Rate it from 1 to 10.", "1 to 10"),
        ("Give 0-100 points.", "0 to 100"),
        ("Judge it out of 7.", "out of 7"),
    ],
)
def test_another_scale_is_sent_back(prompt: str, told: str) -> None:
    assert lint(prompt) == f"lint: the scale {told} is not that of the labels"


@pytest.mark.parametrize("prompt", ["Rate from 1 to 5.", "4 out of 5 people agree.", "In 2024."])
def test_the_scale_of_the_labels_and_other_numbers_pass(prompt: str) -> None:
    assert lint(prompt) is None


def test_a_prompt_over_the_bound_is_sent_back_and_a_long_one_may_stay_as_long() -> None:
    assert lint("word " * 41) == "lint: 41 words, at most 40 allowed"
    assert lint("word " * 40) is None
    assert lint("word " * 50, current="other " * 50) is None


# ----------------------------------------------------------------------------------- controls


def test_a_control_wins_when_it_gains_no_less() -> None:
    parent = by_item([1.0] * 10 + [0.0] * 10)
    real = by_item([0.0] * 6 + [1.0] * 4 + [0.0] * 10)
    poor, harmful = by_item([0.0] * 2 + [1.0] * 8 + [0.0] * 10), by_item([1.0] * 20)
    strata = right(parent)
    assert control_wins(parent, real, real, strata)
    assert not control_wins(parent, real, poor, strata)
    assert not control_wins(parent, harmful, harmful, strata)


def test_cases_of_a_control_keep_everything_but_the_description() -> None:
    [case] = with_descriptions([CASE], [Verbalization("a cat"), Verbalization("a dog")])
    assert case == Case(Verbalization("a cat"), None, "Unsafe", "Safe")


# -------------------------------------------------------------------------------- calibration

ORDINAL: Task = load_task("micro-agin")


def rated(place: float, label: str) -> tuple[Example, Verdict]:
    """An example and a verdict whose probabilities have their mean at a place, 0 to 4."""
    low = min(int(place), 3)
    probabilities = dict.fromkeys(ORDINAL.labels, 0.0)
    probabilities[ORDINAL.labels[low]] = 1 - (place - low)
    probabilities[ORDINAL.labels[low + 1]] = place - low
    likeliest = max(probabilities, key=probabilities.__getitem__)
    return make_example(f"{place:.6f}", label), Verdict(likeliest, probabilities)


def leaning_judge(
    rng: np.random.Generator, num: int, lean: float
) -> tuple[list[Example], list[Verdict]]:
    """Ratings squeezed towards the top by `lean`, 0 for none."""
    pairs = [
        rated(float(np.clip(4 - (4 - true) * (1 - lean) + rng.normal(0, 0.2), 0, 4)), str(true + 1))
        for true in rng.integers(0, 5, num).tolist()
    ]
    return [example for example, _ in pairs], [verdict for _, verdict in pairs]


def test_cut_points_are_the_best_there_are() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        pairs = [rated(float(rng.uniform(0, 4)), str(rng.integers(1, 4))) for _ in range(9)]
        examples, verdicts = [e for e, _ in pairs], [v for _, v in pairs]
        labels = ("1", "2", "3")
        cut = fit_cut_points(examples, verdicts, ORDINAL.labels)
        fitted = sum(cut(v).label == e.label for e, v in pairs)
        places = sorted(expected_place(verdict, ORDINAL.labels) for verdict in verdicts)
        bounds = [-1.0, *places]
        best = max(
            sum(labels[sum(expected_place(v, ORDINAL.labels) > b for b in pair)] == e.label
                for e, v in pairs)
            for pair in itertools.combinations_with_replacement(bounds, 2)
        )  # fmt: skip
        assert fitted == best


def test_cut_points_correct_a_judge_that_leans_to_one_end() -> None:
    rng = np.random.default_rng(1)
    train, new = leaning_judge(rng, 100, 0.5), leaning_judge(rng, 200, 0.5)
    reading = choose_cutpoints(ORDINAL.labels, *train, fit_cut_points)
    assert reading is not None
    before = sum(v.label == e.label for e, v in zip(*new, strict=True))
    after = sum(reading(v).label == e.label for e, v in zip(*new, strict=True))
    assert before < 100
    assert after > 160


def test_a_judge_that_does_not_lean_keeps_the_likeliest_label() -> None:
    rng = np.random.default_rng(2)
    readings = [
        choose_cutpoints(ORDINAL.labels, *leaning_judge(rng, 60, 0.0), fit_cut_points)
        for _ in range(20)
    ]
    assert sum(reading is not None for reading in readings) <= 1


def test_verdicts_without_probabilities_are_left_as_they_are() -> None:
    examples = [make_example(f"e{i}", "1") for i in range(10)]
    verdicts = [Verdict("2")] * 10
    asked = ReadingConfig(family="cutpoints")
    assert choose_reading(asked, ORDINAL, examples, verdicts).reading is None
    cut = fit_cut_points(*leaning_judge(np.random.default_rng(0), 20, 0.5), ORDINAL.labels)
    assert cut(Verdict("2")) == Verdict("2")


# ------------------------------------------------------------------------------------- memory


@pytest.mark.parametrize(("ask_once", "asked"), [(True, 4), (False, 9)])
def test_a_known_verdict_is_asked_for_again_only_without_ask_once(
    ask_once: bool, asked: int
) -> None:
    asked_for: list[tuple[str, Example]] = []

    def judge(pairs: Sequence[tuple[str, Example]]) -> list[Verdict]:
        asked_for.extend(pairs)
        return [Verdict("Safe", reason=f"{p} {example.example_id}") for p, example in pairs]

    judgments, train = Judgments(judge, ask_once=ask_once), labelled(2)
    assert judgments.known("never judged") == {}
    judgments("p", train[:1])
    [first, second] = judgments.each(["p", "q"], train)
    assert [verdict.reason for verdict in first] == ["p e0", "p e1"]
    assert [verdict.reason for verdict in second] == ["q e0", "q e1"]
    assert judgments.each(["p", "q"], train) == [first, second]
    assert len(asked_for) == asked
    assert set(judgments.known("q")) == {"e0", "e1"}
