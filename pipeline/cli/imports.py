"""`blpo import NAME`: one command per importer, all with the same options."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ...data.errors import ConfigError
from ...data.importers.names import IMPORTER_NAMES
from .options import parse_pairs

# Spelled out here: the modules that own them import heavy libraries.
Strata = Literal["label", "category", "category-label"]
Bins = Literal["round", "equal-width", "quantile"]

Rescale = Annotated[
    str | None,
    typer.Option(metavar="LOW-HIGH", help="Ends of the data's scale, put on the task's."),
]


def add_importers(app: typer.Typer) -> None:
    """Adds the commands to the `import` group."""
    for name, line in IMPORTER_NAMES.items():
        app.command(name, help=line)(import_named)


def import_named(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Dataset file (Parquet) to write.")],
    source: Annotated[
        Path | None, typer.Argument(help="Folder or file as downloaded; left out with --from-hub.")
    ] = None,
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
    label_map: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="FOUND=TASK", help="Rename a label; repeatable."),
    ] = None,
    resplit: Annotated[
        bool, typer.Option("--resplit", help="Ignore the source's own train and test.")
    ] = False,
    test_fraction: Annotated[
        float, typer.Option(help="Share of the test split where the source has none.")
    ] = 0.5,
    seed: Annotated[int, typer.Option(help="Seed of split and sample.")] = 0,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing output.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON on stdout, for scripts.")
    ] = False,
) -> None:
    """Make a dataset file from a public dataset as it was downloaded."""
    from ...data.importers.driver import import_source  # noqa: PLC0415
    from ...data.importers.options import ImportOptions  # noqa: PLC0415
    from ...data.importers.registry import IMPORTERS  # noqa: PLC0415
    from ...data.importers.sampling import SamplePlan  # noqa: PLC0415
    from ..runs.progress import counting  # noqa: PLC0415
    from .show_import import show_card, show_manifest  # noqa: PLC0415

    importer = IMPORTERS[str(context.info_name)]
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
