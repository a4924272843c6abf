"""Which files a project starts with, and the commands from there to a run."""

from collections.abc import Sequence
from pathlib import Path

from .printing import print_json, stdout_console


def show_written(
    task_file: Path, run_file: Path, commands: Sequence[str], *, as_json: bool
) -> None:
    if as_json:
        files = {"task": str(task_file), "run": str(run_file)}
        print_json(files | {"next": list(commands)})
        return
    console = stdout_console()
    console.print(f"{task_file}: what is judged\n{run_file}: models and data of a run")
    console.print("Read both, change what you like. Next:")
    for command in commands:
        console.print(f"  {command}", soft_wrap=True)
