"""Task files: what loads, and what a mistake in one says."""

from pathlib import Path

import pytest
import yaml
from blpo.data.errors import DataError
from blpo.data.tasks import Criterion, label_text, load_task, task_names

PAPER_TASKS = {
    "unsafebench": ("binary", ("Safe", "Unsafe"), False),
    "agin": ("ordinal", tuple("12345"), False),
    "seetrue": ("binary", ("0", "1"), True),
    "imagereward": ("ordinal", tuple("1234567"), True),
}
FIELDS = {
    "name": "ripeness",
    "description": "Is the fruit ripe?",
    "kind": "binary",
    "labels": ["ripe", "unripe"],
    "judge_prompt": "Is this fruit ripe?",
    "i2t_prompt": "Describe the fruit.",
    "answer_instruction": "Answer with one word: ripe or unripe.",
    "primary_metric": "accuracy",
}


def write_task(folder: Path, **changes: object) -> Path:
    path = folder / "ripeness.yaml"
    fields = {key: value for key, value in (FIELDS | changes).items() if value is not None}
    path.write_text(yaml.safe_dump(fields))
    return path


@pytest.mark.parametrize("name", PAPER_TASKS)
def test_the_tasks_of_the_paper_are_packaged(name: str) -> None:
    task = load_task(name)
    assert task.name == name
    assert (task.kind, task.labels, task.carries_text) == PAPER_TASKS[name]
    assert all(label in task.answer_instruction for label in task.labels)
    assert "swer" not in task.judge_prompt


def test_every_packaged_task_loads_under_its_own_name() -> None:
    assert set(task_names()) >= set(PAPER_TASKS)
    assert [load_task(name).name for name in task_names()] == task_names()


def test_a_task_file_of_ones_own_loads_and_number_labels_become_text(tmp_path: Path) -> None:
    path = write_task(tmp_path, kind="ordinal", labels=[1, 2.0, "3"])
    assert load_task(path).labels == ("1", "2", "3")
    assert load_task(str(path)) == load_task(path)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (1.0, "1"),
        ("1.0", "1"),
        (" 7 ", "7"),
        ("-2.00", "-2"),
        ("1.5", "1.5"),
        ("a.", "a."),
    ],
)
def test_labels_are_compared_as_stripped_text_with_whole_floats_cut(
    value: object, text: str
) -> None:
    assert label_text(value) == text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"judge_promt": "?"}, r"unknown key `judge_promt`; did you mean `judge_prompt`\?"),
        ({"xyzzy": 1}, "unknown key `xyzzy`; known keys: name, description"),
        ({"judge_prompt": None}, "key `judge_prompt` is missing"),
        ({"judge_prompt": "  "}, "`judge_prompt` is '  '"),
        ({"kind": "ternary"}, "`kind` is 'ternary'.*'binary', 'categorical'"),
        ({"labels": ["ripe", "ripe "]}, "names 'ripe' more than once"),
        ({"labels": ["a", "b", "c"]}, "has 3 entries, a binary task has two"),
        ({"labels": [True, False]}, "quote it"),
        ({"labels": "ripe"}, "`labels` is 'ripe'"),
        ({"labels": ["ripe", ""]}, "labels.1"),
        ({"kind": "pairwise"}, "`labels` of a pairwise task are A, B or A, tie, B"),
        ({"kind": "pairwise", "labels": ["A", "B", "tie"]}, "are A, B or A, tie, B"),
        ({"kind": "pairwise", "labels": ["A", "B"]}, "`compare` is missing"),
        ({"compare": "joint"}, "are for pairwise tasks"),
        (
            {"kind": "pairwise", "labels": ["A", "B"], "compare": "scores"},
            "`score_labels` goes with",
        ),
        (
            {"kind": "pairwise", "labels": ["A", "B"], "compare": "joint", "score_labels": [1, 2]},
            "`score_labels` goes with",
        ),
        (
            {
                "kind": "pairwise",
                "labels": ["A", "B"],
                "compare": "scores",
                "score_labels": [1, 1.0],
            },
            "two different entries",
        ),
        (
            {"name": "No Spaces"},
            "`name` is 'No Spaces': must be lower-case letters, digits, - and _, and start with a "
            "letter or digit",
        ),
    ],
)
def test_a_mistake_in_a_task_file_names_file_key_and_value(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    path = write_task(tmp_path, **changes)
    with pytest.raises(DataError, match=message) as caught:
        load_task(path)
    assert all(line.startswith(str(path)) for line in str(caught.value).splitlines())
    assert "pydantic" not in str(caught.value)


def test_every_problem_of_a_task_file_is_a_line(tmp_path: Path) -> None:
    path = write_task(tmp_path, kind="ternary", judge_prompt=None, colour="red")
    with pytest.raises(DataError) as caught:
        load_task(path)
    assert len(str(caught.value).splitlines()) == 3


def test_an_unknown_task_name_lists_the_known_ones() -> None:
    with pytest.raises(DataError, match=r"unknown task 'unsafe'.*agin.*unsafebench.*\.yaml"):
        load_task("unsafe")


def test_a_task_file_that_is_missing_or_no_mapping_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such task file"):
        load_task(tmp_path / "none.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: [a\nkind: b")
    with pytest.raises(DataError, match=r"broken\.yaml: not valid YAML: line 2"):
        load_task(broken)
    broken.write_text("name: a\njudge_prompt: Rate it: good or bad?\n")
    with pytest.raises(DataError, match=r"line 2, column 22: .* here: put the text in quotes"):
        load_task(broken)
    broken.write_text("- a\n- b\n")
    with pytest.raises(DataError, match="holds a list"):
        load_task(broken)
    broken.write_bytes(b"name: \xff")
    with pytest.raises(DataError, match="not UTF-8"):
        load_task(broken)


@pytest.mark.parametrize(
    ("answer", "label"), [("0.73", "dark"), ("0,73", "dark"), ("70 %", "dark"), ("5%", "light")]
)
def test_a_probability_is_read_as_people_write_it(answer: str, label: str) -> None:
    criterion = Criterion(name="dark", question="?", labels=("light", "dark"), kind="probability")
    assert (criterion.fault(answer), criterion.label_of(answer)) == ("", label)


@pytest.mark.parametrize("answer", ["1.5", "120 %", "high", "", "50 % or so"])
def test_what_is_no_probability_says_so(answer: str) -> None:
    criterion = Criterion(name="dark", question="?", labels=("light", "dark"), kind="probability")
    assert criterion.fault(answer) == "is no number from 0 to 1"
