"""How many steps a finished run has made, and how many of them only repeated themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from ..runs.directory import step_records


@dataclass(frozen=True, slots=True)
class StepCounts:
    """done: steps that tried a prompt and asked for something to do so.

    after_rejected: of searches that learn an I2T prompt, steps that start where the one before has
        kept the judge prompt.
    repeating: of these, such as propose only I2T prompts that the one before has tried.
    """

    done: int = 0
    after_rejected: int = 0
    repeating: int = 0


NO_STEPS = StepCounts()


def count_steps(run: Path) -> StepCounts:
    """Of a run's directory."""
    records = step_records(run)
    calls = [0, *(sum(record["calls"].values()) for record in records)]
    steps = zip(records, pairwise(calls), strict=True)
    again = [
        (_proposed(step), _tried(before))
        for before, step in pairwise(records)
        if _proposed(step) and before["next_judge_prompt"] == before["judge_prompt"]
    ]
    return StepCounts(
        sum(bool(record["tried"]) and after > before for record, (before, after) in steps),
        len(again),
        sum(proposed <= tried for proposed, tried in again),
    )


def _proposed(record: Mapping[str, Any]) -> set[str]:
    """The I2T prompts that a step has proposed; none where the method learns none."""
    return _prompts(record["candidates"]) if record.get("baseline") else set()


def _tried(record: Mapping[str, Any]) -> set[str]:
    """Those and the ones that opened its history."""
    opening = [record.get("baseline"), *record.get("further_openers", [])]
    return _proposed(record) | _prompts([opener for opener in opening if opener])


def _prompts(candidates: Sequence[Mapping[str, Any]]) -> set[str]:
    return {candidate["i2t_prompt"] for candidate in candidates}
