"""Counts what the roles of a run fail at, and stops the run where a role fails too often.

Verdicts count under the prompts in use: p_0, and what a step of the search led to. A proposal under
which the judge gives no verdicts has a bad score, which is what the search is for; the run goes on.
The same holds for verbalizations and I2T prompts. All failures are counted for the report.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NoReturn

from ...data.examples import Example, Split
from ...models.roles.judge import Verdict
from ...models.roles.optimizer import PromptOptimizer
from ...models.roles.verbalizer import Verbalization
from ...models.wrappers.ledger import ROLES, Role
from ..result import RoleFailures, role_failures
from ..search.failures import MaxFailedShare, Tally, failures_error, why_missing

_FEWEST = 20
"""Of fewer verbalizations or proposals no share is taken while the search goes on."""


class FailureWatch:
    """One run's failures. Every method raises FailuresError where there are too many."""

    def __init__(self, allowed: MaxFailedShare, prompts_in_use: Iterable[str] = ()) -> None:
        self._allowed = allowed
        self._in_use = set(prompts_in_use)
        self._all: dict[Role, Tally] = {role: Tally() for role in ROLES}
        self._verdicts: defaultdict[tuple[str, Split], dict[str, str | None]] = defaultdict(dict)
        self._verbalizations = Tally()
        self._optimizers: list[PromptOptimizer] = []

    def adopt(self, prompts: Iterable[str | None]) -> None:
        """These prompts are in use from now on."""
        self._in_use.update(prompt for prompt in prompts if prompt is not None)

    def judged(self, pairs: Sequence[tuple[str, Example]], verdicts: Sequence[Verdict]) -> None:
        """Count verdicts on (judge prompt, example)."""
        touched: dict[tuple[str, Split], None] = {}
        for (prompt, example), verdict in zip(pairs, verdicts, strict=True):
            reason = why_missing(verdict.label, verdict.reason)
            self._all["judge"].add([reason])
            if prompt in self._in_use:
                place = prompt, example.split
                self._verdicts[place][example.example_id] = reason
                touched[place] = None
        for place in touched:
            self._check_verdicts(*place)

    def verbalized(
        self, i2t_prompts: Sequence[str], each: Sequence[Sequence[Verbalization]]
    ) -> None:
        """Count verbalizations under each I2T prompt; one that was cut off is none that failed."""
        for prompt, verbalizations in zip(i2t_prompts, each, strict=True):
            reasons = [None if v.text else v.reason or "empty reply" for v in verbalizations]
            self._all["verbalizer"].add(reasons)
            if prompt in self._in_use:
                self._verbalizations.add(reasons)
        self._check_verbalizations(_FEWEST)

    def proposed(self, optimizer: PromptOptimizer) -> None:
        """Take over what an optimizer has counted, beside what others have."""
        if not any(optimizer is known for known in self._optimizers):
            self._optimizers.append(optimizer)
        tally = Tally()
        for one in self._optimizers:
            tally.asked += one.num_questions
            tally.failed += one.num_failed
            for reason in one.failures.elements():
                tally.give_reason(reason)
        self._all["optimizer"] = tally
        self._check_proposals(_FEWEST)

    def end_search(self) -> None:
        """Nothing but the final test is still to come."""
        self._check_verbalizations(1)
        self._check_proposals(1)

    @property
    def failures(self) -> dict[Role, RoleFailures]:
        """All so far, whatever prompt they happened under."""
        repeats = {
            "repeats": sum(one.num_repeats for one in self._optimizers),
            "repeated": sum(one.num_repeated for one in self._optimizers),
        }
        return {
            role: role_failures(tally, **(repeats if role == "optimizer" else {}))
            for role, tally in self._all.items()
        }

    def _check_verdicts(self, prompt: str, split: Split) -> None:
        tally = Tally()
        tally.add(self._verdicts[prompt, split].values())
        if tally.exceeds(self._allowed.judge):
            what = f"no verdict on {tally.failed:,} of {tally.asked:,} {split} examples"
            self._stop("judge", what, tally)

    def _check_verbalizations(self, at_least: int) -> None:
        tally = self._verbalizations
        if tally.asked and tally.exceeds(self._allowed.verbalizer, at_least):
            what = f"no text for {tally.failed:,} of {tally.asked:,} verbalizations"
            self._stop("verbalizer", what, tally)

    def _check_proposals(self, at_least: int) -> None:
        tally = self._all["optimizer"]
        if tally.asked and tally.exceeds(self._allowed.optimizer, at_least):
            what = f"no usable answer to {tally.failed:,} of {tally.asked:,} questions"
            self._stop("optimizer", what, tally)

    def _stop(self, role: Role, what: str, tally: Tally) -> NoReturn:
        remedy = f"raise max_failed_share.{role}"
        raise failures_error(what, tally, role, self._allowed.of(role), remedy)
