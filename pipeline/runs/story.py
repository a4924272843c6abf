"""What a run tells while it goes, line by line, and how long it will go on."""

import logging
from collections.abc import Mapping, Sequence
from enum import IntEnum

from ...data.examples import Example
from ...models.wrappers.ledger import Role, RoleLedger
from ..blpo.records import Candidate, named
from ..report.conclusion import signed
from ..search.paired_gain import PairedGain, paired_gain
from ..search.step import Step, num_right
from .calls import PlannedCalls

_log = logging.getLogger("blpo.story")

_TWO_SIDED = 0.975
_MOST_TOLD_BY_STEP = 8


class Detail(IntEnum):
    """How much is told: nothing, every step of the search, or every prompt that a step tries."""

    NOTHING = 0
    STEPS = 1
    PROMPTS = 2

    @classmethod
    def of(cls, num_runs: int) -> "Detail":
        """As much as a console takes from so many runs at once."""
        if num_runs == 1:
            return cls.PROMPTS
        return cls.STEPS if num_runs <= _MOST_TOLD_BY_STEP else cls.NOTHING


class Story:
    """The lines of one run, in the log, and what of its calls is still to come.

    ledgers: by role, counted by the run. num_steps: of the search at most.
    """

    def __init__(
        self,
        name: str,
        ledgers: Mapping[Role, RoleLedger],
        planned: PlannedCalls,
        num_steps: int,
    ) -> None:
        self.detail = Detail.NOTHING
        self._name = name
        self._ledgers = ledgers
        self._planned = planned
        self._num_steps = num_steps
        self._tried = 0
        self._since_prompt, self._since_step = _Calls(), _Calls()
        self._last: Step | None = None
        self._num_done = 0
        self._asked_in_steps: dict[Role, int] = {}
        self._is_testing = False

    def scored(
        self, step: int, openers: Sequence[Candidate], candidates: Sequence[Candidate] = ()
    ) -> None:
        """Tell of what a step has tried so far, as far as it was not told."""
        new = named(openers, candidates)[self._tried :]
        self._tried += len(new)
        for place, (name, candidate) in enumerate(new, 1):
            told = _scored(candidate)
            if place == len(new):
                told.append(self._since_prompt.told(self._ledgers))
            line = f"step {step}, {_called(name, 'I2T prompt')}: {'; '.join(told)}"
            self._tell(Detail.PROMPTS, line)

    def stepped(self, step: Step) -> None:
        """Tell what a step has come to. One that has asked for nothing is none, and not counted."""
        asked_before = sum(self._asked_in_steps.values())
        self._asked_in_steps = {role: led.asked for role, led in self._ledgers.items()}
        self._tried = 0
        if sum(self._asked_in_steps.values()) == asked_before:
            if self._num_done and not step.tried:
                self._tell(Detail.STEPS, "; ".join(step.notes))
            return
        told = [*self._agreement(step), *_choice(step), self._since_step.told(self._ledgers)]
        self._tell(Detail.STEPS, f"step {step.index} done: {'; '.join(told)}")
        self._last = step
        self._num_done += 1

    def tests(self, num_images: int, stopped: str | None) -> None:
        """Tell that the search is over."""
        self._is_testing = True
        why = f" (stopped early: {stopped})" if stopped else ""
        what = f"initial and final prompt on {num_images:,} test images"
        self._tell(
            Detail.STEPS, f"search over after {counted_steps(self._num_done)}{why}; judging {what}"
        )

    @property
    def calls_left(self) -> dict[Role, int]:
        """By role: as many for each step to come as those before took, at most as planned.

        A role that has then asked for all that is planned of it ends the search for every role.
        """
        return {role: self._left(role) for role in self._ledgers}

    @property
    def seconds_left(self) -> float | None:
        """By the rates of this session; None where a role that is to be asked has none yet."""
        total = 0.0
        for role, number in self.calls_left.items():
            ledger = self._ledgers[role]
            if number and not ledger.session.calls:
                return None
            if number:
                total += number * ledger.session_seconds / ledger.session.calls
        return total

    def _left(self, role: Role) -> int:
        answered = self._ledgers[role].answered
        after = self._planned.of(role) - self._planned.search.get(role, 0)
        in_steps = self._asked_in_steps.get(role, 0)
        if self._is_testing:
            return max(in_steps + after - answered, 0)
        search = self._planned.likely.get(role, 0)
        if self._num_done:
            search = round(in_steps / self._num_done * self._steps_in_all)
        return max(search - answered, 0) + after

    @property
    def _steps_in_all(self) -> float:
        """As many as the plan and its budget last for, by what steps took so far."""
        lasts = [
            self._planned.search.get(role, 0) / asked * self._num_done
            for role, asked in self._asked_in_steps.items()
            if asked
        ]
        return min([self._num_steps, *lasts])

    def _agreement(self, step: Step) -> list[str]:
        """On train, and against the step before where both were judged on the same examples."""
        if not step.examples:
            return []
        n, right = len(step.examples), num_right(step.examples, step.verdicts)
        told = f"it started from accuracy {right / n:.3f} on {n} training images"
        if self._last is None or not self._last.examples:
            return [told]
        gain = paired_gain(_losses(self._last), _losses(step), _one_stratum(step.examples))
        low, high = gain.lower(_TWO_SIDED), gain.upper(_TWO_SIDED)
        bounds = f"95 % interval {signed(low)} to {signed(high)}"
        return [f"{told}, {signed(gain.mean)} over the start of step {self._last.index} ({bounds})"]

    def _tell(self, detail: Detail, line: str) -> None:
        if self.detail >= detail:
            _log.info("%s: %s", self._name, line)


