"""Scores of verdicts on pairs for people; the run report draws the same cells."""

from rich.console import Console

from .pair_metrics import PAIR_SCORES, PairScores


def print_pair_scores(console: Console, scores: PairScores | None) -> None:
    """A line for each score that is known; nothing for verdicts on single images."""
    if scores is None:
        return
    for name, heading in PAIR_SCORES.items():
        value = getattr(scores, name)
        if value is not None:
            low, high = scores.ci95[name]
            console.print(f"{heading}: {value:.3f} [{low:.3f}, {high:.3f}]")
    console.print(f"strict pairs: {scores.num_strict:,}")
