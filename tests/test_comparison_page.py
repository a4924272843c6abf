"""The page of a comparison: figures, disagreements and curves, in a real browser."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from blpo.data.examples import write_dataset
from blpo.pipeline.comparison.page import render_comparison, short_names
from blpo.pipeline.runs.finished_run import PastRun, read_past_run
from blpo.pipeline.sweeps.compare import Comparisons, compare_past_runs
from browser import chromium, opened
from command_line import Blpo
from ideal_engine import ideal_world
from ideal_runs import GOOD_PROMPT, TASK, ideal_run
from playwright.sync_api import Browser
from test_report_page import CLIPBOARD_HOLDS, DESKTOP, violations

PHONE = 390
NAMES = ("poor", "good", "learned")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs on 40 test images; every other one of them with annotators who disagree."""
    folder = tmp_path_factory.mktemp("compared")
    dataset, engine = ideal_world(TASK, num_train=24, num_test=40)
    test = [
        replace(example, ratings=("Safe", "Unsafe") if i % 2 else ())
        for i, example in enumerate(dataset.test)
    ]
    write_dataset(folder / "data.parquet", [*dataset.train, *test])
    ideal_run(folder, engine, "poor")
    ideal_run(folder, engine, "good", judge_prompt=GOOD_PROMPT)
    ideal_run(folder, engine, "learned", method="blpo")
    return folder


@pytest.fixture(scope="module")
def runs(folder: Path) -> list[PastRun]:
    return [read_past_run(folder / name) for name in NAMES]


@pytest.fixture(scope="module")
def found(runs: list[PastRun]) -> Comparisons:
    return compare_past_runs(runs)


@pytest.fixture(scope="module")
def page(runs: list[PastRun], found: Comparisons, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "comparison.html"
    file.write_text(render_comparison(found, runs))
    return file


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def test_the_command_writes_the_page_names_it_and_replaces_none(folder: Path, blpo: Blpo) -> None:
    paths = [str(folder / name) for name in NAMES]
    outcome = blpo("compare", *paths, "--html", "runs.html")
    assert outcome.code == 0, outcome.err
    assert outcome.out.endswith("page: runs.html\n")
    again = blpo("compare", *paths, "--html", "runs.html")
    assert again.code == 1
    assert "--overwrite" in again.err


def test_the_figures_and_the_word_gain_are_those_of_compare(page: Path, found: Comparisons) -> None:
    text = page.read_text()
    for run in found.runs:
        assert f"{run.kappa.difference:+.3f}".replace("-", "\N{MINUS SIGN}") in text
        [headline] = re.findall(rf"<bdi>{Path(run.run).name}</bdi>: (macro F1 .*)", text)
        low, high = (f"{bound:+.3f}".replace("-", "\N{MINUS SIGN}") for bound in run.kappa.ci95)
        assert headline.endswith(f"({low} to {high}).")
    gains = len(re.findall(r'<div class="finding better">', text))
    assert gains == sum(run.is_gain for run in found.runs) > 0


def test_the_preset_stands_beside_the_method(runs: list[PastRun], found: Comparisons) -> None:
    plus = runs[2].result.model_copy(update={"preset": "plus"})
    text = render_comparison(found, [*runs[:2], replace(runs[2], result=plus)])
    assert text.count("<bdi>blpo, preset plus</bdi>, 0") == 1


def test_images_that_are_gone_are_told_and_the_verdicts_stay(
    runs: list[PastRun], found: Comparisons
) -> None:
    config = runs[0].config.model_copy(update={"dataset": Path("gone.parquet")})
    text = render_comparison(found, [replace(runs[0], config=config), *runs[1:]])
    assert "Without images: gone.parquet" in text
    assert "<article" in text
    assert "<img" not in text


def test_names_are_as_short_as_tells_them_apart() -> None:
    paths = [Path("/a/x/run"), Path("/a/y/run")]
    assert short_names(paths) == ["x/run", "y/run"]
    assert short_names([Path("/a/one"), Path("/b/two")]) == ["one", "two"]


@pytest.mark.parametrize(("width", "scheme"), [(PHONE, "dark"), (DESKTOP, "light")])
def test_nothing_is_cut_off_and_axe_finds_nothing(
    width: int, scheme: str, browser: Browser, page: Path
) -> None:
    with opened(browser, page, width=width) as shown:
        shown.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        assert violations(shown) == []


def test_the_prompts_of_the_reference_and_of_the_others_are_copied(
    browser: Browser, page: Path, runs: list[PastRun]
) -> None:
    with opened(browser, page) as shown:
        shown.context.grant_permissions(["clipboard-read", "clipboard-write"])
        for of, run in (("the reference", runs[0]), ("run 2", runs[1])):
            shown.click(f"[aria-label='Copy Judge prompt of {of}'] >> nth=0")
            shown.wait_for_function(CLIPBOARD_HOLDS, arg=run.result.judge_prompt_final)


def test_disagreements_are_filtered_by_who_is_right(
    browser: Browser, page: Path, runs: list[PastRun]
) -> None:
    differing = [i for i, right in runs[0].right.items() if right != runs[1].right[i]]
    with opened(browser, page) as shown:
        cards = shown.locator("#cases .card")
        assert cards.count() >= len(differing) > 0
        shown.select_option("[name=right]", "2")
        shown.click("#more") if shown.is_visible("#more") else None
        names = shown.eval_on_selector_all(
            "#cases .card:not([hidden])", "cards => cards.map(card => card.ariaLabel)"
        )
        assert names
        assert all(runs[1].right[name] for name in names)
        shown.click("button[data-outcome=lost]")
        assert "match" in shown.inner_text(".filters [role=status]")
