"""The plan of `blpo demo --real`: what is fetched, asked and written, before any of it."""

from collections.abc import Iterator

from ...starter.effort import BANDWIDTH, FLOPS, Effort
from ...starter.real import RealPlan, Source
from ..options import say
from .plan import duration

_GB = 10**9
_LINE = 1e8 / 8
"""Bytes in a second of a line of 100 Mbit/s."""


def show_real_plan(plan: RealPlan) -> None:
    """On stderr: with --json, stdout is for the result."""
    say("\n".join(_lines(plan)))


def _lines(plan: RealPlan) -> Iterator[str]:
    yield f"data:     {_source(plan.data)}"
    yield f"          {plan.num_train} images to align on, {plan.num_test} to test on"
    yield f"judge:    {_source(plan.judge)}; it also describes the images and writes the prompts"
    if plan.bytes_to_fetch:
        at_line = duration(plan.bytes_to_fetch / _LINE)
        yield f"download: {_size(plan.bytes_to_fetch)}, {at_line} at 100 Mbit/s"
    else:
        yield "download: nothing, all is here"
    calls = ", ".join(f"{number:,} of the {role}" for role, number in plan.calls.items())
    yield f"calls:    at most {calls}; what the store holds is not asked again"
    yield f"time:     {_time(plan.effort)}"
    yield f"writes:   {plan.run_file}, {plan.run.dataset}, {plan.run.store}, {plan.run.output}"


def _time(effort: Effort | None) -> str:
    if effort is None:
        return "not known: models run on the CPU here"
    return (
        f"about {duration(effort.seconds)} after the download. Arithmetic, not measured: a GPU "
        f"that reaches {FLOPS / 1e12:.0f} TFLOP/s and {BANDWIDTH / 1e12:.0f} TB/s"
    )


def _source(source: Source) -> str:
    here = "" if source.bytes_to_fetch else ", here already"
    return f"{source.named} ({source.licence}), {_size(source.num_bytes)}{here}"


def _size(num_bytes: int) -> str:
    return f"{num_bytes / _GB:.2f} GB" if num_bytes >= _GB / 100 else f"{num_bytes / 1e6:.1f} MB"
