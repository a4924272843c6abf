"""What `decide`, `estimate` and `next` print."""

from collections import Counter
from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from ...bulk.next_labels import Picked
from ...decisions.decide import Decision, Outcome
from ...decisions.estimate import Estimate
from ...runs.directory import REPORT_FILE
from .printing import print_json, print_line, stdout_console


def show_decision(decision: Decision, path: Path, *, as_json: bool) -> None:
    """The operating point, on train and on the test split."""
    if as_json:
        told = {"coverage_differs": decision.coverage_differs, "path": str(path)}
        print_json(decision.model_dump(mode="json") | told)
        return
    print_line(
        f"{decision.target}, with confidence {decision.confidence:g}: act on a confidence of at "
        f"least {decision.threshold:.4f}"
    )
    measure = decision.target.measure
    table = Table("split", "images", "acted on", f"{measure} (95 %)", title_justify="left")
    for split, outcome in (("train", decision.train), ("test", decision.test)):
        table.add_row(split, f"{outcome.n:,}", _coverage(outcome), _value(outcome))
    stdout_console().print(table)
    print_line(
        "train: one image of each group, read out of fold; the search has seen it too, so go by "
        "the test split, which has had no part in this"
    )
    if decision.coverage_differs:
        train, test = decision.train.coverage, decision.test.coverage
        print_line(
            f"acted on: {train:.0%} of train, {test:.0%} of the test split, further apart than by "
            "chance: what train promises may not hold for other images"
        )
    print_line(f"decision: {path}; `blpo judge --run` now adds `decision` and `confidence`")
    report = path.parent / REPORT_FILE
    if report.exists():
        print_line(f"its operating point is marked in {report}")


def show_estimate(found: Estimate, *, as_json: bool) -> None:
    """The share of each label, beside the count of verdicts."""
    if as_json:
        shares = [share.model_dump(mode="json") for share in found.shares]
        print_json(asdict(found) | {"shares": shares})
        return
    table = Table(
        "label", "verdicts", "estimate", "95 % interval", title="Shares", title_justify="left"
    )
    for one in found.shares:
        low, high = one.ci95
        table.add_row(one.label, f"{one.naive:.2%}", f"{one.share:.2%}", f"{low:.2%} to {high:.2%}")
    stdout_console().print(table)
    left_out = f"; {found.num_left_out:,} of both left out" if found.num_left_out else ""
    print_line(
        f"{found.num_images:,} judged images, corrected by {found.num_labelled:,} labelled ones of "
        f"the test split{left_out}. The estimate holds if these are drawn from the same images"
    )
    if not found.uses_verdicts:
        print_line(
            "the verdicts add nothing, as on the test split they do not go with the labels: the "
            "estimate is that of the labelled images alone"
        )


def show_next(
    picked: Picked, number: int, out: Path, command: str | None, *, as_json: bool
) -> None:
    """How many images were picked, for what; and where they are fewer than asked for, why.

    command: what makes a labelling page of them; None where they are no images of a folder.
    """
    chosen = picked.images
    why = Counter(one.why for one in chosen)
    if as_json:
        images = [one.example_id for one in chosen]
        told = {"images": images, "why": dict(why), "left_out": picked.num_left_out}
        print_json(told | {"out": str(out), "next_command": command})
        return
    told = "; ".join(f"{reason}: {number:,}" for reason, number in why.items())
    print_line(f"{len(chosen):,} images ({told}): {out}")
    if len(chosen) < number:
        print_line(f"fewer than the {number:,} asked for: no others are left")
    if picked.num_left_out:
        print_line(
            f"left out: {picked.num_left_out:,} that have a label or are of the run's splits"
        )
    if picked.are_equal:
        print_line("all equally doubtful, as others are that are not here: picked by example_id")
    if command is None:
        print_line("next: fill in the column `label`, by example_id, and add them to your table")
    else:
        print_line(f"next: {command}")


def _coverage(outcome: Outcome) -> str:
    low, high = outcome.ci95["coverage"]
    return f"{outcome.num_acts:,}, {outcome.coverage:.1%} [{low:.1%}, {high:.1%}]"


def _value(outcome: Outcome) -> str:
    if outcome.value is None:
        return "-"
    low, high = outcome.ci95["value"]
    return f"{outcome.value:.3f} [{low:.3f}, {high:.3f}]"
