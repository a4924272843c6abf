"""The pages tell the truth: commands run, YAML is valid, keys are those of the code, links lead
somewhere."""

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main
import yaml
from blpo.data.importers.names import IMPORTER_NAMES
from blpo.data.micro.graded import GradedWorld, load_world
from blpo.data.table.columns import ALIASES
from blpo.data.tasks import Criterion, Task, load_task
from blpo.pipeline.blpo.config import PLUS
from blpo.pipeline.cli.app import app
from blpo.pipeline.cli.show.docs import pages
from blpo.pipeline.config import RunConfig, load_run_config, parse_config
from blpo.pipeline.sweeps.sweep import SweepConfig, load_sweep, sweep_cells
from command_line import Blpo
from config_keys import key_rows, section_of, yaml_text
from documentation import PAGES, ROOT, Block, anchors, blocks, inline_code, links, page_text
from documentation import table_under as table
from documented_commands import (
    CHECKS,
    SHIPPED_SWEEPS,
    UsageError,
    check_blpo,
    check_python,
    parse_blpo,
)
from documented_world import (
    furnish,
    run_page,
    runnable_commands,
    scenes_drawn_once,
    working_in,
)

FRONT_PAGE = "README.md"
TUTORIAL = "docs/tutorial.md"
A_RUN = {"task": "unsafebench", "dataset": "data.parquet", "output": "run"}
A_SWEEP = {"output": "sweep", "grid": {"task": ["micro-agin"], "method": ["blpo"]}}
NO_RENDERING = ["base.dataset=data.parquet"]
A_TASK = dict.fromkeys(("description", "judge_prompt", "i2t_prompt"), "?") | {
    "name": "task",
    "kind": "pairwise",
    "labels": ["A", "B"],
    "answer_instruction": "A or B.",
    "primary_metric": "accuracy",
}


