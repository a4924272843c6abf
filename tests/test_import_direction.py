"""scripts, slurm -> pipeline -> models -> data, never back; vllm in one file; a light CLI."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("data", "models", "pipeline")
HEAVY = ("torch", "transformers", "vllm", "scipy", "sklearn", "polars", "pyarrow", "matplotlib")


def imported_modules(file: Path) -> Iterator[str]:
    """Absolute names of everything a file of the package imports, blpo's rooms as "blpo.x"."""
    package = ("blpo", *file.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield ".".join((*package[: len(package) - node.level + 1], node.module or ""))
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def source_files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_below_it(room: str) -> None:
    above = ROOMS[ROOMS.index(room) + 1 :]
    forbidden = tuple(f"blpo.{name}" for name in (*above, "scripts"))
    offenders = [
        f"{file.relative_to(ROOT)} imports {module}"
        for file in source_files(room)
        for module in imported_modules(file)
        if module.startswith(forbidden)
    ]
    assert source_files(room)
    assert not offenders


@pytest.mark.parametrize(
    ("library", "owner"), [("vllm", "vllm_engine.py"), ("polars", "frames.py")]
)
def test_a_library_with_side_effects_is_imported_in_one_file(library: str, owner: str) -> None:
    importers = {
        file.name
        for room in ROOMS
        for file in source_files(room)
        for module in imported_modules(file)
        if module.split(".")[0] == library
    }
    assert importers == {owner}


def test_the_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom blpo.pipeline.cli import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
