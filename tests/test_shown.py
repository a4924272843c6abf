"""Texts of models, servers and users on the console, in logs and in tables: text, and no more."""

import ast
import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from blpo.data.errors import BlpoError
from blpo.data.examples import write_dataset
from blpo.data.shown import ShownFormatter, shown, shown_json
from blpo.data.tasks import load_task
from blpo.pipeline.bulk.counts import JudgedCounts
from blpo.pipeline.bulk.judge_source import JudgeSource
from blpo.pipeline.cli import app
from blpo.pipeline.cli.show.judging import show_judged
from blpo.pipeline.cli.show.printing import print_line, stdout_console
from blpo.pipeline.config import JudgeConfig
from blpo.pipeline.result import named_method
from command_line import Blpo
from hypothesis import given, settings
from hypothesis import strategies as st
from ideal_engine import ideal_world
from rich.table import Table

ROOT = Path(__file__).parents[1]
EXAMPLES = settings(max_examples=200, deadline=None, derandomize=True, database=None)
OBEYED = {
    *(chr(code) for code in range(0x20)),
    *(chr(code) for code in range(0x7F, 0xA0)),
    *"\u061c\u200b\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060",
    *"\u2066\u2067\u2068\u2069\ufeff\ud83d\udc41\U000e0041",
} - {"\n", "\t"}
HOSTILE = st.lists(
    st.sampled_from(
        [
            *(
                "[red]",
                "[/]",
                "[/bad]",
                "[link=http://x]",
                "[bold",
                "\\[",
                ":smile:",
                "%(message)s",
            ),
            *("\x1b[2J", "\x1b]8;;http://x\x07", "\x9b31m", "\r", "\b", "\x00", "$x$", "{}", "é"),
            *(
                "\u202e",
                "\u2066",
                "\u200f",
                "\ufeff",
                "\ud83d",
                "\U000e0041",
                "\u2028",
                "日本",
                "👩‍🚀",
            ),
        ]
    )
    | st.text(max_size=5)
    | st.characters(categories=["Cc", "Cf", "Cs"]),
    max_size=8,
).map("".join)


def is_harmless(printed: str) -> bool:
    printed.encode()  # no surrogate
    return OBEYED.isdisjoint(printed)


@EXAMPLES
@given(HOSTILE)
def test_no_text_reaches_the_console_with_anything_a_terminal_obeys(text: str) -> None:
    assert is_harmless(shown(text))


@EXAMPLES
@given(st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="@")))
def test_a_text_of_visible_characters_is_shown_as_it_is(text: str) -> None:
    assert shown(text) == text
    # Joiners are part of scripts and of emoji.
    joined = "\u0915\u094d\u200d\u0937 \u0645\u06cc\u200c\u062e \U0001f469\u200d\U0001f680\ta\nb"
    assert shown(joined) == joined


@EXAMPLES
@given(st.dictionaries(HOSTILE, HOSTILE | st.floats(allow_nan=False)))
def test_json_is_safe_to_look_at_and_holds_the_texts_as_they_are(value: dict[str, Any]) -> None:
    document = shown_json(value)
    assert is_harmless(document)
    assert json.loads(document) == json.loads(json.dumps(value))


def without_frames(text: str) -> str:
    """Text without white space and the lines that a table is drawn with."""
    return re.sub("[\\s\u2500-\u257f]", "", text)


@EXAMPLES
@given(HOSTILE, HOSTILE)
def test_lines_tables_and_titles_take_no_text_for_markup(one: str, other: str) -> None:
    printed = io.StringIO()
    with redirect_stdout(printed):
        print_line(one)
        stdout_console(400).print(one, soft_wrap=True)
        table = Table(one, title=other, title_justify="left")
        table.add_row(other)
        stdout_console(400).print(table)
    assert is_harmless(printed.getvalue())
    lines = without_frames(printed.getvalue())
    for text in filter(None, map(without_frames, map(shown, (one, other)))):
        assert lines.count(text) >= 2


