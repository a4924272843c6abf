"""The command that makes a dataset file from a table or folder of the user's own."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from .import_options import DryRun, LabelMap, Out, Rescale, output_file, parse_scale
from .options import AsJson, Overwrite, parse_pairs

if TYPE_CHECKING:
    from ...data.table.options import TableOptions
    from ...data.table.report import ImportReport
    from ...data.tasks import Task

# Spelled out here: the module that owns it imports heavy libraries.
Validation = Literal["train", "test", "skip"]


def import_table(
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="SOURCE...",
            help="Table (csv, tsv, xlsx, jsonl, json, Parquet), export of an annotation tool, "
            "image folder, Hugging Face snapshot or WebDataset; several with the same columns are "
            "read as one.",
        ),
    ],
    task: Annotated[str, typer.Option(help="Task name or task file; labels are checked on it.")],
    out: Out = None,
    dry_run: DryRun = False,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            metavar="ROLE=NAME",
            help="Which column is image, image_b, text, label, group, category, id, split, rater, "
            "ratings or comment, or an image of a role that the task names, where the name does "
            "not tell; a path with columns in braces for images; repeatable.",
        ),
    ] = None,
    label_map: LabelMap = None,
    criteria: Annotated[
        list[str] | None,
        typer.Option(
            "--criterion",
            metavar="CRITERION=NAME",
            help="Which column holds annotators' answers to a criterion of the task; repeatable.",
        ),
    ] = None,
    rescale: Rescale = None,
    ratings: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME", help="Columns that hold the answers of one annotator each."
        ),
    ] = None,
    several_raters: Annotated[
        bool,
        typer.Option(
            "--several-raters",
            help="Rows with the same image and text are answers of several annotators.",
        ),
    ] = False,
    image_roots: Annotated[
        list[Path] | None,
        typer.Option(
            "--image-root",
            help="Folder that image paths start from; the table's own. Repeatable: each path is "
            "looked for in all of them, and has to be in one.",
        ),
    ] = None,
    image_prefix: Annotated[
        str | None,
        typer.Option(help="What image paths begin with in place of it; found out by default."),
    ] = None,
    allow_outside: Annotated[
        bool,
        typer.Option(
            "--allow-outside", help="Read images outside that folder, if you trust the table."
        ),
    ] = False,
    download: Annotated[
        bool,
        typer.Option(
            "--download", help="Fetch images behind URLs, once; they are kept in ~/.cache/blpo."
        ),
    ] = False,
    sheet: Annotated[str, typer.Option(help="Which sheet of a spreadsheet.")] = "",
    skip_faulty: Annotated[
        bool,
        typer.Option("--skip-faulty", help="Leave out rows with a problem, and count them."),
    ] = False,
    validation: Annotated[
        Validation | None,
        typer.Option(help="Where a validation split goes; left out, or test where there is none."),
    ] = None,
    test_fraction: Annotated[float, typer.Option(help="Share of the test split.")] = 0.5,
    train_per_class: Annotated[
        int | None, typer.Option(help="Train examples per label, in place of a fraction.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the split.")] = 0,
    split_as: Annotated[
        Path | None,
        typer.Option(
            metavar="DATASET",
            help="Older dataset file: its images and groups keep their side of the split, and only "
            "new ones are dealt.",
        ),
    ] = None,
    shuffle_pairs: Annotated[
        bool,
        typer.Option(
            "--shuffle-pairs",
            help="Write pairs in an order that a hash decides: for a table that has the preferred "
            "image always first.",
        ),
    ] = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Look at a table or folder of images and labels, tell what is there, make a dataset file."""
    from ...data.table.downloads import default_folder  # noqa: PLC0415
    from ...data.table.options import TableOptions  # noqa: PLC0415
    from ...data.tasks import load_task  # noqa: PLC0415
    from .show.imports import show_report  # noqa: PLC0415

    out = output_file("table", out, dry_run=dry_run)
    loaded = load_task(task)
    source, *more = sources
    roots = image_roots or []
    options = TableOptions(
        more=tuple(more),
        columns=parse_pairs("--column", columns),
        label_map=parse_pairs("--label", label_map),
        scale_map=_scale_map(rescale, loaded),
        criteria=parse_pairs("--criterion", criteria),
        ratings=tuple(name.strip() for name in ratings.split(",")) if ratings else (),
        several_raters=several_raters,
        image_root=roots[0] if roots else None,
        more_roots=tuple(roots[1:]),
        image_prefix=image_prefix,
        allow_outside=allow_outside,
        downloads=default_folder() if download else None,
        sheet=sheet,
        skip_faulty=skip_faulty,
        validation=validation,
        test_fraction=test_fraction,
        train_per_class=train_per_class,
        seed=seed,
        split_as=split_as,
        shuffle_pairs=shuffle_pairs,
    )
    report = _inspect_and_write(source, out, loaded, options, overwrite=overwrite)
    show_report(report, as_json=as_json)


def _scale_map(rescale: str | None, task: "Task") -> dict[str, str]:
    """The task's label for labels on another scale."""
    from ...data.label_sets import rescaled_labels  # noqa: PLC0415

    scale = parse_scale(rescale)
    return rescaled_labels(*scale, task) if scale else {}


def _inspect_and_write(
    source: Path, out: Path | None, task: "Task", options: "TableOptions", *, overwrite: bool
) -> "ImportReport":
    """What was found, and written unless `out` is None. Problems of rows are shown with what was
    recognised, and raised.
    """
    from ...data.arrow import refuse_output  # noqa: PLC0415
    from ...data.table.inspection import inspect_table  # noqa: PLC0415
    from ...data.table.table import write_table  # noqa: PLC0415
    from ..runs.progress import counting  # noqa: PLC0415
    from .show.imports import show_problems  # noqa: PLC0415

    if out is not None:
        for read in options.files_read(source):
            refuse_output(out, read, ".parquet", overwrite=overwrite)
    with counting(source.name, "rows") as count:
        inspection = inspect_table(source, task, options, count)
    if inspection.problems.count:
        show_problems(inspection)
    return inspection.report if out is None else write_table(inspection, out, overwrite=overwrite)
