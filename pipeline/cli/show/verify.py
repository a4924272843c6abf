"""What `blpo verify` prints."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from ...verify.findings import Findings
from .printing import print_json, print_line

_MOST_SHOWN = 40


def show_verified(found: Mapping[Path, Findings], *, as_json: bool) -> None:
    """A line per run, below it what differs and what was not checked."""
    if as_json:
        print_json(
            [
                {"run": str(run), "ok": not findings.differences, **asdict(findings)}
                for run, findings in found.items()
            ]
        )
        return
    for run, findings in found.items():
        _print_run(run, findings)


def _print_run(run: Path, findings: Findings) -> None:
    differing = len(findings.differences)
    if differing:
        print_line(f"{run}: {differing:,} of {findings.num_figures:,} figures differ")
    else:
        print_line(f"{run}: ok, {findings.num_figures:,} figures compared")
    for difference in findings.differences[:_MOST_SHOWN]:
        print_line(f"  {difference}")
    if differing > _MOST_SHOWN:
        print_line(f"  and {differing - _MOST_SHOWN:,} more")
    for told in findings.not_checked:
        print_line(f"  not checked: {told}")
