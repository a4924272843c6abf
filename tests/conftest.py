"""Session fixtures: tiny checkpoints and engines that are slow to start."""

import os

# Before numpy is imported: on a busy machine its threads wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from blpo.models.engines.settings import EngineSettings
from blpo.models.engines.vllm.engine import VllmEngine
from command_line import Blpo, run_command_line
from tiny_models import build_tiny_llama4, build_tiny_qwen, build_tiny_qwen3, build_tiny_qwen35

# Model folders are local; no test asks the hub for anything.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

LONGEST_FIRST = ("slurm", "engine", "conformance", "demo", "wheel", "resume")
SHARED_ENGINE = ("test_engines", "test_pair_engines", "test_engine_group")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For `pytest -n`: a file stays in one process, and the files that share an engine do, too.

    The longest come first, so that no process is left with one of them at the end.
    """
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group_of(item)))
    items.sort(key=lambda item: rank_of(group_of(item)))


def group_of(item: pytest.Item) -> str:
    file = item.path.stem
    return "engine" if file in SHARED_ENGINE else file.removeprefix("test_")


def rank_of(group: str) -> int:
    return LONGEST_FIRST.index(group) if group in LONGEST_FIRST else len(LONGEST_FIRST)


@pytest.fixture(scope="session")
def tiny_qwen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_qwen(tmp_path_factory.mktemp("tiny-qwen"))


@pytest.fixture(scope="session")
def tiny_qwen3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_qwen3(tmp_path_factory.mktemp("tiny-qwen3"))


@pytest.fixture(scope="session")
def tiny_qwen35(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_qwen35(tmp_path_factory.mktemp("tiny-qwen35"))


@pytest.fixture(scope="session")
def tiny_llama4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_llama4(tmp_path_factory.mktemp("tiny-llama4"))


@pytest.fixture(scope="session")
def vllm_engine(tiny_qwen: Path) -> Iterator[VllmEngine]:
    """A vLLM engine on the tiny Qwen2.5-VL checkpoint, shared by all tests."""
    engine = VllmEngine(EngineSettings(kind="vllm", model=str(tiny_qwen), kv_cache_gib=0.25))
    yield engine
    engine.close()


@pytest.fixture
def blpo(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Blpo:
    """Runs command lines in a folder of the test's own."""
    monkeypatch.chdir(tmp_path)
    return partial(run_command_line, monkeypatch, capsys)