@EXAMPLES
@given(HOSTILE)
def test_logs_and_their_tracebacks_are_shown_like_everything_else(text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError:
        information = sys.exc_info()
    record = logging.LogRecord("blpo", logging.INFO, "", 0, "%s", (text,), information)
    assert is_harmless(ShownFormatter().format(record))


@EXAMPLES
@given(HOSTILE)
def test_an_error_of_any_kind_is_told_without_what_a_terminal_obeys(text: str) -> None:
    for error in (BlpoError(text), OSError(2, text, text), ValueError(text)):
        printed = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stderr(printed):
            patch.setattr(app, "app", lambda error=error: raise_(error))
            patch.setattr(sys, "excepthook", sys.excepthook)
            patch.setattr("threading.excepthook", None)
            with pytest.raises((SystemExit, ValueError)) as ended:
                app.main()
            if isinstance(ended.value, ValueError):
                sys.excepthook(ValueError, ended.value, ended.value.__traceback__)
        assert is_harmless(printed.getvalue())
        assert "".join(shown(text).split()) in "".join(printed.getvalue().split())


def raise_(error: Exception) -> None:
    raise error


def test_labels_and_paths_of_a_command_are_printed_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    task = load_task("unsafebench").model_copy(update={"labels": ("[red]ok", "[/]\x1b[2J\u202e")})
    source = JudgeSource(task, "Is it fine?", JudgeConfig())
    counts = JudgedCounts(rows=3)
    counts.verdicts.update({"[red]ok": 3})
    show_judged(source, counts, Path("[link=x]out\r.parquet"), as_json=False)
    printed = capsys.readouterr().out
    assert "[red]ok: 3, [/]\\x1b[2J\\u202e: 0" in printed
    assert "verdicts: [link=x]out\\r.parquet" in printed
    show_judged(source, counts, Path("a\u202e"), as_json=True)
    assert json.loads(capsys.readouterr().out)["out"] == "a\u202e"


def test_a_judge_prompt_with_brackets_ends_a_run_like_any_other(blpo: Blpo) -> None:
    made, _ = ideal_world("micro-agin", num_train=8, num_test=8)
    write_dataset(Path("d.parquet"), [*made.train, *made.test])
    prompt = "Is it good? Answer [good] or [/bad].\x1b[31m"
    Path("run.yaml").write_text(
        json.dumps(
            {
                "task": "micro-agin",
                "dataset": "d.parquet",
                "output": "run",
                "method": "none",
                "judge_prompt": prompt,
                "judge": {"kind": "lexicon"},
                "max_failed_share": {"judge": 1},
            }
        )
    )
    outcome = blpo("optimize", "run.yaml")
    assert outcome.code == 0, outcome.err
    assert "run: Is it good? Answer [good] or [/bad].\\x1b[31m" in outcome.out


def printing_calls(file: Path) -> Iterator[str]:
    """Calls in a file that print, make a console, or read markup."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in ("print", "Console", "Text.from_markup", "typer.echo", "pprint"):
                yield f"{file.relative_to(ROOT)}: {name}"
            if name.endswith(("stdout.write", "stderr.write")):
                yield f"{file.relative_to(ROOT)}: {name}"


def test_nothing_is_printed_past_the_places_that_escape_it() -> None:
    files = [f for room in ("data", "models", "pipeline") for f in (ROOT / room).rglob("*.py")]
    assert sorted(call for file in files for call in printing_calls(file)) == [
        "pipeline/cli/options.py: print",
        "pipeline/cli/show/printing.py: print",
        "pipeline/cli/show/printing.py: print",
        "pipeline/runs/progress.py: Console",
        "pipeline/runs/progress.py: Console",
        "pipeline/runs/progress.py: print",
    ]


def test_a_method_is_named_with_the_preset_that_it_goes_by() -> None:
    assert named_method("blpo", "paper") == "blpo"
    assert named_method("blpo-fixed-i2t", "plus") == "blpo-fixed-i2t, preset plus"
    assert named_method("opro", "plus") == "opro"
