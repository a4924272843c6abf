"""What `init` and `example` have written, and the commands from there to a run."""

from collections.abc import Sequence
from pathlib import Path

from ...starter.example import ExampleFiles
from .printing import print_json, print_line, stdout_console


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


def show_example(written: ExampleFiles, *, as_json: bool) -> None:
    """What an example project holds."""
    if as_json:
        files = {n: str(getattr(written, n)) for n in ("world", "photos", "new_photos")}
        print_json(files | {"tables": list(map(str, written.tables))})
        return
    console = stdout_console(soft_wrap=True)
    console.print(f"{written.photos}: {written.num_photos:,} rendered photos")
    console.print(f"{written.tables[0]}, ...: what each of {len(written.tables)} annotators says")
    console.print(f"{written.new_photos}: {written.num_new:,} more, without labels")
    console.print(f"{written.world}: the judge that knows these photos")


def show_answers(tables: Sequence[Path], *, as_json: bool) -> None:
    """Where annotators' answers are."""
    if as_json:
        print_json({"tables": list(map(str, tables))})
        return
    for table in tables:
        print_line(str(table))
