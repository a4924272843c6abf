"""A sweep: a grid of runs over one engine and one store.

output: sweeps/first
store: store
base:                                   # what all runs share, as in a run file
  optimizer: {engine: {kind: lexicon}}
datasets:                               # dataset file of each task; micro tasks are rendered, from
                                        # the world file of an ideal judge where there is one
  unsafebench: unsafebench.parquet
grid:                                   # every combination is a cell
  task: [unsafebench, micro-agin]
  method: [blpo, blpo-fixed-i2t]
  seed: [0, 1, 2]
  algorithm.inner_steps: [3, 5]

A sweep over draws of the graded bench has its knobs in it, and the draws in its grid:

world: {draw: {draws: dev}, judge: {reads: meaning, saliency: 0.25}}
named:                                  # values of a grid that stand for several keys
  method:
    plus: {method: blpo, preset: plus}
grid:
  rubric: [0, 1]
  data: [0, 1]
  method: [blpo, plus]
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field

from ...data.arrow import atomic_path
from ...data.errors import ConfigError
from ...data.micro.graded import load_world
from ..config import RunConfig, load_config, parse_config
from ..runs.demo import graded_dataset, is_micro, micro_dataset
from ..runs.run_many import FailedRun, FinishedRun
from ..runs.worlds import WORLDS_FOLDER
from .points import DRAW_KEYS, enter_world, refuse_unknown_names, set_point
from .slurm_settings import SlurmSettings

_COLUMNS = (
    "cell",
    "accuracy_initial",
    "accuracy_final",
    "accuracy_gain",
    "macro_f1_initial",
    "macro_f1_final",
    "macro_f1_gain",
    "calls",
    "error",
)
# What the tables give a row or a mean of its own; all else that a grid varies is part of a method.
_OWN_COLUMNS = frozenset({"task", "method", "seed", *DRAW_KEYS})


class SweepConfig(BaseModel):
    """A grid of runs. Keys of `grid` are dotted keys of a run file, values the lists to combine.

    world: knobs of the graded bench, as in a world file; judge and optimizer are those of `base`.
    named: by key of the grid, values that stand for several keys, which are set together.
    reference: the method, as the tables name it, that they compare the others with; the first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    output: Path
    store: Path = Path("store")
    base: dict[str, Any] = {}
    datasets: dict[str, Path] = {}
    world: dict[str, Any] | None = None
    named: dict[str, dict[str, dict[str, Any]]] = {}
    grid: dict[str, list[Any]] = Field(min_length=1)
    reference: str | None = None
    slurm: SlurmSettings = SlurmSettings()

    @property
    def points(self) -> list[dict[str, Any]]:
        """The values of every cell by dotted key, in the order of the grid."""
        return [
            dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values())
        ]

    @property
    def varies_draws(self) -> bool:
        """Whether rubrics or data are drawn several times."""
        return any(key in self.grid for key in DRAW_KEYS)


def load_sweep(name_or_path: str | Path, overrides: Sequence[str] = ()) -> SweepConfig:
    """Read a shipped sweep by its name, or a sweep file; relative paths in either are relative to
    the working directory.

    Raises ConfigError for a name that is none, else naming the file, the key and the remedy.
    """
    config = load_config(SweepConfig, _sweep_file(str(name_or_path)), overrides)
    empty = next((key for key, values in config.grid.items() if not values), None)
    if empty is not None:
        where = f"{name_or_path}: `grid.{empty}`"
        raise ConfigError(f"{where} is an empty list: give it values or drop it")
    return config


def shipped_sweeps() -> dict[str, str]:
    """What each shipped sweep is, by name, in one line: the first comment of its file."""
    heads = {name: path.read_text("utf-8").splitlines()[0] for name, path in _shipped().items()}
    return {name: head.removeprefix("# ") for name, head in heads.items()}


def _sweep_file(name_or_path: str) -> Path:
    path, shipped = Path(name_or_path), _shipped()
    if name_or_path in shipped:
        return shipped[name_or_path]
    if path.suffix not in {".yaml", ".yml", ".json"} and not path.is_file():
        raise ConfigError(
            f"unknown sweep {name_or_path!r}: give one of {', '.join(shipped)}, or the path of a "
            "sweep file that ends in .yaml"
        )
    return path


