"""The command line. Heavy modules are imported by the commands that need them."""

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ...data.errors import BlpoError, StoppedError
from ..methods.names import Method
from .default_command import DefaultCommandGroup
from .doctor import doctor
from .imports import Rescale, add_importers, read_scale
from .options import parse_pairs

if TYPE_CHECKING:
    from ...data.tasks import Task
    from ..config import RunConfig
    from ..sweeps.cells import Outcome
    from ..sweeps.sweep import SweepConfig

EXIT_PROBLEM = 1
EXIT_STOPPED = 75

# Spelled out here: the module that owns it imports heavy libraries.
Split = Literal["train", "test"]
Launcher = Literal["local", "slurm"]
JudgeLauncher = Literal["local", "slurm", "ray"]

app = typer.Typer(
    help="Align a multimodal LLM judge with human labels (Bi-Level Prompt Optimization).",
    epilog="Exit codes: 0 done; 1 a problem that the message names; 2 wrong usage; "
    "75 stopped by USR2 or TERM, 130 interrupted (the same command goes on where it stopped).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
import_app = typer.Typer(help="Make dataset files.", no_args_is_help=True)
store_app = typer.Typer(help="Look after the reply store.", no_args_is_help=True)
sweep_app = typer.Typer(
    cls=DefaultCommandGroup,
    help="Run a grid of runs: blpo sweep SWEEP.yaml is short for blpo sweep run SWEEP.yaml.",
    no_args_is_help=True,
)
judge_app = typer.Typer(
    cls=DefaultCommandGroup,
    help="Score images in bulk: blpo judge DATASET is short for blpo judge run DATASET.",
    no_args_is_help=True,
)
app.add_typer(import_app, name="import")
app.add_typer(store_app, name="store")
app.add_typer(sweep_app, name="sweep")
app.add_typer(judge_app, name="judge")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, for scripts.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the run file; repeatable."),
]
StartOver = Annotated[
    bool,
    typer.Option(help="Remove what an earlier run left in the run directory; the store is kept."),
]
StoreFolder = Annotated[Path, typer.Option("--store", help="Folder of the reply store.")]


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for data, store and runs.")] = Path("blpo-demo"),
    tasks: Annotated[
        list[str] | None,
        typer.Option("--task", help="Micro task; repeatable, all five by default."),
    ] = None,
    methods: Annotated[
        list[Method] | None,
        typer.Option("--method", help="How the judge prompt is optimized; repeatable.  [blpo]"),
    ] = None,
    seeds: Annotated[
        list[int] | None, typer.Option("--seed", help="Seed of a run; repeatable.  [0]")
    ] = None,
    start_over: StartOver = False,
    as_json: AsJson = False,
) -> None:
    """Run the whole loop on five synthetic tasks with the embedded micro model."""
    from ..runs.demo import DEMO_NOTE, demo_configs, demo_tasks  # noqa: PLC0415
    from ..runs.run_many import execute_runs  # noqa: PLC0415
    from .show_runs import show_runs  # noqa: PLC0415

    names = demo_tasks(tasks)
    _say(DEMO_NOTE)
    configs = demo_configs(out, names, methods or [Method.BLPO], seeds or [0])
    show_runs(execute_runs(configs, start_over=start_over), as_json=as_json)


@app.command()
def optimize(
    run_file: Annotated[Path, typer.Argument(help="YAML file that describes the run.")],
    overrides: Overrides = None,
    start_over: StartOver = False,
    as_json: AsJson = False,
) -> None:
    """Optimize a judge prompt as a run file says; the same command again resumes."""
    from ..config import load_run_config  # noqa: PLC0415
    from ..runs.run_many import execute_runs  # noqa: PLC0415
    from .show_runs import show_runs  # noqa: PLC0415

    config = load_run_config(run_file, overrides or [])
    show_runs(execute_runs([config], start_over=start_over), as_json=as_json)


