"""Mutation tests of the algorithm, its policies and the statistics, with mutmut.

    bash scripts/setup.sh dev mutation
    .venv/bin/python scripts/mutation.py                           # all of them: hours
    .venv/bin/python scripts/mutation.py "*[27]"                   # a fifth, by their numbers
    .venv/bin/python scripts/mutation.py "blpo.pipeline.metrics.*"

mutmut changes one place of a function at a time and runs the tests that reach it; a change that no
test notices has survived. What is changed and which tests run stands in pyproject.toml under
[tool.mutmut]. mutmut tells modules by their path, and ours are imported under another name than
their folders have: a copy is laid out as it is installed, in build/mutation, where results are kept
so that a second call tries what is new or was stopped. Prints the survivors with their
differences, a table by folder and a last line of JSON; exit code 1 if fewer than 85 % were killed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "build" / "mutation"
MUTMUT = str(Path(sys.executable).with_name("mutmut"))
MUTANTS = WORK / "mutants" / "src"
# The environment of scripts/setup.sh imports a module of ours when Python starts: the whole
# package has to come from where its mutants are.
ENVIRONMENT = os.environ | {"PYTHONPATH": str(MUTANTS)}
LEAST_KILLED = 0.85

CODE = ("data", "models", "pipeline")
BESIDE = ("tests", "scripts", "docs", "slurm", "README.md", "pyproject.toml")
KILLED = ("killed", "timeout", "segfault")


def lay_out() -> None:
    """Copies what has changed: mutmut looks at the time of a file."""
    for name in CODE:
        copy(ROOT / name, WORK / "src" / "blpo" / name)
    copy(ROOT / "pipeline/package/__init__.py", WORK / "src/blpo/__init__.py")
    for name in BESIDE:
        copy(ROOT / name, WORK / name)
    if not MUTANTS.exists():  # as mutmut does it later: what has the same time is not mutated yet
        shutil.copytree(WORK / "src", MUTANTS, copy_function=shutil.copy2)


def copy(source: Path, target: Path) -> None:
    if source.is_file():
        copy_if_new(source, target)
        return
    left_out = shutil.ignore_patterns("__pycache__")
    shutil.copytree(source, target, ignore=left_out, dirs_exist_ok=True, copy_function=copy_if_new)


def copy_if_new(source: str | Path, target: str | Path) -> None:
    source, target = Path(source), Path(target)
    if not target.exists() or source.read_bytes() != target.read_bytes():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def mutmut(*arguments: str) -> str:
    done = subprocess.run(
        [MUTMUT, *arguments],
        cwd=WORK,
        env=ENVIRONMENT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


def statuses() -> dict[str, str]:
    """What became of each mutant, by its name."""
    lines = (line.strip().rpartition(": ") for line in mutmut("results", "--all", "1").splitlines())
    return {name: status for name, _, status in lines if name}


def folder_of(name: str) -> str:
    """`pipeline/metrics` of `blpo.pipeline.metrics.scores.x_accuracy__mutmut_3`."""
    modules = name.partition(".x")[0].split(".")[1:]
    return "/".join(modules[:-1])


def table_of(found: dict[str, str]) -> Table:
    table = Table("folder", "mutants", "killed", "share", "survived")
    by_folder: dict[str, Counter[str]] = {}
    for name, status in found.items():
        by_folder.setdefault(folder_of(name), Counter())[status] += 1
    for folder, counts in [*sorted(by_folder.items()), ("all", Counter(found.values()))]:
        killed = sum(counts[status] for status in KILLED)
        total = counts.total()
        left = str(total - killed)
        table.add_row(folder, str(total), str(killed), f"{killed / total:.1%}", left)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("mutants", nargs="*", help="patterns of names; all where none is given")
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()
    lay_out()
    run = [MUTMUT, "run", "--max-children", str(args.processes), *args.mutants]
    subprocess.run(run, cwd=WORK, env=ENVIRONMENT, check=True)
    found = {name: status for name, status in statuses().items() if status != "not checked"}
    survivors = sorted(name for name, status in found.items() if status not in KILLED)
    for name in survivors:
        print(mutmut("show", name))
    Console().print(table_of(found))
    killed = len(found) - len(survivors)
    print(json.dumps({"mutants": len(found), "killed": killed, "survived": len(survivors)}))
    sys.exit(killed < LEAST_KILLED * len(found))


if __name__ == "__main__":
    main()