def _shipped() -> dict[str, Path]:
    folder = Path(str(files("blpo.pipeline.sweeps"))) / "shipped"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def sweep_cells(config: SweepConfig, source: str) -> dict[str, RunConfig]:
    """The run of every cell by the cell's name, in the order of the grid.

    Worlds and datasets of the test bench are drawn for it where they are not there.
    Raises ConfigError if a cell is not a valid run, two cells have one name, a task has no
    dataset, or `reference` is no method of the grid.
    """
    refuse_unknown_names(config.grid, config.named, source)
    if config.varies_draws and config.world is None:
        raise ConfigError(f"{source}: `grid` draws rubrics or data: give the knobs under `world`")
    cells: dict[str, dict[str, Any]] = {}
    for chosen in config.points:
        name = _cell_name(chosen)
        if name in cells:
            raise ConfigError(f"{source}: two cells are called {name}: drop one of the values")
        cells[name] = _cell_fields(config, chosen, name)
    _refuse_unknown_reference(config, cells.values(), source)
    return {name: _cell_config(config, fields, name, source) for name, fields in cells.items()}


def _refuse_unknown_reference(
    config: SweepConfig, cells: Iterable[Mapping[str, Any]], source: str
) -> None:
    """Raises ConfigError. cells: the fields of each, in the order of the grid."""
    default = RunConfig.model_fields["method"].default
    known = [
        method_name(str(fields.get("method", default)), point)
        for fields, point in zip(cells, config.points, strict=True)
    ]
    if config.reference and config.reference not in known:
        choices = ", ".join(map(repr, dict.fromkeys(known)))
        raise ConfigError(f"{source}: `reference` is {config.reference!r}: choose from {choices}")


def method_names(config: SweepConfig, cells: Mapping[str, RunConfig]) -> dict[str, str]:
    """The method of each of all cells by the cell's name, as the tables name it."""
    points = zip(cells.items(), config.points, strict=True)
    return {name: method_name(cell.method, point) for (name, cell), point in points}


def method_name(method: str, point: Mapping[str, Any]) -> str:
    """ "blpo", or "blpo, inner_steps=3" where the grid varies that, too.

    A method, or a value, that has a name in the sweep goes by that.
    """
    varied = {key.rpartition(".")[2]: v for key, v in point.items() if key not in _OWN_COLUMNS}
    named = str(point.get("method", method))
    return ", ".join([named, *(f"{key}={value}" for key, value in varied.items())])


def write_summary(config: SweepConfig, cells: Mapping[str, FinishedRun | FailedRun]) -> Path:
    """Write summary.csv: a row per cell with its agreement on the test split, or its error."""
    path = config.output / "summary.csv"
    with atomic_path(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        writer.writerows([name, *_summary(run)] for name, run in cells.items())
    return path


def _summary(run: FinishedRun | FailedRun) -> list[Any]:
    if isinstance(run, FailedRun):
        return [""] * (len(_COLUMNS) - 2) + [run.error]
    test = run.result.test
    metrics = [
        getattr(part, metric)
        for metric in ("accuracy", "macro_f1")
        for part in (test.initial, test.final, test.gain)
    ]
    return [*metrics, sum(counts.asked for counts in run.result.calls.values()), ""]


def _cell_fields(config: SweepConfig, chosen: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The fields of a cell's run file; `world`, if any, is still to be entered."""
    fields: dict[str, Any] = {
        **config.base,
        "output": str(config.output / "cells" / name),
        "store": str(config.store),
    }
    if config.world is not None:
        fields["world"] = config.world
    set_point(fields, chosen, config.named)
    return fields


def _cell_config(config: SweepConfig, fields: dict[str, Any], name: str, source: str) -> RunConfig:
    enter_world(fields, config.output / WORLDS_FOLDER, f"{source}, cell {name}")
    if "dataset" not in fields:
        fields["dataset"] = str(_dataset(config, fields, source))
    return parse_config(RunConfig, fields, f"{source}, cell {name}")


def _dataset(config: SweepConfig, fields: Mapping[str, Any], source: str) -> Path:
    task, folder = str(fields.get("task")), config.output / "datasets"
    if task in config.datasets:
        return config.datasets[task]
    judge: object = fields.get("judge")
    own = cast("dict[str, Any]", judge) if isinstance(judge, dict) else {}
    if own.get("kind") == "ideal" and "model" in own:
        return graded_dataset(folder, task, load_world(Path(str(own["model"]))))
    if is_micro(task):
        return micro_dataset(folder, task)
    raise ConfigError(f"{source}: task {task!r} has no dataset; name it under `datasets`")


def _cell_name(chosen: Mapping[str, Any]) -> str:
    """ "micro-agin-blpo-0"; characters that do not belong in a folder's name become "_"."""
    return "-".join(re.sub(r"[^A-Za-z0-9._-]+", "_", str(value)) for value in chosen.values())
