"""The commands that make dataset files: from a table, and one for each importer."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ...data.errors import ConfigError
from ...data.importers.names import IMPORTER_NAMES
from .options import AsJson, Overwrite, parse_pairs

if TYPE_CHECKING:
    from ...data.tasks import Task

# Spelled out here: the modules that own them import heavy libraries.
Strata = Literal["label", "category", "category-label"]
Bins = Literal["round", "equal-width", "quantile"]
Validation = Literal["train", "test", "skip"]

Out = Annotated[
    Path | None, typer.Option(help="Dataset file (Parquet) to write; with --dry-run it is not.")
]

DryRun = Annotated[bool, typer.Option("--dry-run", help="Look and tell; nothing is written.")]

LabelMap = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="FOUND=TASK", help="Rename a label; repeatable."),
]
Rescale = Annotated[
    str | None,
    typer.Option(metavar="LOW-HIGH", help="Ends of the data's scale, put on the task's."),
]


import_app = typer.Typer(help="Make dataset files.", no_args_is_help=True)


@import_app.command("table")
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
    from ...data.arrow import refuse_output  # noqa: PLC0415
    from ...data.table.downloads import default_folder  # noqa: PLC0415
    from ...data.table.inspection import inspect_table  # noqa: PLC0415
    from ...data.table.options import TableOptions  # noqa: PLC0415
    from ...data.table.table import write_table  # noqa: PLC0415
    from ...data.tasks import load_task  # noqa: PLC0415
    from ..runs.progress import counting  # noqa: PLC0415
    from .show.imports import show_problems, show_report  # noqa: PLC0415

    out = _output("table", out, dry_run=dry_run)
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
    if out is not None:
        for read in (*sources, *([split_as] if split_as else [])):
            refuse_output(out, read, ".parquet", overwrite=overwrite)
    with counting(source.name, "rows") as count:
        inspection = inspect_table(source, loaded, options, count)
    if inspection.problems.count:
        show_problems(inspection)
    report = inspection.report
    if out is not None:
        report = write_table(inspection, out, overwrite=overwrite)
    show_report(report, as_json=as_json)


@import_app.command("micro")
def import_micro(
    world: Annotated[Path, typer.Argument(help="World file of the graded test bench.")],
    task: Annotated[str, typer.Option(help="Which of its tasks: micro-agin and so on.")],
    out: Annotated[Path, typer.Option(help="Dataset file (Parquet) to write.")],
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Draw a dataset of the graded test bench. Synthetic: images, labels and people."""
    from ...data.arrow import refuse_output  # noqa: PLC0415
    from ...data.micro.graded import load_world  # noqa: PLC0415
    from ..runs.demo import write_graded  # noqa: PLC0415
    from .show.imports import show_draw  # noqa: PLC0415

    loaded = load_world(world)
    refuse_output(out, world, ".parquet", overwrite=overwrite)
    examples = write_graded(out, task, loaded, overwrite=overwrite)
    show_draw(examples, task, loaded, out, as_json=as_json)


