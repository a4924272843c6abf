"""The commands that put a judge prompt to work: measured against labels, or scoring images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..launchers.registry import LAUNCHERS, get_launcher
from .default_command import DefaultCommandGroup
from .options import (
    AsJson,
    ItemsArgument,
    Overrides,
    Overwrite,
    Quiet,
    StoreOfRun,
    known_launcher,
    parse_pairs,
)

if TYPE_CHECKING:
    from ..launchers.base import JudgeJob

# Spelled out here: the module that owns it imports heavy libraries.
Split = Literal["train", "test"]

RunOption = Annotated[
    Path | None, typer.Option("--run", help="A finished run: its task, judge and final prompt.")
]
BundleOption = Annotated[
    Path | None,
    typer.Option("--bundle", help="A bundle that `blpo export` made: all of that in one file."),
]
TaskOption = Annotated[
    str | None, typer.Option("--task", help="Task name or task file, without --run.")
]
PromptOption = Annotated[
    Path | None,
    typer.Option("--prompt", help="File with a judge prompt; the task's initial one by default."),
]
MaxFailedShareOption = Annotated[
    float | None,
    typer.Option(
        "--max-failed-share",
        min=0,
        max=1,
        help="The largest share of images that may get no verdict; 0.1.",
    ),
]
ShardFolder = Annotated[Path, typer.Argument(help="Folder of shards that a launcher made.")]

judge_app = typer.Typer(
    cls=DefaultCommandGroup,
    help="Judge images in bulk. `blpo judge DATASET` is short for `blpo judge run DATASET`, whose "
    "options `blpo judge run --help` shows.",
    no_args_is_help=True,
)


def evaluate(
    dataset: Annotated[Path, typer.Argument(help="Dataset file (Parquet).")],
    run: RunOption = None,
    bundle: BundleOption = None,
    task: TaskOption = None,
    prompt: PromptOption = None,
    split: Annotated[Split, typer.Option(help="Which examples.")] = "test",
    overrides: Overrides = None,
    store: StoreOfRun = None,
    max_failed_share: MaxFailedShareOption = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Measure the agreement of a judge prompt's verdicts with the labels of a dataset."""
    from ..bulk.evaluation import evaluate_prompt  # noqa: PLC0415
    from ..bulk.judge_source import judge_source  # noqa: PLC0415
    from ..runs.progress import be_quiet  # noqa: PLC0415
    from .show.judging import show_evaluation, show_source  # noqa: PLC0415

    if quiet:
        be_quiet()
    allowed = _allowing(max_failed_share, overrides)
    source = judge_source(run, task, prompt, allowed, store, bundle)
    show_source(source, as_json=as_json)
    evaluation = evaluate_prompt(source, dataset, split, source.store)
    show_evaluation(source, evaluation, as_json=as_json)


