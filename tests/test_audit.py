"""What scripts/audit.py makes of the answers of pip-audit."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import audit
import pytest

CLEAN: dict[str, Any] = {"name": "attrs", "version": "26.1.0", "vulns": []}
SKIPPED = {"name": "httpx", "skip_reason": "not found on PyPI: httpx (0.28)"}
BROKEN: dict[str, Any] = {
    "name": "pillow",
    "version": "9.0",
    "vulns": [
        {"id": "PYSEC-1", "fix_versions": ["9.1", "10.0"]},
        {"id": "GHSA-2", "fix_versions": []},
    ],
}

Audit = Callable[..., tuple[int, str]]


@pytest.fixture
def audited(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Audit:
    """Runs the script where pip-audit answers so; its exit code and last words."""

    def run(*packages: Any, said: str = "", args: tuple[str, ...] = ()) -> tuple[int, str]:
        def pip_audit(command: list[str], **_options: Any) -> Any:
            listed = Path(command[command.index("--requirement") + 1]).read_text()
            assert "torch==" in listed
            assert "+cpu" not in listed
            if packages:
                answer = json.dumps({"dependencies": packages})
                Path(command[command.index("--output") + 1]).write_text(answer)
            return subprocess.CompletedProcess(command, 1, stderr=said)

        monkeypatch.setattr(subprocess, "run", pip_audit)
        monkeypatch.setattr("sys.argv", ["audit.py", *args])
        with pytest.raises(SystemExit) as ended:
            audit.main()
        code = ended.value.code
        return (code, capsys.readouterr().out) if isinstance(code, int) else (1, str(code))

    return run


def test_locked_versions_without_a_known_vulnerability_pass(audited: Audit) -> None:
    assert audited(CLEAN, CLEAN) == (0, "2 locked versions: no known vulnerability\n")


def test_a_vulnerability_is_named_with_the_versions_that_mend_it(audited: Audit) -> None:
    code, said = audited(CLEAN, BROKEN)
    assert code == 1
    assert "pillow 9.0: PYSEC-1, mended in 9.1, 10.0\n" in said
    assert "pillow 9.0: GHSA-2, mended in no version\n" in said


def test_an_advisory_is_ignored_for_a_reason_that_is_printed(
    audited: Audit, monkeypatch: pytest.MonkeyPatch
) -> None:
    reasons = {"PYSEC-1": "the decoder is not enabled", "GHSA-2": "tests alone"}
    monkeypatch.setattr(audit, "IGNORED", reasons)
    code, said = audited(BROKEN)
    assert code == 0
    assert "ignored: PYSEC-1: the decoder is not enabled" in said
    assert audited(CLEAN)[0] == 1


def test_a_package_that_is_not_looked_up_while_others_are_fails(audited: Audit) -> None:
    code, said = audited(CLEAN, SKIPPED)
    assert (code, "httpx: not found on PyPI" in said) == (1, True)


@pytest.mark.parametrize("said", ["", "requests.exceptions.ConnectionError: no such host"])
def test_where_no_advisory_is_to_be_had_that_is_said(audited: Audit, said: str) -> None:
    packages = [] if said else [SKIPPED, SKIPPED]
    code, printed = audited(*packages, said=said)
    assert (code, printed.startswith("NOT AUDITED")) == (0, True)
    assert audited(*packages, said=said, args=("--required",))[0] == 1


def test_an_audit_that_breaks_off_for_another_reason_fails(audited: Audit) -> None:
    assert audited(said="No module named pip_audit") == (1, "pip-audit failed")
