"""What every method yields: a step of its search, as the run, its record and the report see it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...data.examples import Example
from ...models.roles.judge import Verdict
from ...models.roles.optimizer import Proposal
from ...models.roles.verbalizer import Verbalization


@dataclass(frozen=True, slots=True)
class Tried:
    """A prompt that a step tried, for the report.

    prompt: an I2T prompt where the method learns one, else a judge prompt; empty where the
        optimizer gave none, and `note` says why.
    score: by the method's own measure, higher is better; None where it was not scored.
    num_right, num_judged: of the verdicts that were asked for under it.
    led_to: the judge prompt that an I2T prompt led to.
    """

    name: str
    prompt: str
    score: float | None = None
    num_right: int = 0
    num_judged: int = 0
    is_chosen: bool = False
    led_to: str | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class ShownCase:
    """An example that the optimizer was shown in a step, for the report.

    before, after: the verdict under the step's judge prompt and under the next one, where it was
        asked for. before_text, after_text: the verbalization under q_0 and under the chosen I2T
        prompt, where there was one.
    """

    example: Example
    before: Verdict
    after: Verdict | None = None
    before_text: Verbalization | None = None
    after_text: Verbalization | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a search.

    examples, verdicts: training examples and the verdicts of `judge_prompt` on them, in order;
        both empty where the method has not judged any under it.
    i2t_prompt: the one that led to next_judge_prompt; None where none did.
    details: what the method adds to the step's record, JSON values.
    notes: sentences for the report.
    """

    index: int
    judge_prompt: str
    next_judge_prompt: str
    examples: Sequence[Example]
    verdicts: Sequence[Verdict]
    details: Mapping[str, Any]
    tried: Sequence[Tried] = ()
    shown: Sequence[ShownCase] = ()
    i2t_prompt: str | None = None
    notes: Sequence[str] = field(default_factory=list[str])


def num_right(examples: Sequence[Example], verdicts: Sequence[Verdict]) -> int:
    """How many verdicts are the human label."""
    return sum(v.label == e.label for e, v in zip(examples, verdicts, strict=True))


def verdict_records(
    examples: Sequence[Example], verdicts: Sequence[Verdict]
) -> list[dict[str, Any]]:
    """Examples with their verdicts, as JSON values."""
    return [
        {
            "example_id": example.example_id,
            "human_label": example.label,
            "verdict": verdict.label,
            "reason": verdict.reason,
        }
        for example, verdict in zip(examples, verdicts, strict=True)
    ]


def verbalization_records(verbalizations: Sequence[Verbalization]) -> list[Any]:
    """The texts; where one is missing, also why."""
    return [
        v.text if v.reason is None else {"text": v.text, "reason": v.reason} for v in verbalizations
    ]


def failure_note(proposal: Proposal, what: str, otherwise: str = "") -> str:
    """What the unusable replies behind a proposal came to, in words; empty without any."""
    if proposal.is_repeat:
        return f"repeats a {what} that was there"
    reasons = "; ".join(proposal.failures)
    if proposal.prompt is None:
        return f"no usable {what}{otherwise} ({reasons})"
    if not proposal.failures:
        return ""
    replies = "reply" if len(proposal.failures) == 1 else "replies"
    return f"{what} after {len(proposal.failures)} unusable {replies} ({reasons})"
