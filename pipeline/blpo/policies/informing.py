"""What `update_p: informed` tells Update_p of p_t, and Update_q of what was tried."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, zip_longest

from ....data.examples import Example
from ....data.tasks import Task
from ....models.roles.briefing import EarlierPrompt, LabelCounts, SideBySide
from ....models.roles.judge import Verdict
from ....models.roles.optimizer import ScoredPrompt
from ....models.roles.verbalizer import Verbalization
from ...search.paired_gain import paired_gain
from ...search.seeds import derived_order
from ..records import Candidate, InnerProblem, Misjudgment
from .lineage import Lineage

MOST_EARLIER = 5
"""Judge prompts tried before that are shown; the best of them."""

MOST_COMPARED = 4
"""I2T prompts under which an example is shown side by side; the best of them."""

Misses = Callable[[str | None, str], int]
"""(verdict's label, human label) -> by how many labels it misses, 0 where it is right."""

Described = Mapping[str, Mapping[str, Verbalization]]
"""Verbalizations that are no failures, by I2T prompt and example_id."""

Compared = tuple[Example, SideBySide]
"""An example, and as Update_q is shown it under several I2T prompts."""


def misses_of(task: Task) -> Misses:
    """Along the scale of an ordinal task; of another, 1 for any label but the right one.

    A verdict without a label misses by more than any other.
    """

    def misses(label: str | None, human_label: str) -> int:
        if label is None:
            return len(task.labels)
        if task.kind != "ordinal":
            return int(label != human_label)
        return abs(task.labels.index(label) - task.labels.index(human_label))

    return misses


def label_counts(
    problem: InnerProblem, train: Sequence[Example], labels: Sequence[str]
) -> list[LabelCounts]:
    """The confusion of p_t's verdicts on the training examples, by human label."""
    pairs = Counter(
        (example.label, verdict.label)
        for example, verdict in zip(train, problem.verdicts, strict=True)
    )
    return [
        LabelCounts(human, [(label, n) for label in (*labels, None) if (n := pairs[human, label])])
        for human in labels
    ]


def judged_right(
    problem: InnerProblem,
    train: Sequence[Example],
    may_show: Callable[[Example], bool],
    number: int,
    seed: int,
) -> list[Example]:
    """At most `number` examples that p_t judges right, shared out among the labels.

    They are drawn for each outer step.
    """
    right = [
        example
        for example, verdict in zip(train, problem.verdicts, strict=True)
        if verdict.label == example.label and may_show(example)
    ]
    drawn = derived_order(right, lambda example: example.example_id, seed, "kept", problem.index)
    by_label: dict[str, list[Example]] = {}
    for example in drawn:
        by_label.setdefault(example.label, []).append(example)
    in_turn = chain.from_iterable(zip_longest(*by_label.values()))
    return [example for example in in_turn if example is not None][:number]


def earlier_prompts(
    known: Mapping[str, Mapping[str, Verdict]],
    current: str,
    train: Sequence[Example],
    misses: Misses,
) -> list[EarlierPrompt]:
    """Judge prompts beside the current one on the images that both judged, the best last.

    One that brought no verdict closer to the human label or further from it is left out: it tells
    nothing. known: verdicts by judge prompt and example_id.
    """
    label_of = {example.example_id: example.label for example in train}
    now = known.get(current, {})
    found: list[EarlierPrompt] = []
    for judge_prompt, verdicts in known.items():
        if judge_prompt == current:
            continue
        missed = [
            tuple(misses(own[item].label, label_of[item]) for own in (verdicts, now))
            for item in verdicts
            if item in now
        ]
        one = EarlierPrompt(
            judge_prompt,
            num_images=len(missed),
            num_gained=sum(there == 0 < here for there, here in missed),
            num_lost=sum(here == 0 < there for there, here in missed),
            num_closer=sum(there < here for there, here in missed),
            num_further=sum(here < there for there, here in missed),
        )
        if one.num_closer or one.num_further:
            found.append(one)
    found.sort(key=lambda one: one.standing)
    return found[-MOST_EARLIER:]


def with_noise(tried: Sequence[Candidate], lineage: Lineage) -> list[ScoredPrompt]:
    """The history with the uncertainty of each score."""
    gains = [paired_gain(lineage.losses, one.judged.losses, lineage.strata) for one in tried]
    return [
        ScoredPrompt(one.i2t_prompt, one.score, gain.standard_error if gain.n else None)
        for one, gain in zip(tried, gains, strict=True)
    ]


def side_by_side(
    history: Sequence[ScoredPrompt],
    misjudgments: Sequence[Misjudgment],
    kept: Sequence[Example],
    described: Described,
) -> list[Compared]:
    """A misjudged example and one that is right, under the best of the I2T prompts.

    The first of those that most I2T prompts have described, two at least; none is described for
    this. The right one has, where it can, the label that the other was taken for.
    """
    wrong = [
        _under_each(history, one.example, one.verdict.label, described) for one in misjudgments
    ]
    shown = max(wrong, key=_num_descriptions, default=None)
    taken_for = shown[1].verdict if shown else None
    right = [_under_each(history, example, example.label, described) for example in kept]
    other = max(
        right,
        key=lambda one: (_num_descriptions(one), one[0].label == taken_for),
        default=None,
    )
    return [one for one in (shown, other) if one is not None and _num_descriptions(one) > 1]


def _under_each(
    history: Sequence[ScoredPrompt], example: Example, verdict: str | None, described: Described
) -> Compared:
    """An example under the best I2T prompts that have described it; the first of equals."""
    found = [
        (place, tried.score, known[example.example_id])
        for place, tried in enumerate(history, start=1)
        if example.example_id in (known := described.get(tried.i2t_prompt, {}))
    ]
    best = sorted(found, key=lambda one: -one[1])[:MOST_COMPARED]
    descriptions = [
        (place, verbalization) for place, _, verbalization in sorted(best, key=lambda one: one[0])
    ]
    return example, SideBySide(example.text, example.label, verdict, example.comment, descriptions)


def _num_descriptions(one: Compared) -> int:
    return len(one[1].descriptions)
