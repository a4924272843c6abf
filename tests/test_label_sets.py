"""Labels that contradict the task: what is said first, and that every way out leads out."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
import yaml
from blpo.data.errors import DataError
from blpo.data.label_sets import explain_contradiction, rescaled_labels, unknown_label
from blpo.data.tasks import Task

FIELDS: dict[str, Any] = dict.fromkeys(
    ("description", "judge_prompt", "i2t_prompt", "answer_instruction"), "?"
)


def task_of(kind: str, *labels: str) -> Task:
    more = {"compare": "joint"} if kind == "pairwise" else {}
    fields = {"name": "photos", "kind": kind, "labels": labels, "primary_metric": "accuracy"}
    return Task.model_validate(FIELDS | fields | more)


SHOP = task_of("binary", "reject", "accept")
FIVE = task_of("ordinal", "1", "2", "3", "4", "5")
CONTRADICTIONS: dict[str, tuple[Task, list[str]]] = {
    "other names": (SHOP, ["good", "bad"]),
    "other case": (SHOP, ["Accept", "REJECT"]),
    "a typo": (SHOP, ["accept", "reject", "acept"]),
    "one label only": (SHOP, ["good"]),
    "a label missing": (SHOP, ["accept"]),
    "words that YAML reads otherwise": (SHOP, ["yes", "no", "null"]),
    "numbers for a binary task": (SHOP, ["0", "1"]),
    "a longer scale": (FIVE, [str(number) for number in range(1, 11)]),
    "a shorter scale": (FIVE, ["1", "2", "3"]),
    "a hole in the scale": (FIVE, ["1", "2", "4", "5"]),
    "words for a scale": (FIVE, ["poor", "fair", "good", "very good", "great"]),
    "below zero": (FIVE, ["-2", "-1", "0", "1", "2"]),
    "decimals": (FIVE, ["1.4", "2.25", "3", "4.4"]),
    "pairs": (task_of("pairwise", "A", "tie", "B"), ["A", "B"]),
    "pairs by number": (task_of("pairwise", "A", "B"), ["0", "1"]),
}


def ways_out(task: Task, labels: Sequence[str]) -> list[str]:
    return [line[5:] for line in explain_contradiction(labels, task).splitlines()[1:]]


def test_labels_that_agree_need_no_words() -> None:
    assert explain_contradiction(["reject", "accept", "accept"], SHOP) == ""


def test_what_is_found_and_declared_goes_first() -> None:
    told = explain_contradiction(["Accept", "reject", "Accept"], SHOP)
    assert told == (
        "The labels contradict task photos. Found: reject: 1, Accept: 2. Declared: reject, accept; "
        "never found: accept. Ways to resolve it:\n"
        "  1. rename or merge labels: import them with --label Accept=accept\n"
        "  2. judge on the data's labels: a task file that declares labels: [reject, Accept], also "
        "in its prompt and answer instruction"
    )
    typo = ways_out(SHOP, ["accept", "reject", "rejcet"])
    assert typo[0] == (
        "did you mean 'reject'? rename or merge labels: import them with --label rejcet=reject"
    )
    assert typo[1].startswith("judge on the data's labels")
    many = explain_contradiction([f"l{number}" for number in range(30)], SHOP)
    assert ", l26: 1, 10 more. Declared: reject, accept;" in many


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_every_way_out_leads_out(name: str) -> None:
    task, labels = CONTRADICTIONS[name]
    ways = ways_out(task, labels)
    assert ways
    for way in ways:
        if declared := re.search(r"labels: (\[.*\])", way):
            kind = "categorical" if "kind: categorical" in way else task.kind
            other = task_of(kind, *yaml.safe_load(declared[1]))
            assert explain_contradiction(labels, other) == ""
        elif scale := re.search(r"--rescale (\d+)-(\d+)", way):
            renamed = rescaled_labels(int(scale[1]), int(scale[2]), task)
            assert explain_contradiction([renamed[label] for label in labels], task) == ""
        elif given := re.findall(r"--label (\S+)=(\S+)", way):
            renamed = dict(given)
            if renamed == {"FOUND": "TASK"}:
                assert len(set(labels)) >= len(task.labels)
            else:
                found = [renamed.get(label, label) for label in labels]
                assert explain_contradiction(found, task) == ""
        else:
            assert way.startswith(("add examples of ", "round them", "correct the labels"))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("other names", ["--label"]),
        ("a longer scale", ["--label", "--rescale"]),
        ("numbers for a binary task", ["--label", "--rescale"]),
        ("a shorter scale", []),
        ("one label only", []),
        ("below zero", ["--label"]),
        ("decimals", ["--rescale"]),
    ],
)
def test_only_options_that_help_are_named(name: str, options: list[str]) -> None:
    ways = " ".join(ways_out(*CONTRADICTIONS[name]))
    assert set(re.findall(r"--\w+", ways)) == set(options)


def test_decimals_are_to_be_rounded_first() -> None:
    assert ways_out(*CONTRADICTIONS["decimals"]) == [
        "round them to whole numbers in the table first; whole numbers of another scale than the "
        "task's are then put on it with --rescale LOW-HIGH"
    ]
    assert unknown_label("1.4", FIVE).endswith("; round it first")
    with pytest.raises(DataError, match=r"scale 1.4-4.4: .* round labels with decimals in the tab"):
        rescaled_labels(1.4, 4.4, FIVE)


@pytest.mark.parametrize(
    ("label", "remedy"),
    [
        ("Accept", "; did you mean 'accept'? Rename it with --label Accept=accept"),
        ("rejcet", "; did you mean 'reject'? Rename it with --label rejcet=reject"),
        ("unaccept", "; correct it, or rename it with --label FOUND=TASK"),
        ("good", "; correct it, or rename it with --label FOUND=TASK"),
    ],
)
def test_a_stranger_is_told_with_the_label_that_was_meant(label: str, remedy: str) -> None:
    told = f"label {label!r} is not one of reject, accept (task photos)"
    assert unknown_label(label, SHOP) == told + remedy


def test_what_no_slip_makes_is_another_label() -> None:
    assert "did you mean" not in unknown_label("-1", task_of("binary", "0", "1"))
    assert "did you mean" not in unknown_label("Us", task_of("binary", "us", "US"))
    assert "did you mean" not in unknown_label("step 3", task_of("binary", "step 1", "step 2"))
    assert "did you mean" not in unknown_label("light r", task_of("binary", "light a", "light b"))
