"""The commands that make dataset files: from a table, and one for each importer."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ...data.errors import ConfigError
from ...data.importers.names import IMPORTER_NAMES
from .import_options import DryRun, LabelMap, Out, Rescale, output_file, parse_scale
from .import_table import import_table
from .options import AsJson, Overwrite, parse_pairs

if TYPE_CHECKING:
    from ...data.importers.protocol import Card

# Spelled out here: the modules that own them import heavy libraries.
Strata = Literal["label", "category", "category-label"]
Bins = Literal["round", "equal-width", "quantile"]

import_app = typer.Typer(help="Make dataset files.", no_args_is_help=True)
import_app.command("table")(import_table)


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
    out = output_file(importer.card.name, out, dry_run=dry_run)
    if paper_split and (train_per_class or test_per_class or strata != "label"):
        raise ConfigError("--paper-split sets the classes and their numbers: leave those out")
    options = ImportOptions(
        task=task,
        target=target,
        bins=bins,
        scale=parse_scale(rescale),
        label_map=parse_pairs("--label", label_map),
        plan=SamplePlan(strata, train_per_class, test_per_class, max_per_group),
        use_paper_split=paper_split,
        resplit=resplit,
        test_fraction=test_fraction,
        seed=seed,
        overwrite=overwrite,
    )
    show_card(importer.card)
    folder, commit = _source(importer.card, source, revision, from_hub=from_hub)
    with counting(importer.card.name, "rows and images") as count:
        manifest = import_source(importer, folder, out, options, revision=commit, on_row=count)
    show_manifest(manifest, out, as_json=as_json)


def _source(
    card: "Card", source: Path | None, revision: str | None, *, from_hub: bool
) -> tuple[Path, str | None]:
    """The folder to read, and the commit it is of where its path does not tell."""
    if (source is None) != from_hub:
        raise ConfigError(
            f"import {card.name}: give the path of the download, or --from-hub, not both"
        )
    if source is not None:
        return source, revision
    from ...data.importers.hub import download  # noqa: PLC0415

    return download(card, revision), None


for _name, _line in IMPORTER_NAMES.items():
    import_app.command(_name, help=_line)(import_named)
