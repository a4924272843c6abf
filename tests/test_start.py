"""Commands that need no model start without what only models, reports and images need."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from blpo.data.store.store import ReplyStore
from test_store import put, row

HEAVY = {"torch", "transformers", "vllm", "scipy", "matplotlib", "PIL", "jinja2", "httpx"}
ARROW = {"numpy", "polars", "pyarrow"}

STARTED = """
import json, sys
from blpo.pipeline.cli.app import main

try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        (["--help"], HEAVY | ARROW),
        (["judge", "--help"], HEAVY | ARROW),
        (["tasks"], HEAVY | ARROW),
        (["store", "stats"], HEAVY),
        (["store", "verify"], HEAVY),
        (["store", "compact"], HEAVY),
    ],
)
def test_a_command_without_a_model_imports_nothing_it_does_not_need(
    arguments: list[str], refused: set[str], tmp_path: Path
) -> None:
    put(ReplyStore(tmp_path / "store"), row(1))
    run = subprocess.run(
        [sys.executable, "-c", STARTED, *arguments],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    imported = {name.partition(".")[0] for name in json.loads(run.stderr.splitlines()[-1])}
    assert imported & refused == set()