@sweep_app.command("run")
def sweep(
    sweep_file: Annotated[Path, typer.Argument(help="YAML file with a grid of runs.")],
    overrides: Overrides = None,
    launcher: Annotated[
        Launcher, typer.Option(help="Run here, or submit to Slurm what is not finished yet.")
    ] = "local",
    cells_file: Annotated[
        Path | None,
        typer.Option("--cells", help="File with names of cells, one a line: only these."),
    ] = None,
    start_over: StartOver = False,
    as_json: AsJson = False,
) -> None:
    """Run a grid of tasks, methods and seeds over one engine; a failing cell stops no other."""
    from ..sweeps.sweep import load_sweep, sweep_cells  # noqa: PLC0415

    config = load_sweep(sweep_file, overrides or [])
    cells = sweep_cells(config, str(sweep_file))
    if launcher == "slurm":
        from ..launchers.slurm import submit_sweep  # noqa: PLC0415
        from .show_sweep import show_submission  # noqa: PLC0415

        if cells_file or start_over:
            raise BlpoError("--launcher slurm: submits what is missing; drop the other options")
        show_submission(submit_sweep(config, cells), config.output, as_json=as_json)
        return
    from ..runs.run_many import execute_cells  # noqa: PLC0415
    from ..sweeps.cells import (  # noqa: PLC0415
        SWEEP_FILE,
        announced,
        chosen_cells,
        record_failures,
        write_sweep_file,
    )

    wanted = chosen_cells(cells, cells_file) if cells_file else cells
    if wanted is cells:
        write_sweep_file(config, config.output / SWEEP_FILE)
    with announced(config, wanted):
        runs = execute_cells(list(wanted.values()), start_over=start_over)
    outcomes = dict(zip(wanted, runs, strict=True))
    record_failures(config, outcomes)
    _conclude_sweep(config, wanted, outcomes, is_whole=wanted is cells, as_json=as_json)


