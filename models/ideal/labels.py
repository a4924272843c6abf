"""The labels that the judge of the test bench gives, and the way there from others."""

import shlex
from collections.abc import Sequence

from ...data.micro.rubrics import MICRO_TASKS
from ...data.tasks import load_task
from .seeing import scale_of


def known_labels(labels: Sequence[str]) -> str:
    """Which labels the judge gives, and what to do; empty if it gives these."""
    if {"A", "B"} <= {*labels} or scale_of(labels) is not None:
        return ""
    known = {name: load_task(name).asked_labels for name in MICRO_TASKS}
    told = "; ".join(f"{', '.join(own)} ({name})" for name, own in known.items())
    return f"it gives {told}; {_way_out(labels, list(known.values()))}"


def _way_out(labels: Sequence[str], known: Sequence[Sequence[str]]) -> str:
    alike = sorted((own for own in known if len(own) == len(labels)), key=_is_numbers)
    if not alike:
        return "take such a task, or another judge"
    as_many = alike[-1] if _is_numbers(labels) else alike[0]
    # Which label means which is for the user to say: their order tells nothing.
    renamed = " ".join(f"--label {shlex.quote(label)}=LABEL" for label in labels)
    return (
        f"set `labels: [{', '.join(as_many)}]` in the task file (with `blpo init`: --labels "
        f"{','.join(as_many)}) and import with {renamed}, where each LABEL is the one of "
        f"{', '.join(as_many)} that means the same; or take another judge"
    )


def _is_numbers(labels: Sequence[str]) -> bool:
    return all(label.isdecimal() for label in labels)
