"""The folder in which the pages' commands run: what a reader has beforehand, and an engine."""

import contextlib
import glob
import io
import shlex
import subprocess
import sys
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import cast

import public_sources as public
import pytest
from blpo.data.arrow import pa, pq
from blpo.data.micro.graded import GradedWorld
from blpo.data.micro.pairs import generate_pairs, scene_pairs
from blpo.data.micro.rubrics import MICRO_TASKS, generate, scenes_of
from blpo.data.micro.world import Scale, Scene
from blpo.data.tasks import load_task
from blpo.models.engine import Engine, EngineIdentity, Reply, Request
from blpo.models.engines.settings import EngineSettings
from blpo.models.ideal import scenes
from blpo.models.lexicon.engine import LexiconEngine
from blpo.models.wrappers.stopping import StoppableEngine
from blpo.pipeline.cli.app import main
from blpo.pipeline.runs.engine_pool import EnginePool
from documentation import PAGES, Block, blocks, prints
from ideal_engine import IdealEngine
from micro_datasets import micro_examples, write_micro_datasets
from public_sources import IMAGE, cell, write_csv, write_files

NUM_TRAIN, NUM_TEST = 24, 16
PHOTO_TASK = "micro-unsafebench"
PHOTO_LABELS = {"Safe": "accept", "Unsafe": "reject"}
EXIT_WARNINGS = 3
DATASET_FOLDERS = ("blpo-demo/datasets", "sweeps/first/datasets")


class WorldEngine:
    """In place of every model: the ideal judge of the scenes, the lexicon for text alone.

    Contract: `Engine`. The labels of a request say on which scale it judges.
    """

    version = "world"
    identity = EngineIdentity("world", "micro", "world", "none")

    def __init__(self) -> None:
        self._lexicon = LexiconEngine()
        scenes = _scenes()
        scales: dict[tuple[str, ...], Scale] = {
            load_task(name).labels: task.scale for name, task in MICRO_TASKS.items()
        }
        self._judges = {labels: IdealEngine(scenes, scale) for labels, scale in scales.items()}
        self._verbalizer = next(iter(self._judges.values()))

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        return [self._answer(request) for request in requests]

    def close(self) -> None:
        pass

    def _answer(self, request: Request) -> Reply:
        if request.image is None:
            return self._lexicon.ask([request])[0]
        if not request.labels:
            return self._verbalizer.ask([request])[0]
        if set(request.labels) != set(PHOTO_LABELS.values()):
            return self._judges[request.labels].ask([request])[0]
        asked = replace(request, labels=tuple(PHOTO_LABELS))
        reply = self._judges[asked.labels].ask([asked])[0]
        logprobs = cast("Mapping[str, float]", reply.label_logprobs)
        renamed = {PHOTO_LABELS[label]: value for label, value in logprobs.items()}
        return replace(reply, text=PHOTO_LABELS[reply.text], label_logprobs=renamed)


@contextlib.contextmanager
def working_in(folder: Path) -> Generator[None]:
    """Commands run in `folder`, and every model is the world's engine."""
    engine = WorldEngine()

    def shared(pool: EnginePool, _: EngineSettings) -> Engine:
        return StoppableEngine(engine, pool.stop)

    with pytest.MonkeyPatch.context() as patch, contextlib.chdir(folder):
        patch.setattr(EnginePool, "engine", shared)
        yield


@contextlib.contextmanager
def scenes_drawn_once() -> Generator[None]:
    """The ideal judges of all commands share the scenes that they know."""
    drawn: Callable[[str, GradedWorld], Mapping[bytes, Scene]] = vars(scenes)["_drawn"]

    @cache
    def of_json(task: str, world: str) -> Mapping[bytes, Scene]:
        return drawn(task, GradedWorld.model_validate_json(world))

    def of_world(task: str, world: GradedWorld) -> Mapping[bytes, Scene]:
        return of_json(task, world.model_dump_json())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scenes, "_drawn", of_world)
        yield