def counted_steps(number: int) -> str:
    """Such as "1 step" and "2 steps"."""
    return f"{number:,} step" if number == 1 else f"{number:,} steps"


class _Calls:
    """How many there have been when they were last told of."""

    def __init__(self) -> None:
        self._asked, self._new = 0, 0

    def told(self, ledgers: Mapping[Role, RoleLedger]) -> str:
        """Those since, and how many of them no model had to answer."""
        asked = sum(ledger.asked for ledger in ledgers.values())
        new = sum(ledger.session.calls for ledger in ledgers.values())
        since, answered = asked - self._asked, new - self._new
        self._asked, self._new = asked, new
        return f"{since:,} calls, {since - answered:,} from the store"


def _choice(step: Step) -> list[str]:
    """What was chosen, whether it was accepted, on what gain, or why not."""
    what = "judge prompt" if step.i2t_prompt is None else "I2T prompt"
    told = [f"{_called(tried.name, what)} chosen" for tried in step.tried if tried.is_chosen]
    gain = step.details.get("gain")
    if gain and gain["n"]:
        found = PairedGain(gain["mean"], gain["standard_error"], gain["n"])
        told.append(
            f"gain {signed(found.mean)} \N{PLUS-MINUS SIGN} {found.standard_error:.3f} on {found.n}"
        )
    if step.notes:
        return [*told, *(note[0].lower() + note[1:].rstrip(".") for note in step.notes)]
    return [*told, _outcome(step)]


def _outcome(step: Step) -> str:
    if step.next_judge_prompt == step.judge_prompt:
        return "the judge prompt stays"
    if step.i2t_prompt is None or "gain" in step.details:
        return "accepted"
    return (
        "its rewrite of the judge prompt taken without a test, as the published method takes each"
    )


def _scored(candidate: Candidate) -> list[str]:
    """Its score, on what, and whether its judge prompt is a new one."""
    told, judged = f"score {signed(candidate.score)}", candidate.judged
    if judged.verdicts:
        right = num_right(judged.examples, judged.verdicts)
        told += f", {right} of {len(judged.verdicts)} right"
    return [told, candidate.note] if candidate.note else [told]


def _called(name: str, what: str) -> str:
    """As the report numbers them: I2T prompt 2, initial I2T prompt."""
    return f"{what} {name}" if name.isdigit() else f"{name} {what}"


def _losses(step: Step) -> dict[str, float]:
    """1 for each wrong verdict, 0 for each right one, by example_id."""
    pairs = zip(step.examples, step.verdicts, strict=True)
    return {example.example_id: float(v.label != example.label) for example, v in pairs}


def _one_stratum(examples: Sequence[Example]) -> dict[str, bool]:
    return {example.example_id: True for example in examples}