def import_named(
    context: typer.Context,
    out: Out = None,
    source: Annotated[
        Path | None, typer.Argument(help="Folder or file as downloaded; left out with --from-hub.")
    ] = None,
    dry_run: DryRun = False,
    from_hub: Annotated[
        bool, typer.Option("--from-hub", help="Download from the Hugging Face Hub first.")
    ] = False,
    revision: Annotated[
        str | None, typer.Option(help="Commit to download; the pinned one by default.")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="Task name or task file; the packaged one by default.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Column that is the label; the usual one by default.")
    ] = None,
    paper_split: Annotated[
        bool, typer.Option("--paper-split", help="Sample as the BLPO paper did.")
    ] = False,
    strata: Annotated[
        Strata, typer.Option("--stratify", help="What a class is for the two numbers below.")
    ] = "label",
    train_per_class: Annotated[
        int | None, typer.Option(min=1, help="Train examples per class; all by default.")
    ] = None,
    test_per_class: Annotated[
        int | None, typer.Option(min=1, help="Test examples per class; all by default.")
    ] = None,
    max_per_group: Annotated[
        int | None, typer.Option(min=1, help="At most so many examples of one group (prompt).")
    ] = None,
    bins: Annotated[
        Bins | None, typer.Option(help="How raw scores become labels, where rounding is no option.")
    ] = None,
    rescale: Rescale = None,
    label_map: LabelMap = None,
    resplit: Annotated[
        bool, typer.Option("--resplit", help="Ignore the source's own train and test.")
    ] = False,
    test_fraction: Annotated[
        float, typer.Option(help="Share of the test split where the source has none.")
    ] = 0.5,
    seed: Annotated[int, typer.Option(help="Seed of split and sample.")] = 0,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Make a dataset file from a public dataset as it was downloaded."""
    from ...data.importers.driver import import_source  # noqa: PLC0415
    from ...data.importers.options import ImportOptions  # noqa: PLC0415
    from ...data.importers.registry import IMPORTERS  # noqa: PLC0415
    from ...data.importers.sampling import SamplePlan  # noqa: PLC0415
    from ..runs.progress import counting  # noqa: PLC0415
    from .show.imports import show_card, show_manifest  # noqa: PLC0415

    importer = IMPORTERS[str(context.info_name)]
    out = _output(importer.card.name, out, dry_run=dry_run)
    if paper_split and (train_per_class or test_per_class or strata != "label"):
        raise ConfigError("--paper-split sets the classes and their numbers: leave those out")
    options = ImportOptions(
        task=task,
        target=target,
        bins=bins,
        scale=read_scale(rescale),
        label_map=parse_pairs("--label", label_map),
        plan=SamplePlan(strata, train_per_class, test_per_class, max_per_group),
        use_paper_split=paper_split,
        resplit=resplit,
        test_fraction=test_fraction,
        seed=seed,
        overwrite=overwrite,
    )
    show_card(importer.card)
    folder, commit = _source(importer.card.name, source, revision, from_hub=from_hub)
    with counting(importer.card.name, "rows and images") as count:
        manifest = import_source(importer, folder, out, options, revision=commit, on_row=count)
    show_manifest(manifest, out, as_json=as_json)


def _output(name: str, out: Path | None, *, dry_run: bool) -> Path | None:
    """The file to write, None in a dry run. Raises ConfigError where neither is asked for."""
    if out is None and not dry_run:
        raise ConfigError(f"import {name}: name a dataset file with --out, or pass --dry-run")
    return None if dry_run else out


def _source(
    name: str, source: Path | None, revision: str | None, *, from_hub: bool
) -> tuple[Path, str | None]:
    """The folder to read, and the commit it is of where its path does not tell."""
    if (source is None) != from_hub:
        raise ConfigError(f"import {name}: give the path of the download, or --from-hub, not both")
    if source is not None:
        return source, revision
    from ...data.importers.hub import download  # noqa: PLC0415
    from ...data.importers.registry import IMPORTERS  # noqa: PLC0415

    return download(IMPORTERS[name].card, revision), None


def read_scale(text: str | None) -> tuple[float, float] | None:
    """The ends of a scale written as "1-7". Raises ConfigError for anything else."""
    if text is None:
        return None
    low, _, high = text.partition("-")
    try:
        return float(low), float(high)
    except ValueError:
        raise ConfigError(f"--rescale {text}: expected the ends of a scale, as in 1-7") from None


def _scale_map(rescale: str | None, task: "Task") -> dict[str, str]:
    """The task's label for labels on another scale."""
    from ...data.label_sets import rescaled_labels  # noqa: PLC0415

    scale = read_scale(rescale)
    return rescaled_labels(*scale, task) if scale else {}


for _name, _line in IMPORTER_NAMES.items():
    import_app.command(_name, help=_line)(import_named)