def run_blpo(arguments: Sequence[str]) -> tuple[int, str]:
    """Exit code and output of `blpo` with these arguments, in this process."""
    printed = io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        patch.setattr(sys, "argv", ["blpo", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    return int(ended.value.code or 0), printed.getvalue()


def _run_python(arguments: Sequence[str]) -> tuple[int, str]:
    """Here, where every model is the world's engine."""
    option, code = arguments
    assert option == "-c"
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            exec(compile(code, "block", "exec"), {"__name__": "__main__"})
    except Exception:
        return 1, printed.getvalue() + traceback.format_exc()
    return 0, printed.getvalue()


def _copy(arguments: Sequence[str]) -> tuple[int, str]:
    return subprocess.run(["cp", *arguments], check=False).returncode, ""


_RUNNERS: Mapping[str, Callable[[Sequence[str]], tuple[int, str]]] = {
    "blpo": run_blpo,
    "cp": _copy,
    "python": _run_python,
}


def runnable_commands(page: str) -> list[tuple[str, list[str]]]:
    """The commands of a page that are run, each with the place of its block."""
    return [
        (f"{block.where}: {shlex.join(words)}", words)
        for block in blocks(page, "sh", "python")
        if block.parsed_only is None
        for words in block.commands
    ]


def run_page(page: str) -> None:
    """Run the page's commands in order, in the working directory."""
    shown = ""
    for block in blocks(page, "sh", "python", "text"):
        if block.language == "text":
            assert prints(block.text, shown), f"{block.where}: this was printed:\n{shown}"
        elif block.parsed_only is None:
            shown = "".join(_run(block, words) for words in block.commands)


def _run(block: Block, words: Sequence[str]) -> str:
    """What a command prints. That a machine has no Slurm is no fault of the page."""
    program, *arguments = words
    where = f"{block.where}: {shlex.join(words)}"
    assert program in _RUNNERS, f"{where}: mark the block as parsed only"
    code, printed = _RUNNERS[program]([path for word in arguments for path in _expanded(word)])
    is_warned = arguments[:1] == ["doctor"] and code == EXIT_WARNINGS
    assert code == block.exit_code or is_warned, f"{where}\n{printed}"
    return printed


def _expanded(word: str) -> list[str]:
    """A pattern of names as a shell expands it."""
    return (sorted(glob.glob(word)) if "*" in word else []) or [word]


def furnish(folder: Path) -> None:
    """Write the files that readers bring along, and those that the pages show in full."""
    furnish_photos(folder)
    _write_pairs(folder)
    _write_downloads(folder)
    for name in DATASET_FOLDERS:
        write_micro_datasets(folder / name, NUM_TRAIN, NUM_TEST)


def furnish_photos(folder: Path) -> None:
    """The photos of the front page, and the files that the pages show in full."""
    _write_photos(folder)
    for page in PAGES:
        for block in blocks(page, "yaml"):
            if block.file_name is not None:
                (folder / block.file_name).write_text(block.text, "utf-8")


def _scenes() -> dict[bytes, Scene]:
    """The scene behind every image of the world."""
    known: dict[bytes, Scene] = {}
    for task in MICRO_TASKS:
        rows = generate(task, 0, NUM_TRAIN, NUM_TEST)
        scenes = scenes_of(task, 0, NUM_TRAIN, NUM_TEST)
        known |= {row["image"]: scene for row, scene in zip(rows, scenes, strict=True)}
    pairs = generate_pairs(0, NUM_TRAIN, NUM_TEST)
    both = scene_pairs(0, NUM_TRAIN, NUM_TEST)
    for row, (first, second) in zip(pairs, both, strict=True):
        known |= {row["image"]: first, row["image_b"]: second}
    return known


def _write_photos(folder: Path) -> None:
    """Tables of photos with their images, the folder shots, new-photos.parquet."""
    examples = micro_examples(PHOTO_TASK, NUM_TRAIN, NUM_TEST)
    images = {f"photos/{e.example_id}.png": e.image.data for e in examples}
    write_files(folder, images)
    rows = [(name, PHOTO_LABELS[e.label]) for name, e in zip(images, examples, strict=True)]
    write_csv(folder / "photos.csv", ("image", "label"), rows)
    decisions = [
        (f"{e.example_id}.png", {"accept": "yes", "reject": "no"}[PHOTO_LABELS[e.label]])
        for e in examples
    ]
    write_csv(folder / "decisions.csv", ("file", "decision"), decisions)
    votes = [
        (name, f"W{rater}", PHOTO_LABELS[e.label if rater else "Safe"])
        for name, e in zip(images, examples, strict=True)
        for rater in range(3)
    ]
    write_csv(folder / "votes.csv", ("image", "annotator", "label"), votes)
    listings = [
        (name, str(1 + i % 5), ("bad", "fair", "good", "")[i % 4], ("no", "yes")[i % 2])
        for i, name in enumerate(images)
    ]
    write_csv(folder / "listings.csv", ("image", "label", "lighting", "is_alone"), listings)
    shots = {f"shots/{PHOTO_LABELS[e.label]}/{e.example_id}.png": e.image.data for e in examples}
    write_files(folder, shots)
    names = [f"new-{name}" for name in images]
    new = {"example_id": names, "image": [cell(data) for data in images.values()]}
    schema = pa.schema([("example_id", pa.string()), ("image", IMAGE)])
    pq.write_table(pa.table(new, schema=schema), folder / "new-photos.parquet")


def _write_pairs(folder: Path) -> None:
    rows = [(f"a fox {i}", f"pairs/{i}a.png", f"pairs/{i}b.png", "AB"[i % 2]) for i in range(24)]
    for i, (_, *names, _) in enumerate(rows):
        write_files(folder, {name: public.picture(2 * i + k) for k, name in enumerate(names)})
    write_csv(folder / "pairs.csv", ("prompt", "image_a", "image_b", "label"), rows)


def _write_downloads(folder: Path) -> None:
    """Public datasets in their own formats, with invented rows."""
    public.imagereward(folder / "ImageRewardDB", num_prompts=330)
    public.unsafebench(folder / "UnsafeBench", {"train": 20, "test": 20})
    public.agin(folder / "AGIN", low=1.0, high=7.0)
    public.pickapic(folder / "pickapic_v2")
