"""The conformance table's checks: on three families, and on records that are wrong."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import check_families
import hardware_table
import pytest
from blpo.models.engines import torchvision_cpu
from blpo.models.engines.known_judges import (
    BFLOAT16,
    FP8,
    KNOWN_JUDGES,
    KnownJudge,
    largest_fitting,
)
from families import steps
from families.asking import ask_all, markup_of
from families.checks import Cell, Checks
from families.official import Official
from families.questions import (
    AGREE,
    BINARY,
    CHECKS,
    ENCODE_ONCE,
    HOSTILE,
    OFF,
    OFFICIAL,
    ON,
    PAIR,
    TEN,
    TEXT_ONLY,
    Question,
    all_questions,
)
from families.records import Answered, Record
from families.registry import FAMILIES, Family, find_family
from families.table import is_wrong, markdown

IN_CI = ("Qwen2.5-VL", "Qwen3-VL-Thinking", "InternVL3")
"""A plain one, one whose template opens a thought, one of another kind of vision tower.

All their vocabularies are in extra dev. A hybrid is under test in test_hybrid.py.
"""


NUM_PIECES = 30_000
"""Of the vocabularies of CI's families, which take a fifth of the time then: "Safe" is a token."""


def under_test(named: str) -> list[str]:
    """The families of CI and those that the variable BLPO_FAMILIES names: with commas, or `all`."""
    known = [family.name for family in FAMILIES]
    more = known if named == "all" else [name for name in named.split(",") if name]
    if unknown := set(more) - set(known):
        raise ValueError(f"BLPO_FAMILIES names {sorted(unknown)}; there are {', '.join(known)}")
    return list(dict.fromkeys([*IN_CI, *more]))


NAMES = under_test(os.environ.get("BLPO_FAMILIES", ""))


@dataclass(frozen=True)
class Checked:
    """A family with what transformers said on it."""

    family: Family
    folder: Path
    official: Official
    asked: list[Question]
    reference: Record

    def cells(self, engine: str, record: Record, about: str | None = None) -> dict[str, Cell]:
        """about: the name of the only question whose answer is looked at."""
        checks = Checks(self.family, engine, self.official)
        asked = [question for question in self.asked if about in (None, question.name)]
        return checks.cells(asked, record, self.reference)


@cache
def checked(name: str, folder: Path) -> Checked:
    torchvision_cpu.install()
    family, checkpoint = find_family(name), steps.checkpoint(folder)
    family.make(checkpoint, **({"num_pieces": NUM_PIECES} if name in IN_CI else {}))
    file = steps.record_file(folder, "transformers")
    ask_all(family, checkpoint, "transformers", file)
    official = Official(family, checkpoint)
    asked = all_questions(markup_of(official.tokenizer), thinks=family.thought is not None)
    return Checked(family, folder, official, asked, Record.read(file))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Operations of a tiny model are shorter than sharing them takes."""
    import torch  # noqa: PLC0415  (not in a process that only collects the tests)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("families")


@pytest.fixture(scope="module", params=NAMES)
def each(request: pytest.FixtureRequest, folder: Path) -> Checked:
    return checked(request.param, folder / request.param.replace("/", "-"))


@pytest.fixture(scope="module")
def thinking(folder: Path) -> Checked:
    return checked("Qwen3-VL-Thinking", folder / "Qwen3-VL-Thinking")


def expected(family: Family, engine: str) -> dict[str, str]:
    """Statuses by check, where a family's known deviations are the only ones."""
    known = {AGREE: "deviation"} if family.known_deviation(engine) else {}
    without = {ON} if family.thought is None else set[str]()
    without |= {ENCODE_ONCE, AGREE} if engine == "transformers" else set()
    return dict.fromkeys(CHECKS, "ok") | known | dict.fromkeys(without, "n/a")


def test_the_reference_engine_asks_and_reads_a_family_right(each: Checked) -> None:
    cells = each.cells("transformers", each.reference)
    found = {check: cell.status for check, cell in cells.items()}
    assert found == expected(each.family, "transformers"), cells


@pytest.mark.engine
def test_vllm_asks_and_reads_a_family_right(each: Checked) -> None:
    file = steps.record_file(each.folder, "vllm")
    ask_all(each.family, steps.checkpoint(each.folder), "vllm", file)
    cells = each.cells("vllm", Record.read(file))
    found = {check: cell.status for check, cell in cells.items()}
    assert found == expected(each.family, "vllm"), cells


def test_families_beyond_those_of_ci_are_named_in_a_variable() -> None:
    assert under_test("") == list(IN_CI)
    assert under_test("SmolVLM,Qwen3-VL-Thinking") == [*IN_CI, "SmolVLM"]
    assert set(under_test("all")) == {family.name for family in FAMILIES}
    with pytest.raises(ValueError, match="Gemma-2"):
        under_test("Gemma-2")


# Records that are wrong are seen to be.


