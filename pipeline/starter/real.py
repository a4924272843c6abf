"""The first run with a real judge: `blpo demo --real`.

A public dataset, an open model as judge, verbalizer and optimizer. All is looked up and checked
before anything is fetched; then importer, run file and run are those of any other project.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...data.arrow import atomic_path
from ...data.errors import ConfigError, DataError
from ...data.hub import Repository, look_up, snapshot_in
from ...data.importers.driver import import_source
from ...data.importers.genai_bench import GenAiBench
from ...data.importers.hub import download
from ...data.importers.manifest import Manifest
from ...data.importers.options import ImportOptions
from ...data.importers.protocol import Card
from ...data.importers.sampling import SamplePlan
from ...data.tasks import load_task
from ...data.text_files import parse_yaml, read_text
from ...models.engines.checkpoint import weights_bytes
from ...models.wrappers.ledger import ROLES, Role
from ..config import RunConfig, parse_config
from ..runs.calls import planned_calls
from .effort import Effort
from .files import RUN_FILE, RunFile
from .machine import refuse_machine, refuse_without_gpu


class RealData(GenAiBench):
    """GenAI-Bench (apache-2.0, no gate), one of its twelve parts: 6 generators, 3 raters."""

    card: Card = replace(
        GenAiBench.card, patterns=("data/train-00000-of-00012.parquet", "README.md")
    )


DATA = RealData()
TASK = "genai-bench"
_NUM_GENERATORS = 6
_DATA_FILE = "**/train-*.parquet"

DEFAULT_JUDGE = "Qwen/Qwen3-VL-4B-Instruct"
JUDGES = {
    DEFAULT_JUDGE: "ebb281ec70b05090aa6165b016eac8ec08e71b17",
    "Qwen/Qwen3-VL-8B-Instruct": "0c351dd01ed87e9c1b53cbc748cba10e6187ff3b",
}
"""Commits of judges (apache-2.0). Of any other the newest commit is taken, shown and pinned."""
_JUDGE_LICENCE = "apache-2.0"
_JUDGE_FILES = ("*.json", "*.safetensors", "*.jinja", "*.txt", "*.model")


@dataclass(frozen=True, slots=True)
class Source:
    """Where data or a model come from.

    place: a folder here, or a repository of the Hub. num_bytes: of what is used of it.
    """

    place: Path | Repository
    licence: str
    num_bytes: int

    @property
    def bytes_to_fetch(self) -> int:
        return 0 if isinstance(self.place, Path) else self.place.bytes_to_fetch

    @property
    def named(self) -> str:
        """With the commit, if it has one."""
        if isinstance(self.place, Path):
            return str(self.place)
        return f"{self.place.name} at {self.place.commit}"


@dataclass(frozen=True, slots=True)
class RealPlan:
    """What the run takes. calls: by role, at most.

    num_train, num_test: images, as many of each generator. effort: on a GPU; None where models run
    on the CPU.
    """

    data: Source
    judge: Source
    run_file: Path
    run: RunFile
    num_train: int
    num_test: int
    calls: Mapping[Role, int]
    effort: Effort | None

    @property
    def bytes_to_fetch(self) -> int:
        return self.data.bytes_to_fetch + self.judge.bytes_to_fetch


def plan_real(
    out: Path,
    judge: str,
    data: Path | None,
    sizes: tuple[int, int],
    overrides: Sequence[str] = (),
) -> RealPlan:
    """Look everything up; nothing is fetched and nothing written.

    judge: a repository of the Hub, or a folder. data: a folder; None for the Hub. sizes: of the
    training and of the test split, rounded up to as many images of each generator. Raises BlpoError
    with the remedy where something is missing: GPU, network, disk, memory of the GPU.
    """
    if judge in JUDGES:
        refuse_without_gpu(judge)
    found_judge, found_data = _judge(judge), _data(data)
    bytes_to_fetch = found_judge.bytes_to_fetch + found_data.bytes_to_fetch
    refuse_machine(judge, found_judge.num_bytes, bytes_to_fetch)
    num_train, num_test = (math.ceil(size / _NUM_GENERATORS) * _NUM_GENERATORS for size in sizes)
    folder = out / "real" / Path(judge).name
    run = _run_file(out / "real", folder, f"{TASK}-{num_train}-{num_test}", found_judge)
    config = parse_config(
        RunConfig, parse_yaml(run.text(), RUN_FILE, ConfigError), RUN_FILE, overrides
    )
    planned = planned_calls(config, load_task(config.task), num_train, num_test)
    calls: dict[Role, int] = {role: planned.of(role) for role in ROLES}
    effort = None
    if config.judge.device == "cuda":
        effort = Effort.of(config, calls, num_train + num_test, found_judge.num_bytes)
    return RealPlan(
        found_data, found_judge, folder / RUN_FILE, run, num_train, num_test, calls, effort
    )


def _run_file(shared: Path, own: Path, name: str, judge: Source) -> RunFile:
    """shared: folder of what runs with any judge use. own: of those with this judge."""
    return RunFile(
        task=TASK,
        dataset=shared / f"{name}.parquet",
        output=own / "runs" / name,
        judge=_engine(judge),
        optimizer={},
        store=shared / "store",
        origin="Made by `blpo demo --real`.",
    )


def prepare(plan: RealPlan, on_row: Callable[[], None]) -> Manifest | None:
    """Fetch what is missing, import the data, write the run file; None if the dataset was there.

    The data come first: they are small, and an import may fail. on_row: called for rows and images
    of the import. Raises DataError, and ConfigError if the run file is there and says something
    else.
    """
    manifest = None
    if not plan.run.dataset.exists():
        manifest = _import(plan, on_row)
    _write_run_file(plan)
    if isinstance(plan.judge.place, Repository):
        plan.judge.place.fetch()
    return manifest


def _import(plan: RealPlan, on_row: Callable[[], None]) -> Manifest:
    place = plan.data.place
    folder = place if isinstance(place, Path) else download(DATA.card)
    commit = None if isinstance(place, Path) else place.commit
    per_generator = plan.num_train // _NUM_GENERATORS, plan.num_test // _NUM_GENERATORS
    options = ImportOptions(plan=SamplePlan("category", *per_generator))
    plan.run.dataset.parent.mkdir(parents=True, exist_ok=True)
    try:
        return import_source(
            DATA, folder, plan.run.dataset, options, revision=commit, on_row=on_row
        )
    except DataError as error:
        remedy = "other numbers of images may do: --num-train, --num-test"
        raise DataError(f"{error}\n{remedy}") from error


def _write_run_file(plan: RealPlan) -> None:
    text = plan.run.text()
    if plan.run_file.exists():
        if read_text(plan.run_file, ConfigError) != text:
            raise ConfigError(
                f"{plan.run_file}: there already, for another judge or other paths: name another "
                "folder with --out, or run that file with `blpo optimize`"
            )
        return
    plan.run_file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(plan.run_file) as temporary:
        temporary.write_text(text, "utf-8")


def _judge(judge: str) -> Source:
    if Path(judge).is_dir():
        folder = snapshot_in(Path(judge), "config.json")
        return Source(folder, "see where it comes from", weights_bytes(folder))
    found = look_up(judge, "model", JUDGES.get(judge), _JUDGE_FILES)
    licence = _JUDGE_LICENCE if judge in JUDGES else "see its page"
    weights = sum(size for name, size in found.sizes.items() if name.endswith(".safetensors"))
    return Source(found, licence, weights)


def _data(data: Path | None) -> Source:
    card = DATA.card
    if data is not None:
        folder = snapshot_in(data, _DATA_FILE)
        size = sum(file.stat().st_size for file in folder.glob(_DATA_FILE))
        return Source(folder, card.licence, size)
    found = look_up(str(card.hub_id), "dataset", card.revision, card.patterns)
    return Source(found, card.licence, sum(found.sizes.values()))


def _engine(judge: Source) -> dict[str, str]:
    if isinstance(judge.place, Path):
        return {"kind": "vllm", "model": str(judge.place)}
    return {"kind": "vllm", "model": judge.place.name, "revision": judge.place.commit}
