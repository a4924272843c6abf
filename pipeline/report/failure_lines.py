"""What the roles of a run failed at, and what they were asked otherwise, in words."""

from collections.abc import Mapping, Sequence

from ...models.wrappers.ledger import Role
from ..metrics.agreement import Agreement
from ..metrics.label_mass import low_mean_warning
from ..metrics.pairs import leaning_note
from ..result import RoleFailures, RunResult
from ..search.failures import commonest

_FEW_QUESTIONS = 5
_FAILED: Mapping[Role, str] = {
    "judge": "verdicts have no label",
    "verbalizer": "verbalizations have no text",
    "optimizer": "questions got no usable answer",
}


def failure_lines(failures: Mapping[Role, RoleFailures]) -> list[str]:
    """A line for each role that failed at something, and one for an optimizer that is stuck."""
    lines = [_line(role, found) for role, found in failures.items() if found.reasons]
    found = failures.get("optimizer")
    if found and is_stuck(found):
        lines.append(
            f"{_repeated(found)}: it has run out of ideas; a stronger optimizer, a higher "
            "optimizer.temperature or comments of annotators give it others"
        )
    return lines


def harmless_lines(failures: Mapping[Role, RoleFailures]) -> list[str]:
    """What is told and no warning: that the optimizer now and then had nothing new."""
    found = failures.get("optimizer")
    if not found or not found.repeated or is_stuck(found):
        return []
    if found.asked < _FEW_QUESTIONS:
        few = "one question tells" if found.asked == 1 else f"{found.asked} questions tell"
        return [f"{_repeated(found)}: {few} little"]
    return [f"{_repeated(found)}: harmless unless it is most of them"]


def _repeated(found: RoleFailures) -> str:
    return (
        f"optimizer: {found.repeated:,} of {found.asked:,} times it proposed only "
        "prompts that were there already"
    )


def is_stuck(found: RoleFailures) -> bool:
    """Whether the optimizer repeated itself most of the times that it was asked.

    Never after so few questions that they tell little.
    """
    return found.asked >= _FEW_QUESTIONS and 2 * found.repeated > found.asked


def departure_lines(departures: Mapping[Role, Mapping[str, int]]) -> list[str]:
    """A line for each point in which requests of a role were asked otherwise."""
    return [
        f"{role}: {number:,} requests were asked {point}: the server takes them in no other way"
        for role, found in departures.items()
        for point, number in found.items()
    ]


def verdict_lines(result: RunResult, labels: Sequence[str]) -> list[str]:
    """What is odd about verdicts on the test split: of the final prompt little label mass, one
    place of pairs or one label only, of either prompt an interval without width."""
    final = result.test.final
    told = (low_mean_warning(final.label_mass), leaning_note(final.pairs))
    lines = [f"judge: {line}" for line in told if line]
    counts = [sum(column) for column in zip(*final.confusion, strict=True)]
    if max(counts[: len(labels)], default=0) == final.n:
        lines.append(f"judge: all {final.n:,} verdicts are {labels[counts.index(final.n)]!r}")
    prompts = {"initial": result.test.initial, "final": final}
    notes = {name: no_width(one) for name, one in prompts.items()}
    return lines + [f"{name} prompt, {note}" for name, note in notes.items() if note]


def no_width(found: Agreement) -> str:
    """What an interval of macro F1 without width means; empty where it has one."""
    low, high = found.ci95["macro_f1"]
    if low < high:
        return ""
    counts = [sum(column) for column in zip(*found.confusion, strict=True)]
    is_one_label = max(counts[:-1], default=0) == found.n
    why = "all verdicts are one label and " if is_one_label else ""
    return (
        f"macro F1: its interval has no width, as {why}it is the same in all resamples: that does "
        "not say how sure it is"
    )


def nothing_new(result: RunResult) -> str | None:
    """Why the search had no new prompt to try, if it had none; else None."""
    optimizer = result.failures.get("optimizer")
    if optimizer is None or not optimizer.asked:
        return None
    if result.judge_prompt_final != result.judge_prompt_initial:
        return None
    if optimizer.failed == optimizer.asked:
        return f"all {optimizer.asked:,} questions to the optimizer failed"
    if optimizer.failed + optimizer.repeated == optimizer.asked:
        return (
            f"of {optimizer.asked:,} questions to the optimizer, {optimizer.repeated:,} got only a "
            f"prompt that was there and {optimizer.failed:,} failed"
        )
    return None


def _line(role: Role, found: RoleFailures) -> str:
    why = "; ".join(f"{number:,} x {reason}" for reason, number in commonest(found.reasons))
    count = f"{found.failed:,} of {found.asked:,} {_FAILED[role]}"
    if role == "optimizer":
        unusable = sum(found.reasons.values())
        return f"{role}: {count}; unusable replies: {unusable:,} ({why})"
    return f"{role}: {count} ({why})"