def changed(checked: Checked, name: str, **how: object) -> dict[str, Cell]:
    """Cells of a record in which one answer is another."""
    answers = checked.reference.answers
    other = replace(answers[name], **how)
    record = replace(checked.reference, answers={**answers, name: other})
    record.num_images, record.num_encoded = 2, [2, 0, 0, 0]
    return checked.cells("vllm", record, name)


def wrong(cells: dict[str, Cell]) -> set[str]:
    return {check for check, cell in cells.items() if cell.status == "WRONG"}


@pytest.mark.parametrize("name", ["binary", "1-10", "hostile prompt", "proposal", "direct"])
def test_an_answer_that_is_right_has_no_wrong_cell(thinking: Checked, name: str) -> None:
    assert wrong(changed(thinking, name)) == set()


def test_a_suffix_that_leaves_the_thought_to_the_model_is_wrong(thinking: Checked) -> None:
    binary = thinking.reference.answers["binary"]
    thought = thinking.official.plain("\n\n</think>\n\n")
    assert list(binary.token_ids[-len(thought) :]) == thought
    cells = changed(thinking, "binary", token_ids=binary.token_ids[: -len(thought)])
    assert wrong(cells) == {BINARY, OFFICIAL}
    assert "ends in" in cells[OFFICIAL].note


def test_a_text_that_ends_in_other_tokens_is_wrong(thinking: Checked) -> None:
    proposal = thinking.reference.answers["proposal"]
    suffix = len(
        thinking.official.plain("<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n")
    )
    ids = list(proposal.token_ids)
    ids[-suffix:-suffix] = thinking.official.plain(" ")
    assert wrong(changed(thinking, "proposal", token_ids=tuple(ids))) == {TEXT_ONLY, OFFICIAL}


def test_a_label_without_one_of_its_ends_is_wrong(thinking: Checked) -> None:
    logprobs = dict(thinking.reference.answers["1-10"].label_logprobs or {})
    cells = changed(thinking, "1-10", label_logprobs=logprobs | {"1": logprobs["1"] - 1.0})
    assert wrong(cells) == {TEN, AGREE}
    assert "log P(1)" in cells[TEN].note


def test_markup_from_a_text_is_wrong(thinking: Checked) -> None:
    ids = list(thinking.reference.answers["hostile prompt"].token_ids)
    at = len(ids) // 2
    ids[at : at + 1] = [thinking.official.ends[1], ids[at]]
    assert HOSTILE in wrong(changed(thinking, "hostile prompt", token_ids=tuple(ids)))


def test_another_text_than_the_model_writes_is_wrong(thinking: Checked) -> None:
    assert wrong(changed(thinking, "proposal", text="something else")) == {TEXT_ONLY}


def test_a_direct_verdict_of_a_thinking_model_is_wrong(thinking: Checked) -> None:
    assert wrong(changed(thinking, "direct", error=None)) == {ON}


def test_a_refusal_is_wrong_and_says_what_was_said(thinking: Checked) -> None:
    cells = changed(thinking, "verbalization", error="LayoutError: no", token_ids=())
    assert wrong(cells) == {OFF, OFFICIAL}
    assert "LayoutError: no" in cells[OFF].note


def test_images_that_make_no_difference_are_wrong(thinking: Checked) -> None:
    swapped = thinking.reference.answers["pair, swapped"]
    cells = changed(thinking, "pair", label_logprobs=swapped.label_logprobs)
    assert "no difference" in cells[PAIR].note


@pytest.mark.parametrize("counts", [[2, 2, 0, 0], [2, 0, 0, 1], [4, 0, 0, 0]])
def test_an_image_that_is_encoded_again_is_wrong(thinking: Checked, counts: list[int]) -> None:
    record = replace(thinking.reference, num_images=2, num_encoded=counts)
    assert wrong(thinking.cells("vllm", record, "direct")) == {ENCODE_ONCE}


def test_an_engine_that_ended_in_the_middle_is_wrong_where_it_did_not_answer(
    thinking: Checked,
) -> None:
    answers = {"binary": thinking.reference.answers["binary"]}
    record = Record(answers, failure="it died")
    assert thinking.cells("vllm", record, "binary")[BINARY] == Cell("ok")
    cells = thinking.cells("vllm", record, "binary, caption")
    assert cells[BINARY] == Cell("WRONG", "binary, caption: it died")
    assert cells[ENCODE_ONCE] == Cell("WRONG", "it died")


# The table.


def test_a_step_has_a_process_of_its_own_and_says_how_it_failed(tmp_path: Path) -> None:
    with pytest.raises(steps.StepError, match=r"^make ended with exit code 1: .*nobody's"):
        steps.run_step("make", "nobody's", tmp_path, timeout_s=600)


