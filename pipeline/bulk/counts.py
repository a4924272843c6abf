"""What bulk judging counts, and what it warns of."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...models.roles.judge import Verdict
from ..metrics.drift import Distribution, mass_bins
from ..metrics.label_mass import MassCounts
from ..result import RoleFailures, role_failures
from ..search.failures import Tally, failures_error, why_missing

_log = logging.getLogger("blpo.judge")


@dataclass(slots=True)
class JudgedCounts:
    """Rows scored, and how many got each verdict; None counts verdicts without a label.

    missing: those without a label, and why. masses: label masses, where there are any. new_calls:
    replies that an engine gave in this session; all others came from the store. other_judge: how
    the judge differs from the one that the prompt was aligned with; empty if it does not.
    departures: how many requests were asked otherwise than they were to be, and in which point.
    num_acts: verdicts to act on; None where nothing is decided. expected: see `JudgeSource`.
    binned: label masses in its bins.
    """

    rows: int = 0
    num_acts: int | None = None
    expected: Distribution | None = None
    binned: Counter[int] = field(default_factory=Counter[int])
    verdicts: Counter[str | None] = field(default_factory=Counter[str | None])
    missing: Tally = field(default_factory=Tally)
    masses: MassCounts = field(default_factory=MassCounts)
    new_calls: int = 0
    other_judge: str = ""
    departures: Mapping[str, int] = field(default_factory=dict[str, int])

    def warn(self) -> None:
        """Say what is wrong with many of the verdicts."""
        warn_of_missing(self.missing.reasons, self.rows)
        if warning := self.masses.warning:
            _log.warning(warning)
        for what in self.drift:
            _log.warning(
                "these images are not like those of the run's test split in %s. Prompt, reading "
                "and decision may do worse on them: label some (`blpo next`) and evaluate",
                what,
            )

    @property
    def drift(self) -> list[str]:
        """In what the verdicts are distributed otherwise than on the run's test split."""
        return self.expected.drift(self.verdicts, self.binned) if self.expected else []

    @property
    def failures(self) -> RoleFailures:
        """As result.json has them of a run."""
        return role_failures(self.missing)

    def add(self, table: Any) -> None:
        """Count a table of `judged_table`."""
        self.rows += table.num_rows
        if "decision" in table.schema.names:
            self.num_acts = (self.num_acts or 0) + table["decision"].to_pylist().count("act")
        verdicts, reasons = (table[name].to_pylist() for name in ("verdict", "reason"))
        self.verdicts.update(verdicts)
        masses = table["label_mass"].drop_null().to_pylist()
        self.masses.add(masses)
        if self.expected is not None:
            self.binned.update(mass_bins(masses, self.expected.mass_edges))
        self.missing.add(map(why_missing, verdicts, reasons))

    def check(self, allowed: float, at_least: int = 1) -> None:
        """Raises FailuresError if too many have no label. at_least: see `Tally.exceeds`."""
        _check_missing(self.missing, allowed, at_least)


def checked_missing(verdicts: Sequence[Verdict], allowed: float) -> Tally:
    """Those of all verdicts that have no label, and why; warns of them.

    Raises FailuresError if they are too many.
    """
    missing = Tally()
    missing.add(why_missing(verdict.label, verdict.reason) for verdict in verdicts)
    _check_missing(missing, allowed)
    warn_of_missing(missing.reasons, len(verdicts))
    return missing


def _check_missing(missing: Tally, allowed: float, at_least: int = 1) -> None:
    """Raises FailuresError if too many verdicts have no label. at_least: see `Tally.exceeds`."""
    if missing.exceeds(allowed, at_least):
        what = f"no verdict on {missing.failed:,} of {missing.asked:,} images"
        remedy = f"pass --max-failed-share (now {allowed:g})"
        raise failures_error(what, missing, "judge", allowed, remedy)


def warn_of_missing(reasons: Counter[str], num_verdicts: int) -> None:
    """Say how many verdicts have no label, and why most of them have none."""
    if not reasons:
        return
    [(reason, number)] = reasons.most_common(1)
    _log.warning(
        f"{reasons.total():,} of {num_verdicts:,} verdicts have no label; of {number:,} the reason "
        f"is: {reason}"
    )
