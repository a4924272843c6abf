"""Plain lines of progress, off a terminal."""

import logging
import threading

import pytest
from blpo.pipeline.runs import progress
from command_line import Blpo


def test_no_line_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_PLAIN_LINE_S", 0.001)
    monkeypatch.setattr(progress, "_is_quiet", False)
    counts = [0, 0, 0, 500]
    finished = threading.Event()

    def done() -> int:
        if len(counts) == 1:
            finished.set()
            return counts[0]
        return counts.pop(0)

    with progress.progress({"judge": progress.Tracked(done, 1000)}, "calls"):
        assert finished.wait(60)
    lines = capsys.readouterr().err.splitlines()
    assert lines
    assert all(line.startswith("500 of about 1,000 calls, ") for line in lines)


def test_once_all_is_done_that_is_told_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_PLAIN_LINE_S", 0.001)
    monkeypatch.setattr(progress, "_is_quiet", False)
    looks = 0
    finished = threading.Event()

    def done() -> int:
        nonlocal looks
        looks += 1
        if looks > 20:
            finished.set()
        return 30

    with progress.progress({"judge": progress.Tracked(done, 30)}, "calls"):
        assert finished.wait(60)
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("30 of about 30 calls, ")


def test_who_asked_for_quiet_sees_warnings_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "_PLAIN_LINE_S", 0.001)
    monkeypatch.setattr(progress, "_is_quiet", False)
    log = logging.getLogger("blpo")
    before = log.level
    try:
        log.setLevel(logging.INFO)
        progress.be_quiet()
        with progress.progress({"judge": progress.Tracked(threading.active_count, 9)}, "calls"):
            names = [thread.name for thread in threading.enumerate()]
        assert not any("_lines" in name for name in names)
        assert log.getEffectiveLevel() == logging.WARNING
    finally:
        log.setLevel(before)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "command",
    [
        ("judge", "none.parquet", "--out", "verdicts.parquet"),
        ("evaluate", "none.parquet"),
        ("sweep", "none.yaml"),
    ],
    ids=lambda command: command[0],
)
def test_long_commands_can_be_quiet(
    command: tuple[str, ...], blpo: Blpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(progress, "be_quiet", lambda: asked.append(True))
    assert blpo(*command).code == 1
    assert asked == []
    assert blpo(*command, "--quiet").code == 1
    assert asked == [True]
