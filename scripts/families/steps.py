"""The steps on one family, each in a process of its own: make, ask an engine, check."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from blpo.models.engines.settings import EngineKind

from .questions import CHECKS

ENGINES: tuple[EngineKind, ...] = ("vllm", "transformers")
_CHILD_ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
}
_MAX_SHOWN = 400


class StepError(Exception):
    """A step's process failed; says how."""


def run_step(step: str, family: str, folder: Path, timeout_s: float) -> None:
    """Run a step ("make", "check", or an engine's name) in a child. Raises StepError."""
    command = [sys.executable, "-m", "families.steps", step, family, str(folder)]
    environment = os.environ | _CHILD_ENVIRONMENT
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    log = folder / f"{step}.log"
    try:
        with log.open("w") as file:
            done = subprocess.run(
                command, env=environment, stdout=file, stderr=file, timeout=timeout_s, check=False
            )
    except subprocess.TimeoutExpired as error:
        raise StepError(f"{step} did not end within {timeout_s:.0f} s") from error
    if done.returncode:
        raise StepError(f"{step} ended with exit code {done.returncode}: {_last_line(log)}")


def record_file(folder: Path, engine: str) -> Path:
    return folder / f"{engine}.record.json"


def cells_file(folder: Path) -> Path:
    return folder / "cells.json"


def checkpoint(folder: Path) -> Path:
    return folder / "checkpoint"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("step")
    parser.add_argument("family")
    parser.add_argument("folder", type=Path)
    args = parser.parse_args(arguments)
    if args.step == "make":
        _make(args.family, args.folder)
    elif args.step == "check":
        _check(args.family, args.folder)
    else:
        engines: dict[str, EngineKind] = {engine: engine for engine in ENGINES}
        _ask(engines[args.step], args.family, args.folder)


def _make(name: str, folder: Path) -> None:
    from blpo.models.engines import torchvision_cpu  # noqa: PLC0415

    from .registry import find_family  # noqa: PLC0415

    torchvision_cpu.install()
    target = checkpoint(folder)
    target.mkdir(parents=True, exist_ok=True)
    find_family(name).make(target)


def _ask(engine: EngineKind, name: str, folder: Path) -> None:
    from blpo.models.engines import torchvision_cpu  # noqa: PLC0415

    from .asking import ask_all  # noqa: PLC0415
    from .registry import find_family  # noqa: PLC0415

    torchvision_cpu.install()
    ask_all(find_family(name), checkpoint(folder), engine, record_file(folder, engine))


def _check(name: str, folder: Path) -> None:
    from blpo.models.engines import torchvision_cpu  # noqa: PLC0415

    from .asking import markup_of  # noqa: PLC0415
    from .checks import Checks  # noqa: PLC0415
    from .official import Official  # noqa: PLC0415
    from .questions import all_questions  # noqa: PLC0415
    from .records import Record  # noqa: PLC0415
    from .registry import find_family  # noqa: PLC0415

    torchvision_cpu.install()
    family = find_family(name)
    official = Official(family, checkpoint(folder))
    asked = all_questions(markup_of(official.tokenizer), thinks=family.thought is not None)
    records = {
        engine: Record.read(file)
        for engine in ENGINES
        if (file := record_file(folder, engine)).exists()
    }
    cells: dict[str, Mapping[str, object]] = {}
    for engine, record in records.items():
        checks = Checks(family, engine, official)
        found = checks.cells(asked, record, records.get("transformers"))
        cells[engine] = {check: asdict(found[check]) for check in CHECKS}
    cells_file(folder).write_text(json.dumps(cells))


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:_MAX_SHOWN] if lines else "it said nothing"


if __name__ == "__main__":
    main()
