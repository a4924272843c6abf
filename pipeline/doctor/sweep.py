"""Whether a sweep is ready to start, told without asking a model: `blpo sweep run --check`."""

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...data.importers.manifest import manifest_path
from ...data.importers.registry import IMPORTERS
from ...data.text_files import read_own_json
from ...models.engine import SHIPPED
from ...models.engines.settings import EngineSettings
from ..config import RunConfig
from ..sweeps.sweep import SweepConfig
from .check import Check, error, ok, warning

_COMMIT_LENGTH = 40


def check_sweep(config: SweepConfig, cells: Mapping[str, RunConfig]) -> Iterator[Check]:
    """What would stop the sweep, and what would make its figures hard to repeat or compare."""
    yield ok("cells", f"{len(cells)} runs: {_numbers(config)}")
    for task, dataset in dict.fromkeys((cell.task, cell.dataset) for cell in cells.values()):
        yield _dataset(task, dataset)
    for role, settings in _engines(cells):
        yield from _engine(role, settings)
    yield _draws(cells)
    yield _budgets(cells)


def _numbers(config: SweepConfig) -> str:
    return ", ".join(f"{len(values)} of `{key}`" for key, values in config.grid.items())


# ---------------------------------------------------------------------------------------- datasets


def _dataset(task: str, dataset: Path) -> Check:
    """Whether the file is there and, of a public dataset, of the commit that was checked."""
    if not dataset.is_file():
        return error("dataset", f"{dataset}: is not there; make it with `{_import(task, dataset)}`")
    importer = IMPORTERS.get(task)
    if importer is None:
        return ok("dataset", str(dataset))
    file = manifest_path(dataset)
    if not file.is_file():
        return warning("dataset", f"{dataset}: has no manifest: its commit and scale are not known")
    manifest = read_own_json(file, "import the dataset again")
    found, wanted = manifest.get("revision"), importer.card.revision
    if wanted is not None and found != wanted:
        return warning("dataset", f"{dataset}: of commit {found}; the importer knows {wanted}")
    labels = json.dumps(manifest.get("counts", {}).get("test", {}))
    return ok("dataset", f"{dataset}: commit {found or 'not known'}, test labels {labels}")


def _import(task: str, dataset: Path) -> str:
    if task not in IMPORTERS:
        return shlex.join(
            ["blpo", "import", "table", "SOURCE", "--task", task, "--out", str(dataset)]
        )
    card = IMPORTERS[task].card
    source = "--from-hub" if card.hub_id else f"FOLDER  # downloaded from {card.home}"
    return f"blpo import {task} --paper-split --out {shlex.quote(str(dataset))} {source}"


# ----------------------------------------------------------------------------------------- engines


def _engines(cells: Mapping[str, RunConfig]) -> list[tuple[str, EngineSettings]]:
    found: dict[tuple[str, EngineSettings], None] = {}
    for cell in cells.values():
        found["judge", cell.judge] = None
        if cell.optimizer.engine is not None:
            found["optimizer", cell.optimizer.engine] = None
        if cell.verbalizer.engine is not None:
            found["verbalizer", cell.verbalizer.engine] = None
    return list(found)


def _engine(role: str, settings: EngineSettings) -> Iterator[Check]:
    name = f"{settings.kind}:{settings.model}"
    if settings.kind == "openai":
        yield _key(role, name, settings)
        if settings.reasoning_effort is None and settings.model.startswith(("o1", "o3", "o4")):
            told = "`reasoning_effort` is not set, and the server's own may change"
            yield warning(role, f"{name}: {told}")
    elif not settings.is_program and settings.model not in SHIPPED:
        yield _pinned(role, name, settings)


def _key(role: str, name: str, settings: EngineSettings) -> Check:
    variable = settings.api_key_env
    if variable and not os.environ.get(variable):
        return error(role, f"{name}: the environment has no {variable}, where its key belongs")
    return ok(role, name)


def _pinned(role: str, name: str, settings: EngineSettings) -> Check:
    is_commit = len(settings.revision or "") == _COMMIT_LENGTH
    if is_commit or Path(settings.model).exists():
        return ok(role, f"{name}@{settings.revision or 'a local folder'}")
    return warning(role, f"{name}: `revision` is no commit: the weights behind a name can change")


# -------------------------------------------------------------------------------- draws and budgets


def _draws(cells: Mapping[str, RunConfig]) -> Check:
    seeds = {cell.seed for cell in cells.values()}
    if len(seeds) > 1 and not all(cell.optimizer.own_draws for cell in cells.values()):
        return warning(
            "seeds",
            f"{len(seeds)} seeds share replies of the optimizer: set base.optimizer.own_draws=true",
        )
    return ok("seeds", f"{len(seeds)}")


def _budgets(cells: Mapping[str, RunConfig]) -> Check:
    limits = {tuple(cell.budget.limits.items()) for cell in cells.values()}
    told = "; ".join(
        ", ".join(f"{role} {limit}" for role, limit in limit_of if limit is not None)
        or "each method's own length"
        for limit_of in sorted(limits, key=str)
    )
    return ok("budgets", told)
