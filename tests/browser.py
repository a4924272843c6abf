"""Our pages in a real browser."""

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium")


@contextmanager
def chromium() -> Generator[Browser]:
    """The test is skipped where there is no Chromium; in CI it fails instead."""
    if CHROMIUM is None:
        assert not os.environ.get("CI"), "no chromium: see scripts/test_packages.sh"
        pytest.skip("no chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        # Root, as which containers run, has no sandbox.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Browser, file: Path, *, width: int = 1280, height: int = 800
) -> Generator[Page]:
    """A page from its file. Fails on a script error and on anything asked of a network."""
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda told: wrong.append(told.text) if told.type == "error" else None)
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith(("data:", "blob:", file.as_uri()))
            else wrong.append(request.url)
        ),
    )
    page.goto(file.as_uri())
    yield page
    context.close()
    assert not wrong, wrong
