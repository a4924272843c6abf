"""Means over nested draws, such as seeds within data within rubrics, and their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..search.seeds import derived_seed
from .intervals import (
    RESAMPLES,
    Counts,
    Estimate,
    Interval,
    Values,
    mean_estimate,
    percentiles,
    seeds_component,
)

Path = tuple[int, ...]
"""A unit's place in the nest: its rubric, its data within that, its seed within that."""


@dataclass(frozen=True, slots=True)
class NestedMean:
    """A mean over strata of nested units.

    ci95: hierarchical bootstrap; of one rubric, for that alone. None where a stratum has one draw
        of rubric and data: seeds on the same examples do not tell how far others would differ.
    check: by the spread of the outermost means alone, Student's t, which for balanced draws is
        what REML gives for a mixed model with a random effect of each level; None where a stratum
        has one outermost draw.
    """

    value: float
    ci95: Interval | None
    check: Estimate | None


def nested_mean(strata: Sequence[tuple[Sequence[Path], Sequence[float]]], seed: int) -> NestedMean:
    """The mean over strata, such as tasks, of the mean of each.

    strata: of each the places of its units, and their values in the same order.
    """
    values: list[float] = []
    resampled = np.zeros(RESAMPLES)
    checks: list[Estimate] = []
    for number, (paths, own) in enumerate(strata):
        values.append(float(_even_weights(paths) @ np.asarray(own)))
        weights = resampled_weights(_varied(paths), derived_seed(seed, "nested", number))
        resampled += weights @ np.asarray(own) / len(strata)
        checks += _outermost(paths, own)
    is_checked = len(checks) == len(strata)
    has_interval = all(len({path[:-1] for path in paths}) > 1 for paths, _ in strata)
    return NestedMean(
        float(np.mean(values)),
        percentiles(resampled) if has_interval else None,
        mean_estimate(checks) if is_checked else None,
    )


def resampled_weights(paths: Sequence[Path], seed: int, resamples: int = RESAMPLES) -> Values:
    """How much each unit counts in each resample: [resamples, units]; a row sums to 1.

    Of k outermost draws k - 1 are drawn (Rao and Wu, see `bootstrap_weights`), which few
    need; of those within each as many as there are, anew each time that it is drawn.
    """
    generator = np.random.default_rng(seed)
    children = _children(paths)
    first = np.full(resamples, max(len(children[()]) - 1, 1))
    drawn: dict[Path, Counts] = {(): first}
    for parent in sorted(children, key=len):
        own = children[parent]
        number = len(own)
        times = drawn[parent] * (number if parent else 1)
        counts = generator.multinomial(times, np.full(number, 1 / number))
        for place, child in enumerate(own):
            drawn[child] = counts[:, place]
    weights = np.stack([drawn[path] * _per_draw(path, children) for path in paths], axis=1)
    return weights / weights.sum(axis=1, keepdims=True)


def _varied(paths: Sequence[Path]) -> list[Path]:
    """The paths without the levels on top of which there is one draw: that is fixed."""
    if len(paths[0]) > 1 and len({path[0] for path in paths}) == 1:
        return _varied([path[1:] for path in paths])
    return list(paths)


def _per_draw(path: Path, children: dict[Path, list[Path]]) -> float:
    """What one draw of a unit weighs, so that every outermost draw weighs the same."""
    weight = 1.0
    for depth in range(1, len(path)):
        weight /= len(children[path[:depth]])
    return weight


def _even_weights(paths: Sequence[Path]) -> Values:
    children = _children(paths)
    weights = np.array([_per_draw(path, children) for path in paths])
    return weights / weights.sum()


def _children(paths: Sequence[Path]) -> dict[Path, list[Path]]:
    """What lies directly within each place that is no unit."""
    found: dict[Path, dict[Path, None]] = {}
    for path in paths:
        for depth in range(len(path)):
            found.setdefault(path[:depth], {})[path[: depth + 1]] = None
    return {parent: list(own) for parent, own in found.items()}


def _outermost(paths: Sequence[Path], values: Sequence[float]) -> list[Estimate]:
    """The estimate from the outermost means alone; none of a single one."""
    means: list[float] = []
    for first in dict.fromkeys(path[:1] for path in paths):
        own = [place for place, path in enumerate(paths) if path[:1] == first]
        weights = _even_weights([paths[place] for place in own])
        means.append(float(weights @ np.array([values[place] for place in own])))
    if len(means) < 2:
        return []
    return [Estimate(float(np.mean(means)), (seeds_component(np.array(means)),))]
