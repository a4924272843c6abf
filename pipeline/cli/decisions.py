"""The commands that act on verdicts: where to act, how many images have a label, what to label."""

from pathlib import Path
from typing import Annotated

import typer

from .options import AsJson, ItemsArgument, Overwrite, StoreOfRun


def decide(
    run: Annotated[Path, typer.Argument(help="A finished run with a reading.")],
    target: Annotated[
        str,
        typer.Option(
            metavar="TARGET",
            help="'precision(LABEL) >= .95', 'recall(LABEL) >= .98', 'error <= .05' or "
            "'cost <= .2'.",
        ),
    ],
    costs: Annotated[
        list[str] | None,
        typer.Option(
            "--cost",
            metavar="HUMAN:VERDICT=COST",
            help="Of a wrong verdict, for a target of cost; repeatable, 1 by default.",
        ),
    ] = None,
    confidence: Annotated[
        float, typer.Option(min=0.5, max=0.999, help="That the target holds.")
    ] = 0.9,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Find which verdicts to act on so that a target holds; `judge --run` then says so for each.

    The threshold is found on train, and its outcome shown on the test split.
    """
    from ..decisions.decide import decide as find_decision  # noqa: PLC0415
    from ..decisions.decide import write_decision  # noqa: PLC0415
    from ..decisions.in_report import mark_in_report  # noqa: PLC0415
    from .show.decisions import show_decision  # noqa: PLC0415

    decision = find_decision(run, target, costs or [], confidence)
    path = write_decision(run, decision, overwrite=overwrite)
    mark_in_report(run, decision)
    show_decision(decision, path, as_json=as_json)


def estimate(
    verdicts: Annotated[
        list[Path],
        typer.Argument(
            metavar="VERDICTS...",
            help="Files of verdicts that `judge --run` wrote, or folders of them.",
        ),
    ],
    run: Annotated[Path, typer.Option(help="The run; its test split corrects the count.")],
    as_json: AsJson = False,
) -> None:
    """Estimate the share of each label among judged images, with intervals."""
    from ..bulk.verdict_files import verdict_files  # noqa: PLC0415
    from ..decisions.estimate import estimate as find_shares  # noqa: PLC0415
    from .show.decisions import show_estimate  # noqa: PLC0415

    show_estimate(find_shares(verdict_files(verdicts), run), as_json=as_json)


def next_(
    dataset: ItemsArgument,
    run: Annotated[Path, typer.Option(help="A finished run; its judge looks at the images.")],
    out: Annotated[Path, typer.Option(help="CSV to write, with an empty column `label`.")],
    number: Annotated[int, typer.Option("-n", min=1, help="How many images.")] = 50,
    store: StoreOfRun = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Pick the images whose labels would tell most: disagreement, abstention, doubt, by group."""
    from ...data.arrow import refuse_output  # noqa: PLC0415
    from ...data.table.items import check_items_there  # noqa: PLC0415
    from ..bulk.judge_source import judge_source  # noqa: PLC0415
    from ..bulk.next_labels import ids_are_paths, next_images, write_next  # noqa: PLC0415
    from ..labelling.page import label_command  # noqa: PLC0415
    from ..runs.directory import task_named_by  # noqa: PLC0415
    from .show.decisions import show_next  # noqa: PLC0415
    from .show.judging import show_source  # noqa: PLC0415

    check_items_there(dataset)
    source = judge_source(run, None, None, [], store)
    show_source(source, as_json=as_json)
    refuse_output(out, dataset, ".csv", overwrite=overwrite)
    picked = next_images(source, dataset, run, number)
    write_next(out, picked.images, dataset, overwrite=overwrite)
    command = None
    if ids_are_paths(picked.images, dataset):
        command = label_command(out, task_named_by(run), dataset)
    show_next(picked, number, out, command, as_json=as_json)
