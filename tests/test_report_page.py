"""The report in a real browser: what a reader can do with it, at phone and desktop width."""

from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest
from blpo.pipeline.metrics.coverage import OperatingPoint
from blpo.pipeline.report.html import render_report
from browser import chromium, opened
from playwright.sync_api import Browser, Page
from test_report import make_record, with_result

PHONE, DESKTOP = 360, 1280
AXE = (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 test images; every other one of them with annotators who disagree."""
    record = make_record()
    test = tuple(
        replace(example, ratings=record.task.labels if i % 2 else ())
        for i, example in enumerate(record.dataset.test)
    )
    record = replace(record, dataset=replace(record.dataset, test=test))
    file = tmp_path_factory.mktemp("it's a run") / "report.html"
    file.write_text(render_report(record))
    return file


@pytest.fixture(scope="module")
def seven_labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    record = with_result(make_record("objects", "alignment", "imagereward"), synthetic=True)
    file = tmp_path_factory.mktemp("seven") / "page.html"
    file.write_text(render_report(record))
    return file


def violations(page: Page) -> list[str]:
    """What axe-core finds, with the first element of each kind."""
    page.evaluate(AXE)
    return page.evaluate(
        'axe.run({resultTypes: ["violations"]})'
        ".then(found => found.violations.map(one => `${one.id}: ${one.nodes[0].html}`))"
    )


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("name", ["binary", "seven_labels"])
def test_nothing_is_cut_off_at_phone_and_desktop_width(
    name: str, width: int, browser: Browser, request: pytest.FixtureRequest
) -> None:
    with opened(browser, request.getfixturevalue(name), width=width) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        too_wide = "boxes => boxes.filter(box => box.scrollWidth > box.clientWidth).length"
        assert page.eval_on_selector_all(".scroll", too_wide) == 0
        height = "texts => Math.min(...texts.map(text => text.getBoundingClientRect().height))"
        assert page.eval_on_selector_all("figure svg text", height) >= 8


def test_on_a_phone_a_cell_is_as_high_as_its_heading(browser: Browser, binary: Path) -> None:
    with opened(browser, binary, width=PHONE) as page:
        heights = page.eval_on_selector_all(
            ".stacked tbody td",
            """cells => cells.map(cell => {
                cell.replaceChildren();
                return ["short", "log loss out of fold, ".repeat(3)].map(heading => {
                    cell.dataset.heading = heading;
                    return cell.getBoundingClientRect().height;
                });
            })""",
        )
        assert len(heights) > 10
        assert all(low > 12 and high > 2 * low for low, high in heights), heights


def test_the_page_is_accessible_by_day_and_by_night(
    browser: Browser, binary: Path, seven_labels: Path
) -> None:
    with opened(browser, binary) as page:
        assert violations(page) == []
    with opened(browser, seven_labels, width=PHONE) as page:
        page.emulate_media(color_scheme="dark")
        assert violations(page) == []


def visible(page: Page) -> int:
    return page.locator("#cases .card:visible").count()


def test_the_gallery_is_filtered_ordered_and_drawn_piece_by_piece(
    browser: Browser, binary: Path
) -> None:
    with opened(browser, binary) as page:
        assert visible(page) == 24
        assert not page.is_visible("[name=decision]")
        page.click("#more")
        assert visible(page) == 40
        page.click("button[data-outcome=fixed]")
        fixed = visible(page)
        assert fixed == int(page.inner_text("button[data-outcome=fixed] small"))
        assert page.inner_text(".filters [role=status]") == f"{fixed} of 40 match"
        page.select_option("[name=human]", label="Unsafe")
        unsafe = visible(page)
        page.select_option("[name=human]", label="Safe")
        assert visible(page) + unsafe == fixed
        page.select_option("[name=human]", "")
        page.check("[name=disputed]")
        assert 0 < visible(page) < fixed
        page.click("button[data-outcome='']")
        assert page.inner_text(".filters [role=status]") == "20 of 40 match"
        page.select_option("[name=confidence]", "0.7,0.9")
        page.select_option("[name=order]", "1")
        found = page.eval_on_selector_all(
            "#cases .card:not([hidden])", "cards => cards.map(c => Number(c.dataset.confidence))"
        )
        assert found == sorted(found)
        assert 0.7 <= found[0] <= found[-1] < 0.9


def test_where_no_image_matches_one_button_clears_the_filters(
    browser: Browser, binary: Path
) -> None:
    with opened(browser, binary) as page:
        clear = page.get_by_role("button", name="Clear filters")
        page.select_option("[name=order]", "1")
        page.click("button[data-outcome=fixed]")
        assert not clear.is_visible()
        page.select_option("[name=confidence]", "0,0.7")
        page.check("[name=disputed]")
        page.select_option("[name=human]", label="Safe")
        page.select_option("[name=verdict]", label="Unsafe")
        assert page.inner_text(".filters [role=status]") == "0 of 40 match"
        clear.click()
        assert visible(page) == 24
        assert page.inner_text(".filters [role=status]") == ""
        assert page.get_attribute("button[data-outcome='']", "aria-pressed") == "true"
        assert page.input_value("[name=order]") == "1"
        assert not clear.is_visible()


def test_on_a_phone_the_contents_stay_in_sight_and_the_gallery_begins_short(
    browser: Browser, binary: Path
) -> None:
    with opened(browser, binary, width=PHONE) as page:
        assert visible(page) == 8
        page.click("#more")
        assert visible(page) == 40
        page.click("nav a >> nth=-1")
        top = "box => box.getBoundingClientRect().top"
        assert page.eval_on_selector("nav", top) == 0
        page.evaluate("document.getElementById('use').scrollIntoView()")
        under = page.eval_on_selector("nav", "box => box.getBoundingClientRect().bottom")
        assert page.eval_on_selector("#use h2", top) >= under


def test_what_was_decided_is_told_on_each_image_and_filtered(
    browser: Browser, tmp_path: Path
) -> None:
    acts = (0, 3, 5, 20)
    point = OperatingPoint("error <= 0.05", "error", 0.05, [(0.5, 0.1)], 0.1, 0.0, (0, 0.2), acts)
    file = tmp_path / "report.html"
    file.write_text(render_report(replace(make_record(), operating_point=point)))
    with opened(browser, file) as page:
        page.select_option("[name=decision]", "act")
        shown = page.locator("#cases .card:visible")
        names = shown.evaluate_all("cards => cards.map(card => card.ariaLabel)")
        assert sorted(names) == [f"test-{place:03}" for place in acts]
        assert set(shown.locator(".decision").all_text_contents()) == {"act"}
        page.select_option("[name=decision]", "abstain")
        assert page.inner_text(".filters [role=status]") == f"{40 - len(acts)} of 40 match"
        assert violations(page) == []


def test_keys_lead_through_the_gallery_and_into_the_enlarged_view(
    browser: Browser, binary: Path
) -> None:
    with opened(browser, binary) as page:
        names = page.eval_on_selector_all("#cases .card", "cards => cards.map(c => c.ariaLabel)")
        page.focus("#cases .card >> nth=0")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        for _ in range(25):
            page.keyboard.press("ArrowRight")
        assert page.get_attribute("#enlarged .card", "aria-label") == names[26]
        page.keyboard.press("Escape")
        # The browser tells of the close a moment later.
        page.wait_for_function("name => document.activeElement.ariaLabel === name", arg=names[26])
        page.click("#cases .card:visible .thumb img >> nth=0")
        assert page.get_attribute("#enlarged .card", "aria-label") == names[0]
        assert page.is_disabled("#earlier")


def test_on_a_fresh_page_the_right_arrow_leads_to_the_first_image(
    browser: Browser, binary: Path
) -> None:
    focused = "document.activeElement.ariaLabel"
    with opened(browser, binary) as page:
        names = page.eval_on_selector_all("#cases .card", "cards => cards.map(c => c.ariaLabel)")
        page.keyboard.press("ArrowDown")
        assert page.evaluate(focused) is None
        for name in names[:2]:
            page.keyboard.press("ArrowRight")
            assert page.evaluate(focused) == name
        page.focus("[name=human]")
        page.keyboard.press("ArrowRight")
        assert page.get_attribute(":focus", "name") == "human"
        page.click("button[data-outcome=fixed]")
        page.keyboard.press("ArrowRight")
        assert page.get_attribute(":focus", "data-outcome") == "fixed"
        assert page.get_attribute(":focus", "class") == "card"


CLIPBOARD_HOLDS = "async text => (await navigator.clipboard.readText()) === text"


def test_commands_name_the_folder_and_are_copied_whole(browser: Browser, binary: Path) -> None:
    with opened(browser, binary) as page:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page.click("[aria-label='Copy command that verifies']")
        folder = str(binary.parent).replace("'", "'\\''")
        page.wait_for_function(CLIPBOARD_HOLDS, arg=f"blpo verify '{folder}'")
        page.click("[aria-label='Copy Judge prompt']")
        prompt = make_record(num_steps=2).result.judge_prompt_final
        page.wait_for_function(CLIPBOARD_HOLDS, arg=prompt)


def test_another_name_leaves_the_folder_open_and_print_leaves_the_tools_out(
    browser: Browser, seven_labels: Path
) -> None:
    with opened(browser, seven_labels) as page:
        assert "blpo verify RUN" in page.inner_text("#use")
        page.emulate_media(media="print")
        assert page.locator("button:visible, select:visible, nav:visible").count() == 0
        assert page.locator("#cases .card:visible").count() == 24
