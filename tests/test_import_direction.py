"""scripts, slurm -> pipeline -> models -> data, never back; no cycle between folders or modules."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("data", "models", "pipeline")
HEAVY = ("torch", "transformers", "vllm", "scipy", "sklearn", "polars", "pyarrow", "matplotlib")
# What a registry imports when it is asked for it: "blpo.pipeline.launchers.ray:RayLauncher".
OBJECT_NAME = re.compile(r"blpo(\.\w+)+:\w+")
SOURCES = sorted(file for room in ROOMS for file in (ROOT / room).rglob("*.py"))


def module_name(file: Path) -> str:
    name = ".".join(("blpo", *file.relative_to(ROOT).with_suffix("").parts))
    return name.removesuffix(".__init__")


MODULES = {module_name(file): file for file in SOURCES}


def imported_modules(file: Path) -> Iterator[str]:
    """Absolute names of everything a file of the package imports, late imports included."""
    package = ("blpo", *file.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = (f"{module}.{alias.name}" for alias in node.names)
            yield from (name if name in MODULES else module for name in names)
        elif isinstance(node, ast.Constant) and OBJECT_NAME.fullmatch(str(node.value)):
            yield str(node.value).partition(":")[0]


def assert_no_cycle(graph: Mapping[str, set[str]]) -> None:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_late_imports_and_names_in_a_registry_count_as_imports() -> None:
    found = set(imported_modules(ROOT / "pipeline" / "launchers" / "registry.py"))
    assert {"blpo.pipeline.launchers.slurm", "blpo.pipeline.launchers.ray"} <= found
    found = set(imported_modules(ROOT / "pipeline" / "cli" / "options.py"))
    assert "blpo.pipeline.methods.registry" in found


def folder_of(module: str) -> str:
    """ "blpo.models.roles": the folder of a room that a module lies in, or the module itself."""
    return ".".join(module.split(".")[:3])


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_below_it(room: str) -> None:
    above = ROOMS[ROOMS.index(room) + 1 :]
    forbidden = tuple(f"blpo.{name}" for name in (*above, "scripts"))
    files = [file for file in SOURCES if file.relative_to(ROOT).parts[0] == room]
    offenders = [
        f"{file.relative_to(ROOT)} imports {module}"
        for file in files
        for module in imported_modules(file)
        if module.startswith(forbidden)
    ]
    assert files
    assert not offenders


def test_no_module_imports_itself_over_others() -> None:
    graph = {
        name: {other for other in imported_modules(file) if other in MODULES}
        for name, file in MODULES.items()
    }
    assert_no_cycle(graph)


def test_no_folder_imports_itself_over_others() -> None:
    graph: dict[str, set[str]] = {}
    for name, file in MODULES.items():
        others = {folder_of(other) for other in imported_modules(file) if other in MODULES}
        graph.setdefault(folder_of(name), set()).update(others - {folder_of(name)})
    assert_no_cycle(graph)


def test_engines_know_nothing_of_one_another() -> None:
    engines = [f"blpo.models.engines.{name}" for name in ("vllm", "group", "openai")]
    offenders = [
        f"{name} imports {other}"
        for engine in engines
        for name, file in MODULES.items()
        for other in imported_modules(file)
        if other.startswith(f"{engine}.") and not name.startswith(f"{engine}.")
    ]
    assert sorted(offenders) == [
        "blpo.models.engines.factory imports blpo.models.engines.group.group",
        "blpo.models.engines.factory imports blpo.models.engines.openai.engine",
        "blpo.models.engines.factory imports blpo.models.engines.vllm.engine",
        "blpo.models.engines.group_child imports blpo.models.engines.group.child",
    ]


@pytest.mark.parametrize("folder", sorted({str(f.parent.relative_to(ROOT)) for f in SOURCES}))
def test_every_folder_says_what_belongs_there(folder: str) -> None:
    init = ROOT / folder / "__init__.py"
    docstring = ast.get_docstring(ast.parse(init.read_text("utf-8")))
    assert docstring
    assert "\n" not in docstring


@pytest.mark.parametrize(
    ("library", "owner"), [("vllm", "models/engines/vllm/engine.py"), ("polars", "data/frames.py")]
)
def test_a_library_with_side_effects_is_imported_in_one_file(library: str, owner: str) -> None:
    importers = {
        str(file.relative_to(ROOT))
        for file in SOURCES
        for module in imported_modules(file)
        if module.split(".")[0] == library
    }
    assert importers == {owner}


def test_the_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom blpo.pipeline.cli.app import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
