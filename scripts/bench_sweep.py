"""Many runs over one engine: `blpo sweep` against `blpo optimize` once for every cell.

    .venv/bin/python scripts/bench_sweep.py

Eight micro runs (four tasks, two seeds) in one sweep, then the same eight as processes one after
another; each side starts with a store of its own that is empty, and has the rendered datasets.
Compares what both sides wrote, cell by cell, byte by byte. Not compared is what names the session
and not the result: run_id, ledger.jsonl, `seconds`, and in `calls` whether a run itself or one
that shares the store asked first. Synthetic tasks, micro model.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from blpo.data.micro.rubrics import MICRO_TASKS
from blpo.pipeline.runs.demo import micro_dataset

SESSION_FILES = {"run_id", "ledger.jsonl"}
SESSION_KEYS = ("seconds", "calls")
COST_HEADING = b"<h2>Cost</h2>"


def run_fields(args: argparse.Namespace) -> dict[str, Any]:
    return {
        "judge": {"kind": "vllm", "model": "micro"},
        "verbalizer": {"max_tokens": 96},
        "optimizer": {"engine": {"kind": "lexicon"}},
        "algorithm": {"outer_steps": args.outer_steps, "inner_steps": args.inner_steps},
    }


def blpo(folder: Path, *arguments: str) -> float:
    """Seconds that a command took in a folder."""
    started = time.perf_counter()
    command = [str(Path(sys.executable).with_name("blpo")), *arguments]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"blpo {' '.join(arguments)} failed:\n{done.stderr}")
    return time.perf_counter() - started


def sweep_s(
    folder: Path, args: argparse.Namespace, datasets: Mapping[str, Path], seeds: Sequence[int]
) -> float:
    content = {
        "output": "sweep",
        "base": run_fields(args),
        "datasets": {task: str(path) for task, path in datasets.items()},
        "grid": {"task": list(datasets), "seed": list(seeds)},
    }
    (folder / "sweep.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return blpo(folder, "sweep", "sweep.yaml", "--json")


def processes_s(
    folder: Path, args: argparse.Namespace, datasets: Mapping[str, Path], seeds: Sequence[int]
) -> float:
    total = 0.0
    for task, dataset in datasets.items():
        for seed in seeds:
            name = f"{task}-{seed}"
            content = run_fields(args) | {
                "task": task,
                "dataset": str(dataset),
                "output": f"runs/{name}",
                "seed": seed,
            }
            (folder / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
            took = blpo(folder, "optimize", f"{name}.yaml", "--json")
            print(f"process {name}: {took:.1f} s", flush=True)
            total += took
    return total


def contents(run: Path) -> dict[str, bytes]:
    """What a run directory says of the result."""
    files = {
        str(path.relative_to(run)): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name not in SESSION_FILES
    }
    result = json.loads(files["result.json"])
    for key in SESSION_KEYS:
        del result[key]
    files["result.json"] = json.dumps(result).encode()
    files["report.html"], found, _ = files["report.html"].partition(COST_HEADING)
    if not found:
        raise SystemExit(f"{run}/report.html: has no heading {COST_HEADING.decode()!r}")
    return files


def differing(one: Path, other: Path) -> list[str]:
    first, second = contents(one), contents(other)
    return sorted(name for name in first | second if first.get(name) != second.get(name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--tasks", nargs="+", default=list(MICRO_TASKS), choices=MICRO_TASKS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--outer-steps", type=int, default=5)
    parser.add_argument("--inner-steps", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-sweep-") as name:
        together, apart = Path(name) / "sweep", Path(name) / "processes"
        together.mkdir()
        apart.mkdir()
        datasets = {task: micro_dataset(Path(name) / "datasets", task) for task in args.tasks}
        in_sweep_s = sweep_s(together, args, datasets, args.seeds)
        print(f"sweep: {in_sweep_s:.1f} s", flush=True)
        in_processes_s = processes_s(apart, args, datasets, args.seeds)
        cells = [f"{task}-{seed}" for task in datasets for seed in args.seeds]
        different = {
            cell: found
            for cell in cells
            if (found := differing(together / "sweep" / "cells" / cell, apart / "runs" / cell))
        }
    for cell, found in different.items():
        print(f"different: {cell}: {', '.join(found)}")
    figures = {
        "runs": len(cells),
        "sweep_s": round(in_sweep_s, 1),
        "processes_s": round(in_processes_s, 1),
        "ratio_vs_processes": round(in_processes_s / in_sweep_s, 2),
        "cells_identical": len(cells) - len(different),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
