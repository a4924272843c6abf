"""`blpo sweep --check`: what stops a sweep, and what makes its figures hard to repeat."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from blpo.data.importers.manifest import manifest_path
from blpo.data.importers.registry import IMPORTERS
from command_line import Blpo

OPTIMIZER: dict[str, Any] = {
    "engine": {
        "kind": "openai",
        "model": "o3",
        "endpoint": "https://api.openai.com/v1",
        "api_key_env": "SOME_KEY",
        "reasoning_effort": "low",
    },
    "own_draws": True,
}
BASE: dict[str, Any] = {
    "judge": {"kind": "vllm", "model": "a/judge", "revision": "0" * 40},
    "optimizer": OPTIMIZER,
}
COMMIT = IMPORTERS["seetrue"].card.revision


def checked(
    folder: Path, blpo: Blpo, base: dict[str, Any], revision: str | None = COMMIT
) -> tuple[int, dict[tuple[str, str], str]]:
    """The exit code, and what was found by subject and level, of a sweep whose data are there."""
    dataset = folder / "seetrue.parquet"
    dataset.touch()
    manifest_path(dataset).write_text(json.dumps({"revision": revision}))
    content = {
        "output": str(folder / "sweep"),
        "base": base,
        "datasets": {"seetrue": str(dataset)},
        "grid": {"task": ["seetrue"], "seed": [0, 1]},
    }
    (folder / "sweep.yaml").write_text(yaml.safe_dump(content))
    outcome = blpo("sweep", "--check", str(folder / "sweep.yaml"), "--json")
    found = {(one["subject"], one["level"]): one["found"] for one in json.loads(outcome.out)}
    return outcome.code, found


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "a key")


def test_a_sweep_that_is_ready_runs_nothing_under_check(tmp_path: Path, blpo: Blpo) -> None:
    code, found = checked(tmp_path, blpo, BASE)
    assert code == 0
    assert {level for _, level in found} == {"ok"}
    assert found["cells", "ok"] == "2 runs: 2 of `seed`, 1 of `task`"
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize(
    ("base", "subject", "message"),
    [
        ({"judge": {"kind": "vllm", "model": "a/judge"}}, "judge", "`revision` is no commit"),
        ({"optimizer": {**OPTIMIZER, "own_draws": False}}, "seeds", "own_draws=true"),
        (
            {"optimizer": {"engine": {**OPTIMIZER["engine"], "reasoning_effort": None}}},
            "optimizer",
            "`reasoning_effort` is not set",
        ),
    ],
)
def test_what_is_not_pinned_is_a_warning(
    base: dict[str, Any], subject: str, message: str, tmp_path: Path, blpo: Blpo
) -> None:
    code, found = checked(tmp_path, blpo, BASE | base)
    assert code == 3
    assert message in found[subject, "warning"]


def test_data_of_another_commit_are_a_warning(tmp_path: Path, blpo: Blpo) -> None:
    code, found = checked(tmp_path, blpo, BASE, revision="1" * 40)
    assert code == 3
    assert f"the importer knows {COMMIT}" in found["dataset", "warning"]


def test_missing_data_or_a_missing_key_is_an_error(
    blpo: Blpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    outcome = blpo("sweep", "--check", "table1")
    assert outcome.code == 1
    assert "blpo import seetrue --paper-split --out datasets/seetrue.parquet" in outcome.out
    assert "the environment has no OPENAI_API_KEY" in outcome.out