@judge_app.command("run")
def judge(
    dataset: ItemsArgument,
    out: Annotated[Path, typer.Option(help="Parquet file of verdicts to write.")],
    run: RunOption = None,
    bundle: BundleOption = None,
    task: TaskOption = None,
    prompt: PromptOption = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            metavar="ROLE=NAME",
            help="Which column of a table is image, image_b, a role of the task, text or id; "
            "repeatable.",
        ),
    ] = None,
    image_root: Annotated[
        Path | None, typer.Option(help="Folder that image paths of a table start from.")
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch images behind URLs, once.")
    ] = False,
    overrides: Overrides = None,
    store: StoreOfRun = None,
    max_failed_share: MaxFailedShareOption = None,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Only the I-th of N shares of the rows, 1/N to N/N."),
    ] = None,
    launcher: Annotated[
        str,
        typer.Option(
            metavar="|".join(LAUNCHERS),
            callback=known_launcher,
            help="Judge here (local), submit to Slurm the shards that are missing, or judge on Ray "
            "Data over servers.",
        ),
    ] = "local",
    num_shards: Annotated[
        int | None,
        typer.Option(
            "--shards",
            min=1,
            help="How many shards; slurm, ray: a task for each, 8. An --out without a suffix is a "
            "folder of them.",
        ),
    ] = None,
    own_stores: Annotated[
        bool, typer.Option("--own-stores", help="A reply store for each shard, below --store.")
    ] = False,
    gpus: Annotated[int | None, typer.Option(min=0, help="slurm: GPUs of a task; 1.")] = None,
    max_running: Annotated[
        int | None,
        typer.Option(min=1, help="slurm: tasks at work at a time; ray: actors; 8."),
    ] = None,
    sbatch_options: Annotated[
        list[str] | None,
        typer.Option("--sbatch", help="slurm: option of sbatch for the tasks; repeatable."),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Judge images under a finished run's prompt or a prompt file; verdicts go to Parquet."""
    from ...data.shards import parse_shard  # noqa: PLC0415
    from ...data.table.downloads import default_folder  # noqa: PLC0415
    from ...data.table.items import ItemOptions, check_items_there  # noqa: PLC0415
    from ..bulk.judge_source import judge_source  # noqa: PLC0415
    from ..launchers.base import JudgeJob  # noqa: PLC0415
    from ..runs.progress import be_quiet  # noqa: PLC0415

    if quiet:
        be_quiet()
    check_items_there(dataset)
    allowed = _allowing(max_failed_share, overrides)
    source = judge_source(run, task, prompt, allowed, store, bundle)
    job = JudgeJob(
        source=source,
        dataset=dataset,
        out=out,
        store=source.store,
        overwrite=overwrite,
        shard=None if shard is None else parse_shard(shard),
        num_shards=num_shards,
        own_stores=own_stores,
        gpus=gpus,
        max_running=max_running,
        sbatch_options=sbatch_options or None,
        options=ItemOptions(
            parse_pairs("--column", columns),
            image_root,
            default_folder() if download else None,
        ),
    )
    _launch(job, launcher, as_json=as_json)


@judge_app.command("shard")
def judge_one_shard(
    folder: ShardFolder,
    number: Annotated[int, typer.Argument(help="Number of the shard, from 1, as in --shard.")],
) -> None:
    """Judge one shard, as the tasks of an array do."""
    from ..bulk.shards import judge_shard  # noqa: PLC0415
    from .show.printing import print_line  # noqa: PLC0415

    counts = judge_shard(folder, number - 1)
    print_line(f"shard {number}: {counts.rows:,} images, {counts.new_calls:,} of them asked now")


@judge_app.command("collect")
def judge_collect(
    folder: ShardFolder,
) -> None:
    """Merge the shards of a folder, in the order of the dataset, or say which are missing."""
    from ..bulk.shards import collect_shards  # noqa: PLC0415
    from .show.printing import print_line  # noqa: PLC0415

    out, counts = collect_shards(folder)
    print_line(f"{counts.rows:,} images; no label: {counts.verdicts[None]:,}; verdicts: {out}")


def _allowing(share: float | None, overrides: list[str] | None) -> list[str]:
    """Overrides of the configuration, with the share of failures that an option allows."""
    own = [] if share is None else [f"max_failed_share={share}"]
    return [*(overrides or []), *own]


def _launch(job: "JudgeJob", launcher: str, *, as_json: bool) -> None:
    """Tell what is about to be judged, have it judged or submitted, and tell the outcome."""
    from ..launchers.base import Submission  # noqa: PLC0415
    from .show.judging import show_judged, show_left_out, show_source  # noqa: PLC0415
    from .show.sweeps import show_submission  # noqa: PLC0415

    show_source(job.source, as_json=as_json)
    show_left_out(job.dataset, as_json=as_json)
    launched = get_launcher(launcher).judge(job)
    if isinstance(launched, Submission):
        show_submission(launched, as_json=as_json)
    else:
        show_judged(job.source, launched, job.out, as_json=as_json)
