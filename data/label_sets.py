"""The labels of the data against those of the task: where they contradict, and the ways out."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from .errors import DataError
from .file_names import caseless
from .near_words import did_you_mean, near_words
from .shown import shortened
from .tasks import PAIR_LABELS, PAIR_LABELS_WITH_TIE, Task, label_text

_LONGEST_LABEL = 100
"""Characters: a longer text is no label that anyone would declare."""
_MOST_SHOWN = 20
"""Different labels that a message counts."""
_HAS_DIGIT = re.compile(r"\d")


def explain_contradiction(labels: Iterable[str], task: Task, *, has_scores: bool = False) -> str:
    """What to say when data and task do not share one label set; empty when they do.

    labels: the label of every row. They contradict the task where one of them is not declared,
    and where a declared label never occurs: a judge that answers with it can only be wrong.
    has_scores: whether they were binned from raw scores, which can be binned otherwise. Every way
    out that is named leads out.
    """
    counts = Counter(labels)
    strangers = sorted((label for label in counts if label not in task.labels), key=_sort_key)
    missing = [label for label in task.labels if not counts[label]]
    if not strangers and not missing:
        return ""
    found = [*(label for label in task.labels if counts[label]), *strangers]
    if label_numbers(sorted(found, key=_sort_key)) is not None:
        found = sorted(found, key=_sort_key)
    ways = enumerate(_ways_out(found, strangers, missing, task, has_scores=has_scores), 1)
    lines = [f"  {number}. {way}" for number, way in ways]
    return "\n".join((_what(found, counts, missing, task), *lines))


def unknown_label(label: object, task: Task) -> str:
    """What to say about a label outside the task's set."""
    told = f"label {_cut(label)!r} is not one of {task.label_set()} (task {task.name})"
    if "\0" in str(label):
        return f"{told}: it holds a NUL byte, which is no text: take it out of the table"
    meant = _meant(label_text(label), task)
    if meant is not None:
        return f"{told}; did you mean {meant!r}? Rename it with --label {label_text(label)}={meant}"
    if _needs_rounding([label_text(label)], task):
        return f"{told}; round it first"
    return f"{told}; correct it, or rename it with --label FOUND=TASK"


def check_label_map(label_map: Mapping[str, str], task: Task) -> None:
    """Raises DataError for a rename to what is no label of the task."""
    for found, name in label_map.items():
        if name not in task.labels:
            meant = _meant(name, task)
            way = "name one of them" if meant is None else f"did you mean {found}={meant}?"
            raise DataError(
                f"--label {found}={name}: {shortened(name)!r} is no label of the task "
                f"({task.label_set()}); {way}"
            )


def unseen_label(found: str, labels: Iterable[str]) -> str:
    """What to say about a label to rename that no row has. labels: those that rows have."""
    names = sorted(set(labels), key=_sort_key)
    more = ", ..." if len(names) > _MOST_SHOWN else ""
    seen = f" (there are {', '.join(map(shortened, names[:_MOST_SHOWN]))}{more})" if names else ""
    way = did_you_mean(found, names) or f"{seen}; leave the option out"
    return f"no row has the label {shortened(found)!r}{way}"


def rescaled_labels(low: float, high: float, task: Task) -> dict[str, str]:
    """A label map from the whole numbers low..high onto the task's labels, ends on ends.

    Position 1 + (x - low) * (K - 1) / (high - low) of K labels, halves rounded up. Raises
    DataError if low is not below high, or one of them is no whole number.
    """
    check_scale(low, high)
    if low != int(low) or high != int(high):
        raise DataError(
            f"scale {low:g}-{high:g}: labels are mapped from whole numbers: give whole ends, as in "
            "1-7, and round labels with decimals in the table first"
        )
    whole = range(int(low), int(high) + 1)
    positions = {x: rescaled(x, low, high, 0, len(task.labels) - 1) for x in whole}
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
    numbers = [number for label in labels if (number := _number(label)) is not None]
    return numbers if len(numbers) == len(labels) and numbers == sorted(set(numbers)) else None


def _what(found: list[str], counts: Counter[str], missing: list[str], task: Task) -> str:
    shown = [f"{shortened(label)}: {counts[label]:,}" for label in found[:_MOST_SHOWN]]
    more = f", {len(found) - len(shown):,} more" if len(found) > len(shown) else ""
    never = f"; never found: {', '.join(missing)}" if missing else ""
    return (
        f"The labels contradict task {task.name}. Found: {', '.join(shown) or 'none'}{more}. "
        f"Declared: {task.label_set()}{never}. Ways to resolve it:"
    )


