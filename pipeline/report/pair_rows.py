"""Scores of verdicts on pairs: lines of a command, rows of the report."""

from rich.console import Console

from ...data.tasks import Task
from ...models.roles.pair_judge import Orders
from ..metrics.pairs import PAIR_SCORES, PairScores


def print_pair_scores(console: Console, scores: PairScores | None) -> None:
    """A line for each score that is known; nothing for verdicts on single images."""
    if scores is None:
        return
    for name, heading in PAIR_SCORES.items():
        if name in scores.ci95:
            console.print(f"{heading}: {_cell(scores, name)}")
    console.print(f"strict pairs: {scores.num_strict:,}")


def pair_rows(initial: PairScores | None, final: PairScores | None) -> list[tuple[str, str, str]]:
    """Score, and its value under the initial and the final prompt, where either is known."""
    if initial is None or final is None:
        return []
    return [
        (heading, _cell(initial, name), _cell(final, name))
        for name, heading in PAIR_SCORES.items()
        if name in initial.ci95 or name in final.ci95
    ]


def pair_note(task: Task, orders: Orders) -> str:
    """How pairs were judged, in a sentence; empty for a task of single images."""
    if task.compare == "scores":
        return "Each image was judged on its own, so no order can bias the verdict."
    if task.compare == "joint" and orders == "both":
        return "Every pair was asked in both orders; the verdict comes from the mean probabilities."
    return "Every pair was asked in one order, decided by a hash of its id." if task.compare else ""


def _cell(scores: PairScores, name: str) -> str:
    if name not in scores.ci95:
        return "-"
    low, high = scores.ci95[name]
    return f"{getattr(scores, name):.3f} [{low:.3f}, {high:.3f}]"
