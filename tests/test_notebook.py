"""The notebook of the documentation, cell by cell in this process."""

import ast
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from blpo.data.errors import DataError
from blpo.pipeline.starter.example import write_example
from documentation import ROOT, anchors
from documented_world import scenes_drawn_once

NOTEBOOK = ROOT / "docs" / "notebook.ipynb"


def cells(kind: str) -> list[dict[str, Any]]:
    read: dict[str, Any] = json.loads(NOTEBOOK.read_text("utf-8"))
    return [cell for cell in read["cells"] if cell["cell_type"] == kind]


def shown(code: str, names: dict[str, Any]) -> Any:
    """What a cell shows: the value of its last line, if that is an expression."""
    tree = ast.parse(code)
    last = tree.body[-1]
    if not isinstance(last, ast.Expr):
        exec(compile(tree, "cell", "exec"), names)
        return None
    tree.body.pop()
    exec(compile(tree, "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], list[Any]]]:
    """The names and what every cell has shown, in the notebook's folder."""
    folder = tmp_path_factory.mktemp("notebook")
    write_example(folder)
    names: dict[str, Any] = {}
    with contextlib.chdir(folder), scenes_drawn_once():
        yield names, [shown("".join(cell["source"]), names) for cell in cells("code")]


def test_the_notebook_ends_in_a_better_prompt_and_a_verdict_for_every_new_image(
    ran: tuple[dict[str, Any], list[Any]],
) -> None:
    names, outputs = ran
    assert names["run"].result.test.gain.macro_f1 > 0.1
    assert names["run"].report.exists()
    assert outputs[-1]["len"].sum() == len(list(Path("new-photos").iterdir())) == 80
    assert names["made"].counts["test"] == {"Safe": 61, "Unsafe": 59}


def test_the_notebook_has_no_outputs_and_its_links_lead_somewhere() -> None:
    assert all(cell["outputs"] == [] for cell in cells("code"))
    text = "".join(line for cell in cells("markdown") for line in cell["source"])
    for link in [part.partition(")")[0] for part in text.split("](")[1:]]:
        page, _, anchor = link.partition("#")
        assert (ROOT / "docs" / page).exists(), link
        assert not anchor or anchor in anchors(f"docs/{page}"), link


def test_an_example_is_written_once(tmp_path: Path) -> None:
    write_example(tmp_path)
    with pytest.raises(DataError, match=r"world.yaml: already there"):
        write_example(tmp_path)