def _ways_out(
    found: list[str], strangers: list[str], missing: list[str], task: Task, *, has_scores: bool
) -> list[str]:
    if _needs_rounding(strangers, task):
        return [
            "round them to whole numbers in the table first; whole numbers of another scale than "
            "the task's are then put on it with --rescale LOW-HIGH"
        ]
    ways = [
        _rename(found, strangers, task),
        _declare(found, task),
        _rescale(found, task, has_scores=has_scores),
        "bin the raw scores anew: import them with --bins equal-width or --bins quantile"
        if has_scores
        else None,
        None if strangers else f"add examples of {', '.join(missing)}",
    ]
    named = [way for way in ways if way is not None]
    return named or ["correct the labels in the source"]


def _rename(found: list[str], strangers: list[str], task: Task) -> str | None:
    """Possible where there are at least as many labels as the task has."""
    if not strangers or len(found) < len(task.labels):
        return None
    meant = {label: _meant(label, task) for label in strangers}
    given = [f"--label {label}={name}" for label, name in meant.items() if name is not None]
    options = " ".join(given) if len(given) == len(strangers) else "--label FOUND=TASK for each"
    likely = {name: None for label in strangers if (name := _near(label, task)) is not None}
    asked = f"did you mean {', '.join(map(repr, likely))}? " if likely else ""
    return f"{asked}rename or merge labels: import them with {options}"


def _declare(found: list[str], task: Task) -> str | None:
    if not 2 <= len(found) <= _MOST_SHOWN or any(len(label) > _LONGEST_LABEL for label in found):
        return None
    if task.is_pairwise and tuple(found) not in (PAIR_LABELS, PAIR_LABELS_WITH_TIE):
        return None
    kind = " and kind: categorical" if task.kind == "binary" and len(found) != 2 else ""
    is_ordered = task.kind != "ordinal" or label_numbers(found) is not None
    order = "" if is_ordered else ", lowest first"
    return (
        f"judge on the data's labels: a task file that declares labels: "
        f"[{', '.join(map(_yaml_text, found))}]{order}{kind}, also in its prompt and answer "
        "instruction"
    )


def _rescale(found: list[str], task: Task, *, has_scores: bool) -> str | None:
    """Possible where the numbers found reach every label of the task."""
    numbers = label_numbers(found)
    if numbers is None or len(numbers) < 2 or numbers[0] < 0:
        return None
    if not has_scores:
        reached = rescaled_labels(numbers[0], numbers[-1], task)
        if {reached[label] for label in found} != set(task.labels):
            return None
    return (
        f"bring the data onto the task's scale: import it with --rescale {found[0]}-{found[-1]} "
        f"(ends of the data's scale, which go to {task.labels[0]} and {task.labels[-1]})"
    )


def _cut(label: object) -> object:
    return shortened(label) if isinstance(label, str) else label


def _needs_rounding(labels: Iterable[str], task: Task) -> bool:
    """Whether one is a number with decimals, and no label of the task is."""
    return any(map(_has_decimals, labels)) and not any(map(_has_decimals, task.labels))


def _has_decimals(label: str) -> bool:
    number = _number(label)
    return number is not None and not number.is_integer()


def _same_spelling(label: str, task: Task) -> str | None:
    """The task's label that differs only in case, or in what stands between its words."""
    same = [name for name in task.labels if spelling(name) == spelling(label)]
    return same[0] if len(same) == 1 else None


def _meant(label: str, task: Task) -> str | None:
    return _same_spelling(label, task) or _near(label, task)


def _near(label: str, task: Task) -> str | None:
    """The task's label that this one may be a slip of the keyboard for.

    Never another number, and never one with another first letter, as a negation has.
    """
    words = spelling(label)
    names = {spelling(name): name for name in task.labels if spelling(name)[:1] == words[:1]}
    if words in names or _HAS_DIGIT.search(words):
        return None
    near = near_words(words, names)
    return names[near[0]] if len(near) == 1 else None


def spelling(label: str) -> str:
    """What spellings of one label have in common."""
    return re.sub(r"[\s_-]+", " ", caseless(label))


def _yaml_text(label: str) -> str:
    """A label as it stands in a YAML list."""
    try:
        loaded: list[Any] = yaml.safe_load(f"[{label}]")
    except yaml.YAMLError:
        loaded = []
    read = [label_text(v) for v in loaded if isinstance(v, str | float) or type(v) is int]
    return label if read == [label] else json.dumps(label, ensure_ascii=False)


def _sort_key(label: str) -> tuple[float, str]:
    number = _number(label)
    return (math.inf if number is None else number), label


def _number(label: str) -> float | None:
    try:
        number = float(label)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