@sweep_app.command("collect")
def sweep_collect(
    sweep_file: Annotated[Path, typer.Argument(help="YAML file of the sweep.")],
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Sum up the cells that others ran, compact the store; exit code 1 if any is missing."""
    from ...data.store.store import ReplyStore  # noqa: PLC0415
    from ..sweeps.cells import collected  # noqa: PLC0415
    from ..sweeps.sweep import load_sweep, sweep_cells  # noqa: PLC0415

    config = load_sweep(sweep_file, overrides or [])
    cells = sweep_cells(config, str(sweep_file))
    outcomes = collected(config, cells)
    if config.store.is_dir():
        ReplyStore(config.store).compact()
    _conclude_sweep(config, cells, outcomes, is_whole=True, as_json=as_json)


@sweep_app.command("status")
def sweep_status(
    folder: Annotated[Path, typer.Argument(help="Output folder of the sweep.")],
    as_json: AsJson = False,
) -> None:
    """Say which cells of a sweep are done, running, queued, failed or missing."""
    from ..launchers.slurm import queued_cells  # noqa: PLC0415
    from ..sweeps.cells import cell_states, failure_of, read_sweep_folder  # noqa: PLC0415
    from ..sweeps.sweep import sweep_cells  # noqa: PLC0415
    from .show_sweep import show_status  # noqa: PLC0415

    config = read_sweep_folder(folder)
    cells = sweep_cells(config, str(folder))
    states = cell_states(config, cells, queued_cells(folder))
    failures = {name: failure_of(config, name) for name in cells if states[name] == "failed"}
    show_status(states, failures, as_json=as_json)


@app.command()
def table(
    sweep_file: Annotated[Path, typer.Argument(help="YAML file of the sweep, as for `sweep`.")],
    overrides: Overrides = None,
    course: Annotated[
        bool,
        typer.Option(
            "--course",
            help="Also judge the test split under every judge prompt on the runs' way: how soon "
            "they got where, how many steps harmed. Asks the judge.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Draw the tables and plots of a sweep again from its finished cells."""
    from ..sweeps.files import write_course, write_tables  # noqa: PLC0415
    from ..sweeps.sweep import load_sweep, sweep_cells  # noqa: PLC0415
    from .show_tables import show_tables  # noqa: PLC0415

    config = load_sweep(sweep_file, overrides or [])
    cells = sweep_cells(config, str(sweep_file))
    tables = write_tables(config, cells)
    show_tables(tables, config.output, as_json=as_json)
    if course:
        _say(f"course of the runs: {write_course(config, cells)}")


RunOption = Annotated[
    Path | None, typer.Option("--run", help="A finished run: its task, judge and final prompt.")
]
TaskOption = Annotated[
    str | None, typer.Option("--task", help="Task name or task file, without --run.")
]
PromptOption = Annotated[
    Path | None,
    typer.Option("--prompt", help="File with a judge prompt; the task's initial one by default."),
]


@app.command()
def evaluate(
    dataset: Annotated[Path, typer.Argument(help="Dataset file (Parquet).")],
    run: RunOption = None,
    task: TaskOption = None,
    prompt: PromptOption = None,
    split: Annotated[Split, typer.Option(help="Which examples.")] = "test",
    overrides: Overrides = None,
    store: StoreFolder = Path("store"),
    as_json: AsJson = False,
) -> None:
    """Measure how far a judge prompt's verdicts agree with the labels of a dataset."""
    from ..bulk.judging import evaluate_prompt, judge_source  # noqa: PLC0415
    from .show_runs import show_evaluation  # noqa: PLC0415

    source = judge_source(run, task, prompt, overrides or [])
    show_evaluation(source.task, evaluate_prompt(source, dataset, split, store), as_json=as_json)


@app.command()
def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN RUN...", help="Finished runs on one test split.")
    ],
    as_json: AsJson = False,
) -> None:
    """Compare finished runs with the first of them: effect, interval, paired tests."""
    from ..sweeps.compare import compare_runs  # noqa: PLC0415
    from .show_tables import show_comparisons  # noqa: PLC0415

    show_comparisons(compare_runs(runs), as_json=as_json)


@judge_app.command("run")
def judge(
    dataset: Annotated[Path, typer.Argument(help="Dataset file (Parquet); labels not needed.")],
    out: Annotated[Path, typer.Option(help="Parquet file of verdicts to write.")],
    run: RunOption = None,
    task: TaskOption = None,
    prompt: PromptOption = None,
    overrides: Overrides = None,
    store: StoreFolder = Path("store"),
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Only the I-th of N shares, 1/N to N/N, by example_id."),
    ] = None,
    launcher: Annotated[
        JudgeLauncher,
        typer.Option(
            help="Judge here, submit to Slurm the shards that are missing, or judge on Ray Data "
            "over servers."
        ),
    ] = "local",
    num_shards: Annotated[
        int, typer.Option("--shards", min=1, help="slurm: how many shards, a task for each.")
    ] = 8,
    gpus: Annotated[int, typer.Option(min=0, help="slurm: GPUs of a task.")] = 1,
    max_running: Annotated[
        int, typer.Option(min=1, help="slurm: tasks at work at a time; ray: actors.")
    ] = 8,
    sbatch_options: Annotated[
        list[str] | None,
        typer.Option("--sbatch", help="slurm: option of sbatch for the tasks; repeatable."),
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing output.")] = False,
    as_json: AsJson = False,
) -> None:
    """Score images with a finished run's prompt or a prompt file, to Parquet."""
    if launcher == "slurm":
        from ..bulk.judging import judge_source  # noqa: PLC0415
        from ..launchers.judge_array import judge_manifest, submit_judging  # noqa: PLC0415
        from .show_sweep import show_judge_submission  # noqa: PLC0415

        if shard or overwrite:
            raise BlpoError("--launcher slurm: submits what is missing; drop the other options")
        source = judge_source(run, task, prompt, overrides or [])
        manifest = judge_manifest(source, dataset, out, store, num_shards)
        submission = submit_judging(manifest, sbatch_options or [], max_running, gpus)
        show_judge_submission(submission, as_json=as_json)
        return
    if launcher == "ray":
        from ..bulk.judging import judge_source  # noqa: PLC0415
        from ..launchers.ray import judge_on_ray  # noqa: PLC0415
        from .show_runs import show_judged  # noqa: PLC0415

        if shard:
            raise BlpoError("--launcher ray: judges the whole dataset; drop --shard")
        source = judge_source(run, task, prompt, overrides or [])
        counts = judge_on_ray(
            source, dataset, out, store, num_actors=max_running, overwrite=overwrite
        )
        show_judged(source.task, counts, out, as_json=as_json)
        return
    from ...data.shards import parse_shard  # noqa: PLC0415
    from ..bulk.judging import judge_dataset, judge_source  # noqa: PLC0415
    from .show_runs import show_judged  # noqa: PLC0415

    share = None if shard is None else parse_shard(shard)
    source = judge_source(run, task, prompt, overrides or [])
    counts = judge_dataset(source, dataset, out, store, shard=share, overwrite=overwrite)
    show_judged(source.task, counts, out, as_json=as_json)


