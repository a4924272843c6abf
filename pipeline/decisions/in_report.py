"""A decision in the report of its run: the operating point marked on its curve."""

import hashlib
import json
from pathlib import Path

from ...data.arrow import atomic_path
from ...data.errors import DataError
from ...data.text_files import read_own_json, read_text
from ..report.html import render_coverage
from ..report.page import with_section
from ..runs.directory import CHECKSUMS_FILE, REPORT_FILE
from ..runs.finished_run import read_past_run
from ..runs.predictions import AGAIN
from .decide import Decision, operating_point


def mark_in_report(run: Path, decision: Decision) -> None:
    """Draw the report's section on coverage again, with the operating point.

    A report whose checksum is not the one that was kept gets no new one: `blpo verify` goes on
    to tell of it. A run that was not to write a report has none to mark. Raises DataError for a
    report that cannot be read.
    """
    past = read_past_run(run)
    if not past.config.report and not (run / REPORT_FILE).exists():
        return
    point = operating_point(past, decision)
    section = render_coverage(past.examples, past.initial, past.final, point)
    before = read_text(run / REPORT_FILE, DataError, "report")
    after = with_section(before, "coverage", section)
    if after != before:
        _write(run / REPORT_FILE, after)
        _renew_checksum(run / CHECKSUMS_FILE, before, after)


def _renew_checksum(path: Path, before: str, after: str) -> None:
    if not path.exists():
        return
    sums = read_own_json(path, AGAIN)
    if sums.get(REPORT_FILE) == _sha256(before):
        _write(path, json.dumps(sums | {REPORT_FILE: _sha256(after)}, indent=2) + "\n")


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode())


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
