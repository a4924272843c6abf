"""The libraries that scores are computed with, imported by the first score: they take longer to
import than all else that a command does before it starts."""

from typing import Any


def sklearn_metrics() -> Any:
    """`sklearn.metrics`."""
    from sklearn import metrics  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs]

    return metrics


def scipy_stats() -> Any:
    """`scipy.stats`."""
    from scipy import stats  # noqa: PLC0415

    return stats


def scipy_optimize() -> Any:
    """`scipy.optimize`."""
    from scipy import optimize  # noqa: PLC0415

    return optimize
