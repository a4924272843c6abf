"""What `update_q: reflective` shows Update_q: what the best and the worst q fixed and broke."""

from collections.abc import Callable, Mapping, Sequence

from ....data.examples import Example
from ....models.roles.judge import Verdict
from ....models.roles.reflection import Effect, Reflection
from ....models.roles.verbalizer import Verbalization
from ..records import Candidate

Changed = tuple[Example, Verdict]
"""An item whose verdict p' changed between right and wrong, with the new verdict."""

Verbalize = Callable[[str, Sequence[Example]], list[Verbalization]]
"""One verbalization under an I2T prompt per example, in order."""


def best_and_worst(tried: Sequence[Candidate]) -> list[Candidate]:
    """The first with the highest score and the first with the lowest; one if they are the same."""
    best = max(tried, key=lambda candidate: candidate.score)
    worst = min(tried, key=lambda candidate: candidate.score)
    return [best] if best is worst else [best, worst]


def changed_items(
    candidate: Candidate,
    before: Mapping[str, Verdict],
    may_show: Callable[[Example], bool],
    limit: int,
) -> list[Changed]:
    """At most `limit` items that p' set right, then as many that it set wrong.

    before: verdicts of p_t by example_id.
    """
    judged = candidate.judged
    changed = [
        (example, after, after.label == example.label)
        for example, after in zip(judged.examples, judged.verdicts, strict=True)
        if may_show(example)
        and (after.label == example.label) != (before[example.example_id].label == example.label)
    ]
    fixed = [(example, after) for example, after, is_right in changed if is_right]
    broken = [(example, after) for example, after, is_right in changed if not is_right]
    return fixed[:limit] + broken[:limit]


def reflect(
    candidate: Candidate,
    changed: Sequence[Changed],
    before: Mapping[str, Verdict],
    verbalize: Verbalize,
    *,
    is_best: bool,
) -> Reflection:
    """The changed items as the optimizer reads them, described under the candidate's q."""
    texts = verbalize(candidate.i2t_prompt, [example for example, _ in changed])
    effects = [
        Effect(
            "fixed" if after.label == example.label else "broken",
            text,
            example.text,
            example.label,
            before[example.example_id].label,
            after.label,
            example.comment,
        )
        for (example, after), text in zip(changed, texts, strict=True)
    ]
    return Reflection(candidate.i2t_prompt, effects, is_best)
