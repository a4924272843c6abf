"""The labels of the data against those of the task: where they contradict, and the ways out."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from .errors import DataError
from .tasks import Task, label_text


def explain_contradiction(labels: Iterable[str], task: Task) -> str:
    """What to say when data and task do not share one label set; empty when they do.

    labels: the label of every row. They contradict the task where one of them is not declared,
    and where a declared label never occurs: a judge that answers with it can only be wrong.
    """
    counts = Counter(labels)
    strangers = sorted((label for label in counts if label not in task.labels), key=_sort_key)
    missing = [label for label in task.labels if not counts[label]]
    if not strangers and not missing:
        return ""
    found = [*(label for label in task.labels if counts[label]), *strangers]
    return "\n".join((_what(found, counts, missing, task), *_ways_out(found, task)))


def rescaled_labels(low: int, high: int, task: Task) -> dict[str, str]:
    """A label map from the whole numbers low..high onto the task's labels, ends on ends.

    Position 1 + (x - low) * (K - 1) / (high - low) of K labels, halves rounded up. Raises
    DataError if low is not below high.
    """
    check_scale(low, high)
    positions = {x: rescaled(x, low, high, 0, len(task.labels) - 1) for x in range(low, high + 1)}
    return {str(x): task.labels[math.floor(at + 0.5)] for x, at in positions.items()}


def rescaled(value: float, low: float, high: float, new_low: float, new_high: float) -> float:
    """A value of the scale low..high on the scale new_low..new_high."""
    return new_low + (value - low) * (new_high - new_low) / (high - low)


def check_scale(low: float, high: float) -> None:
    """Raises DataError for a scale whose ends are not in order."""
    if not low < high:
        raise DataError(f"scale {low:g}-{high:g}: the lowest value goes first, as in 1-7")


def label_numbers(labels: Sequence[str]) -> list[float] | None:
    """The labels as rising numbers; None if they are not."""
    try:
        numbers = [float(label) for label in labels]
    except ValueError:
        return None
    return numbers if numbers == sorted(set(numbers)) else None


def _what(found: list[str], counts: Counter[str], missing: list[str], task: Task) -> str:
    counted = ", ".join(f"{label}: {counts[label]:,}" for label in found) or "none"
    never = f"; never found: {', '.join(missing)}" if missing else ""
    return (
        f"The labels contradict task {task.name}. Found: {counted}. "
        f"Declared: {task.label_set()}{never}. Three ways to resolve it:"
    )


def _ways_out(found: list[str], task: Task) -> tuple[str, str, str]:
    is_scale = len(found) > 1 and label_numbers(found) is not None
    ends = f"{found[0]}-{found[-1]}" if is_scale else "LOW-HIGH"
    return (
        f"  1. judge on the data's scale: a task file that declares labels: "
        f"[{', '.join(found)}], also in its prompt and answer instruction",
        f"  2. bring the data onto the task's scale: import it with --rescale {ends} "
        f"(ends of the data's scale, which go to {task.labels[0]} and {task.labels[-1]})",
        "  3. rename or merge labels: import it with --label FOUND=DECLARED for each; raw scores "
        "can be binned anew with --bins equal-width or --bins quantile",
    )


def _sort_key(label: str) -> tuple[float, str]:
    try:
        return float(label), label
    except ValueError:
        return math.inf, label_text(label)