@judge_app.command("shard")
def judge_one_shard(
    folder: Annotated[Path, typer.Argument(help="Folder of shards that a launcher made.")],
    number: Annotated[int, typer.Argument(help="Number of the shard, from 0.")],
) -> None:
    """Judge one shard of a folder, as the tasks of an array do."""
    from ..launchers.judge_array import judge_shard  # noqa: PLC0415

    counts = judge_shard(folder, number)
    print(f"shard {number}: {counts.rows:,} images, {counts.new_calls:,} of them asked now")


@judge_app.command("collect")
def judge_collect(
    folder: Annotated[Path, typer.Argument(help="Folder of shards that a launcher made.")],
) -> None:
    """Merge the shards of a folder, in the order of the dataset, or say which are missing."""
    from ..launchers.judge_array import collect_shards  # noqa: PLC0415

    out, rows = collect_shards(folder)
    print(f"{rows:,} images; verdicts: {out}")


@import_app.command("table")
def import_table(
    source: Annotated[
        Path, typer.Argument(help="csv, tsv, jsonl, json or parquet table, or an image folder.")
    ],
    task: Annotated[str, typer.Option(help="Task name or task file; labels are checked on it.")],
    out: Annotated[Path, typer.Option(help="Dataset file (Parquet) to write.")],
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            metavar="ROLE=NAME",
            help="Which column is image, image_b, text, label, group, category, id or split, where "
            "the name does not tell; repeatable.",
        ),
    ] = None,
    label_map: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="TABLE=TASK", help="Rename a label; repeatable."),
    ] = None,
    rescale: Rescale = None,
    image_root: Annotated[
        Path | None, typer.Option(help="Folder that image paths start from; the table's own.")
    ] = None,
    test_fraction: Annotated[float, typer.Option(help="Share of the test split.")] = 0.5,
    train_per_class: Annotated[
        int | None, typer.Option(help="Train examples per label, in place of a fraction.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the split.")] = 0,
    shuffle_pairs: Annotated[
        bool,
        typer.Option(
            "--shuffle-pairs",
            help="Write pairs in an order that a hash decides: for a table that has the preferred "
            "image always first.",
        ),
    ] = False,
    overwrite: Annotated[bool, typer.Option(help="Replace an existing output.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a dataset file from a table with image paths, or from an image folder."""
    from ...data.table.table import import_table as run_import  # noqa: PLC0415
    from ...data.tasks import load_task  # noqa: PLC0415
    from ..runs.progress import counting  # noqa: PLC0415
    from .show_runs import show_import  # noqa: PLC0415

    loaded = load_task(task)
    with counting(source.name, "rows") as count:
        summary = run_import(
            source,
            out,
            loaded,
            columns=parse_pairs("--column", columns),
            label_map=_label_map(rescale, label_map, loaded),
            image_root=image_root,
            test_fraction=test_fraction,
            train_per_class=train_per_class,
            seed=seed,
            shuffle_pairs=shuffle_pairs,
            overwrite=overwrite,
            on_row=count,
        )
    show_import(summary, as_json=as_json)


add_importers(import_app)
app.command()(doctor)


@app.command()
def tasks(as_json: AsJson = False) -> None:
    """List the shipped tasks."""
    from .show_tasks import show_tasks  # noqa: PLC0415

    show_tasks(as_json=as_json)


@store_app.command("stats")
def store_stats(store: StoreFolder = Path("store"), as_json: AsJson = False) -> None:
    """Count what the reply store holds."""
    from .show_store import show_store_stats  # noqa: PLC0415

    show_store_stats(_existing(store), as_json=as_json)


@store_app.command("verify")
def store_verify(
    store: StoreFolder = Path("store"),
    quarantine: Annotated[bool, typer.Option(help="Move damaged parts aside.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read every part of the store; exit code 1 if damaged ones stay in it."""
    from .show_store import show_store_verify  # noqa: PLC0415

    if not show_store_verify(_existing(store), quarantine=quarantine, as_json=as_json):
        raise typer.Exit(EXIT_PROBLEM)


@store_app.command("compact")
def store_compact(store: StoreFolder = Path("store"), as_json: AsJson = False) -> None:
    """Merge small parts of the store; safe while others read and write it."""
    from ...data.store.store import ReplyStore  # noqa: PLC0415
    from ..runs.progress import counting  # noqa: PLC0415
    from .show_store import show_store_compact  # noqa: PLC0415

    with counting(str(store), "parts merged") as on_part:
        done = ReplyStore(_existing(store)).compact(on_part)
    show_store_compact(done, as_json=as_json)


def main() -> None:
    """Entry point of `blpo`: prints the message of a user's error in place of a traceback."""
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("blpo").setLevel(logging.INFO)
    try:
        app()
    except BlpoError as error:
        _say(f"error: {error}")
        sys.exit(EXIT_PROBLEM)
    except StoppedError:
        _say("stopped as asked; the same command goes on where it stopped")
        sys.exit(EXIT_STOPPED)


def _conclude_sweep(
    config: "SweepConfig",
    cells: "Mapping[str, RunConfig]",
    outcomes: "Mapping[str, Outcome]",
    *,
    is_whole: bool,
    as_json: bool,
) -> None:
    """Print cells; of a whole sweep write summary and tables. Exit code 1 if a cell is missing."""
    from ..sweeps.files import failures, write_tables  # noqa: PLC0415
    from ..sweeps.sweep import write_summary  # noqa: PLC0415
    from .show_runs import show_sweep  # noqa: PLC0415

    summary = None
    if is_whole:
        summary = write_summary(config, outcomes)
        write_tables(config, cells, failures(outcomes))
    if not show_sweep(outcomes, summary, as_json=as_json):
        raise typer.Exit(EXIT_PROBLEM)


def _existing(store: Path) -> Path:
    if not store.is_dir():
        raise BlpoError(f"{store}: no such folder; name the reply store with --store")
    return store


def _label_map(rescale: str | None, renamed: list[str] | None, task: "Task") -> dict[str, str]:
    """The task's label for labels on another scale or with other names; names go first."""
    from ...data.label_sets import rescaled_labels  # noqa: PLC0415

    scale = read_scale(rescale)
    by_scale = rescaled_labels(int(scale[0]), int(scale[1]), task) if scale else {}
    return by_scale | parse_pairs("--label", renamed)


def _say(message: str) -> None:
    print(message, file=sys.stderr)