def test_a_crash_is_a_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(step: str, _family: str, folder: Path, _timeout_s: float) -> None:
        if step == "vllm":
            raise steps.StepError("vllm ended with exit code -11: it said nothing")
        if step == "check":
            cells = {check: {"status": "ok", "note": ""} for check in CHECKS}
            steps.cells_file(folder).write_text(json.dumps({"transformers": cells}))

    monkeypatch.setattr(check_families, "run_step", run)
    rows = check_families.check_family(find_family("SmolVLM"), steps.ENGINES, tmp_path)
    assert rows["transformers"] == dict.fromkeys(CHECKS, Cell("ok"))
    assert rows["vllm"][BINARY] == Cell("WRONG", "vllm ended with exit code -11: it said nothing")


def test_a_known_deviation_says_by_how_much_and_is_gone_without_its_cause(
    thinking: Checked,
) -> None:
    family = replace(thinking.family, deviation="it rounds")
    checks = Checks(family, "vllm", thinking.official)
    answers = thinking.reference.answers
    binary = answers["binary"]
    logprobs = {label: value - 0.25 for label, value in (binary.label_logprobs or {}).items()}
    rounded = answers | {"binary": replace(binary, label_logprobs=logprobs)}
    found = checks.cells(thinking.asked, Record(rounded, exact=answers), thinking.reference)[AGREE]
    assert found.status == "deviation"
    assert found.note.startswith("it rounds: 0.25 nat apart on binary; 0e+00 in float32")
    record = Record(rounded, exact=rounded)
    assert checks.cells(thinking.asked, record, thinking.reference)[AGREE].status == "WRONG"


def test_a_table_lists_what_stands_behind_its_cells() -> None:
    cells = {"a": Cell("ok", "1e-06"), "b": Cell("n/a", "no use"), "c": Cell("deviation", "known")}
    rows = {("F", "vllm"): cells, ("F", "transformers"): {**cells, "c": Cell("WRONG", "x|y\nz")}}
    assert markdown(rows, ["a", "b", "c"]).splitlines() == [
        "| family | engine | a | b | c |",
        "| --- | --- | --- | --- | --- |",
        "| F | vllm | ok (1e-06) | n/a (1) | deviates (2) |",
        "| F | transformers | ok (1e-06) | n/a (1) | **WRONG** (3) |",
        "",
        "1. no use",
        "2. F, vllm: known",
        "3. F, transformers, c: x\\|y z",
    ]
    assert is_wrong(rows)
    assert not is_wrong({("F", "vllm"): cells})


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    answered = Answered("text", (1, 2), {"a": -1.0}, None)
    record = Record({"q": answered}, {"q": answered}, 2, [2, 0], "died")
    record.write(tmp_path / "record.json")
    assert Record.read(tmp_path / "record.json") == record


# The page.


def page_rows(first: str) -> Iterator[list[str]]:
    """Cells of the rows of the page's table whose head begins so."""
    page = (Path(__file__).parents[1] / "docs" / "models.md").read_text("utf-8")
    _, _, table = page.partition(f"\n| {first} |")
    for line in table.partition("\n\n")[0].splitlines()[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


def test_the_page_shows_every_family_engine_and_check() -> None:
    page = (Path(__file__).parents[1] / "docs" / "models.md").read_text("utf-8")
    assert markdown({}, CHECKS).splitlines()[0] in page.splitlines()
    rows = {(family, engine): cells for family, engine, *cells in page_rows("family | engine")}
    assert list(rows) == [(family.name, engine) for family in FAMILIES for engine in steps.ENGINES]
    shown = {"ok": "ok", "n/a": "n/a", "deviation": "deviates"}
    for (name, engine), cells in rows.items():
        statuses = [shown[status] for status in expected(find_family(name), engine).values()]
        assert [cell.split(" ")[0] for cell in cells] == statuses, (name, engine)


def test_the_page_says_why_a_cell_deviates() -> None:
    page = (Path(__file__).parents[1] / "docs" / "models.md").read_text("utf-8")
    deviating = [family for family in FAMILIES if family.deviation]
    assert {f.name for f in deviating} == {"Qwen3.5", "Gemma-3", "Gemma-4"}
    for family in deviating:
        assert f". {family.name}, vllm: {family.deviation}: " in page


def test_the_page_shows_the_hardware_table_as_it_is_computed() -> None:
    page = (Path(__file__).parents[1] / "docs" / "models.md").read_text("utf-8")
    assert hardware_table.markdown() in page


# The hardware table.


def test_a_judge_takes_the_fewest_gpus_that_its_heads_divide_among() -> None:
    room = int(80e9 * 0.92)
    maverick = next(judge for judge in KNOWN_JUDGES if "Maverick" in judge.name)
    assert maverick.num_gpus(room, FP8) == 8
    assert maverick.num_gpus(room, BFLOAT16) is None  # 16 would do, but 40 heads do not divide
    assert largest_fitting(1, int(24e9), 0.92) == KnownJudge("Qwen3-VL-8B", 8.8, 32, 8)
    assert largest_fitting(1, 10**9, 0.92) is None


def test_judges_are_listed_smallest_first() -> None:
    sizes = [judge.billions for judge in KNOWN_JUDGES]
    assert sizes == sorted(sizes)
