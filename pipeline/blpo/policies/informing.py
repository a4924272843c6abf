"""What `update_p: informed` tells Update_p of p_t, and Update_q of what was tried."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, zip_longest

from ....data.examples import Example
from ....models.roles.briefing import EarlierPrompt, LabelCounts
from ....models.roles.judge import Verdict
from ....models.roles.optimizer import ScoredPrompt
from ...search.paired_gain import paired_gain
from ...search.seeds import derived_order
from ..records import Candidate, InnerProblem
from .lineage import Lineage

MOST_EARLIER = 5
"""Judge prompts tried before that are shown; the best of them."""


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
    known: Mapping[str, Mapping[str, Verdict]], current: str, train: Sequence[Example]
) -> list[EarlierPrompt]:
    """Judge prompts beside the current one on the images that both judged, the best last.

    One that set nothing right and nothing wrong is left out: it tells nothing. known: verdicts by
    judge prompt and example_id.
    """
    label_of = {example.example_id: example.label for example in train}
    now = known.get(current, {})
    found: list[EarlierPrompt] = []
    for judge_prompt, verdicts in known.items():
        shared = [item for item in verdicts if item in now]
        if judge_prompt != current and shared:
            right, right_now = (
                {item for item in shared if own[item].label == label_of[item]}
                for own in (verdicts, now)
            )
            gained, lost = len(right - right_now), len(right_now - right)
            if gained or lost:
                found.append(EarlierPrompt(judge_prompt, len(shared), gained, lost))
    found.sort(key=lambda one: one.gain)
    return found[-MOST_EARLIER:]


def with_noise(tried: Sequence[Candidate], lineage: Lineage) -> list[ScoredPrompt]:
    """The history with the uncertainty of each score and one of the descriptions under each q."""
    gains = [paired_gain(lineage.losses, one.judged.losses, lineage.strata) for one in tried]
    return [
        ScoredPrompt(
            one.i2t_prompt,
            one.score,
            gain.standard_error if gain.n else None,
            one.verbalizations[0],
        )
        for one, gain in zip(tried, gains, strict=True)
    ]