# ------------------------------------------------------------------------------- commands that run


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a reader who has followed the front page."""
    folder = tmp_path_factory.mktemp("reader")
    furnish(folder)
    with working_in(folder):
        run_page(FRONT_PAGE)
    return folder


def test_the_five_steps_of_the_front_page_end_in_a_report_and_verdicts(reader: Path) -> None:
    assert (reader / "runs/photos/report.html").exists()
    assert (reader / "verdicts.parquet").exists()


@pytest.mark.parametrize(
    "page", [p for p in PAGES if p not in (FRONT_PAGE, TUTORIAL) and runnable_commands(p)]
)
def test_the_commands_of_a_page_run_after_those_of_the_front_page(
    page: str, reader: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "reader"
    shutil.copytree(reader, folder)
    with working_in(folder):
        run_page(page)


def test_the_tutorial_runs_in_an_empty_folder_and_prints_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with scenes_drawn_once():
        run_page(TUTORIAL)


# -------------------------------------------------------------------- commands that are only parsed


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "sh", "python")])
def test_every_command_of_a_page_has_options_that_exist(page: str) -> None:
    for block in blocks(page, "sh", "python"):
        for program, *arguments in block.commands:
            where = f"{block.where}: {shlex.join([program, *arguments])}"
            assert program in CHECKS, f"{where}: nothing checks this program"
            try:
                CHECKS[program](arguments)
            except (UsageError, SystemExit) as error:
                pytest.fail(f"{where}\n{getattr(error, 'message', error)}")


def test_a_command_with_an_option_that_does_not_exist_is_found() -> None:
    for wrong in ("optimize", "optimise run.yaml", "judge d.parquet --out v.parquet --shards x"):
        with pytest.raises(UsageError):
            parse_blpo(wrong.split())
    with pytest.raises(AssertionError):
        check_blpo(["sweep", "micro-table9"])
    with pytest.raises(SystemExit):
        check_python(["scripts/study_chance.py", "--drawss", "3"])


@pytest.mark.parametrize("page", PAGES)
def test_every_command_in_the_prose_of_a_page_exists(page: str) -> None:
    for code in inline_code(page):
        program, *words = code.split()
        if program != "blpo" or not words or words[1:2] == ["NAME"]:
            continue
        command: Any = typer.main.get_command(app)
        assert words[0] in command.commands or words[0] == "--help", code
        for word in words:
            command = getattr(command, "commands", {}).get(word, command)
        command = getattr(command, "commands", {}).get("run", command)
        options = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= {*options, "--help"}, code


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_a_page_is_of_a_kind_that_is_checked(page: str) -> None:
    for block in blocks(page):
        assert block.language in {"sh", "python", "yaml", "text"}, f"{block.where}: unchecked"
        assert block.language == "sh" or block.parsed_only is None, block.where


# -------------------------------------------------------------------------------------------- YAML


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "yaml")])
def test_every_yaml_block_of_a_page_is_valid(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a sweep over draws writes its worlds
    for block in blocks(page, "yaml"):
        if block.file_name is None:
            check_part(block)
        else:
            path = tmp_path / block.file_name
            path.write_text(block.text, "utf-8")
            check_file(path)


def check_file(path: Path) -> None:
    """Load a task, world, sweep or run file."""
    keys = yaml.safe_load(path.read_text("utf-8"))
    if "labels" in keys:
        load_task(path)
    elif "draw" in keys:
        load_world(path)
    elif "grid" in keys:
        sweep_cells(load_sweep(path, NO_RENDERING), str(path))
    else:
        load_run_config(path)


def check_part(block: Block) -> None:
    """Validate some keys of a file, with the rest filled in."""
    keys: dict[str, Any] = yaml.safe_load(block.text)
    if keys.keys() <= Task.model_fields.keys():
        Task.model_validate(A_TASK | keys)
    elif keys.keys() <= SweepConfig.model_fields.keys():
        config = parse_config(SweepConfig, A_SWEEP | keys, block.where, NO_RENDERING)
        sweep_cells(config, block.where)
    else:
        parse_config(RunConfig, A_RUN | keys, block.where)


def test_a_file_that_several_pages_show_is_the_same_on_all() -> None:
    shown: dict[str, Block] = {}
    for block in (block for page in PAGES for block in blocks(page, "yaml")):
        if block.file_name is not None:
            first = shown.setdefault(block.file_name, block)
            assert first.text == block.text, f"{first.where} and {block.where} differ"


# -------------------------------------------------------------------------------------------- keys


def expected_tables() -> dict[tuple[str, str], dict[str, tuple[str, ...]]]:
    """By page and heading: the cells of every key but its meaning."""
    sections = {name: section_of(field) for name, field in RunConfig.model_fields.items()}
    models = {("docs/run-files.md", f"## {n}"): m for n, m in sections.items() if m is not None}
    models[("docs/run-files.md", "## The run")] = RunConfig
    models[("docs/run-files.md", "## Sweep files")] = SweepConfig
    slurm = section_of(SweepConfig.model_fields["slurm"])
    assert slurm is not None
    models[("docs/run-files.md", "### slurm")] = slurm
    models[("docs/tasks-and-datasets.md", "## Task files")] = Task
    models[("docs/tasks-and-datasets.md", "## Several criteria")] = Criterion
    for name, field in GradedWorld.model_fields.items():
        knobs = section_of(field)
        assert knobs is not None
        models[("docs/benchmarks.md", f"### {name}")] = knobs
    found: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {}
    for place, model in models.items():
        found[place] = dict(key_rows(model))
    algorithm = found[("docs/run-files.md", "## algorithm")]
    for name, cells in algorithm.items():
        plus = PLUS.get(name.strip("`"))
        algorithm[name] = (*cells, "" if plus is None else yaml_text(plus))
    return found


@pytest.mark.parametrize(("page", "heading"), expected_tables())
def test_a_table_of_keys_has_every_key_with_its_values_and_default(page: str, heading: str) -> None:
    written = {row[0]: tuple(row[1:-1]) for row in table(page, heading)}
    expected = expected_tables()[page, heading]
    wanted = [f"| {' | '.join((name, *cells))} | MEANING |" for name, cells in expected.items()]
    wrong = [
        row
        for row, name in zip(wanted, expected, strict=True)
        if written.get(name) != expected[name]
    ]
    assert not wrong, f"{page}, {heading}: these rows are missing or differ:\n" + "\n".join(wrong)
    assert written.keys() == expected.keys(), written.keys() - expected.keys()
    assert all(row[-1] for row in table(page, heading)), "a key has no meaning"


def test_every_importer_and_every_name_of_a_column_is_documented() -> None:
    page = "docs/tasks-and-datasets.md"
    assert [row[0].strip("`") for row in table(page, "## Public datasets")] == list(IMPORTER_NAMES)
    columns = {row[0].strip("`"): row[1].split(", ") for row in table(page, "## Your own table")}
    for role, names in ALIASES.items():
        assert role == "image_b" or columns[role] == [role, *names]


@pytest.mark.parametrize(
    "heading", ["## Before a run", "## Data", "## Models", "## During and after a run"]
)
def test_every_message_that_is_explained_is_one_of_ours(heading: str) -> None:
    rooms = ("data", "models", "pipeline")
    sources = [path for room in rooms for path in (ROOT / room).rglob("*.py")]
    code = "\n".join(path.read_text("utf-8") for path in sources)
    messages = [row[0].strip("`") for row in table("docs/troubleshooting.md", heading)]
    assert messages
    assert not [message for message in messages if message not in code]


def test_every_script_is_in_the_table_of_scripts() -> None:
    named = {
        name
        for row in table("scripts/README.md", "# Scripts")
        for name in re.findall(r"`([^`]+)`", row[0])
    }
    assert named == {
        path.name for path in (ROOT / "scripts").iterdir() if path.suffix in {".py", ".sh"}
    }


def test_every_shipped_sweep_is_documented() -> None:
    rows = table("docs/benchmarks.md", "## The paper's tables and figures")
    assert {name for row in rows for name in re.findall(r"`([^`]+)`", row[0])} == SHIPPED_SWEEPS


def test_the_map_names_every_folder_of_the_code() -> None:
    folders = {
        f"{path.parent.relative_to(ROOT)}/"
        for room in ("data", "models", "pipeline")
        for path in (ROOT / room).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {row[0].strip("`") for row in table("CONTRIBUTING.md", "## The map")} >= folders


# ------------------------------------------------------------------------------------------- links


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    for link in links(page):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page}: {link}"
        if anchor:
            assert anchor in anchors(str(target.resolve().relative_to(ROOT))), f"{page}: {link}"


def test_what_the_package_says_leads_to_pages_that_are_installed_with_it() -> None:
    rooms = ("data", "models", "pipeline", "slurm")
    texts = [
        (path, path.read_text("utf-8"))
        for room in rooms
        for path in (ROOT / room).rglob("*")
        if path.suffix in {".py", ".j2", ".yaml", ".txt", ".js", ".sh"}
    ]
    assert not [path for path, text in texts if re.search(r"\bdocs/[a-z]", text)]
    named = {name for _, text in texts for name in re.findall("`blpo docs ([^ `]+)`", text)}
    assert {"run-files", "statistics"} <= named <= pages().keys()


def test_a_page_is_printed_as_it_is_and_another_name_lists_them(blpo: Blpo) -> None:
    for name in ("run-files", "docs/run-files.md"):
        assert blpo("docs", name).out == (ROOT / "docs/run-files.md").read_text("utf-8")
    listed = blpo("docs").out
    assert "tutorial " in listed
    assert "to print one: blpo docs PAGE (the notebook" in listed
    wrong = blpo("docs", "run-file")
    meant = "no such page; did you mean run-files?; there are README, benchmarks"
    assert (wrong.code, meant in wrong.err) == (1, True)


def test_the_front_page_has_at_most_150_lines() -> None:
    assert len(page_text(FRONT_PAGE).splitlines()) <= 150
