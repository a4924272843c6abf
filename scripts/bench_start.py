"""How long the command line takes to answer where no model is needed.

    .venv/bin/python scripts/bench_start.py

Each command in new processes; the median of seven counts. `store stats` finds an empty store.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = {
    "help_s": ["--help"],
    "tasks_s": ["tasks"],
    "store_stats_s": ["store", "stats"],
}
NUM_STARTS = 7


def seconds(folder: str, arguments: list[str]) -> float:
    command = [str(Path(sys.executable).with_name("blpo")), *arguments]
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="bench-start-") as folder:
        (Path(folder) / "store").mkdir()
        for name, arguments in COMMANDS.items():
            took = [seconds(folder, arguments) for _ in range(NUM_STARTS)]
            figures[name] = round(statistics.median(took), 3)
            print(f"blpo {' '.join(arguments):12} {figures[name]:.3f} s")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
