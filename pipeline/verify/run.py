"""One finished run: every figure that can be computed again is compared.

Computed by the code that a run computes it with, with the same seeds. Nothing is written and no
model is asked.
"""

from pathlib import Path

from ..runs.checksums import checksums
from ..runs.directory import CHECKSUMS_FILE
from .decisions import check_decision
from .figures import check_result
from .findings import Findings
from .kept import Kept, read_kept, read_mapping
from .report import check_report
from .steps import check_steps


def verify_run(path: Path) -> Findings:
    """Raises ConfigError if the folder is no finished run, and ConfigError or DataError, naming the
    file, for one that is missing or damaged."""
    kept = read_kept(path)
    findings = Findings()
    test = check_result(kept, findings)
    point = check_decision(kept, findings)
    check_report(kept, test, check_steps(kept, findings), findings, point)
    _check_files(kept, findings)
    return findings


def _check_files(kept: Kept, findings: Findings) -> None:
    """What is there is what was written."""
    if not (kept.path / CHECKSUMS_FILE).exists():
        findings.not_checked.append(
            f"checksums: an earlier version has finished the run, and kept no {CHECKSUMS_FILE}; it "
            "may have drawn intervals otherwise, too"
        )
        return
    written = read_mapping(kept.path / CHECKSUMS_FILE)
    found = checksums(kept.path, kept.result)
    for name in dict.fromkeys([*written, *found]):
        findings.compare(name, "sha256", written.get(name), found.get(name))
