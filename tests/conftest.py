"""Session fixtures: tiny checkpoints and engines that are slow to start."""

import os

# Before numpy is imported: on a busy machine its threads wait for each other.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from blpo.models.engines.checkpoint import MICRO, locate
from blpo.models.engines.settings import EngineSettings
from blpo.models.engines.vllm.engine import VllmEngine
from blpo.models.engines.vllm.options import prepare_cpu, set_environment
from command_line import Blpo, run_command_line
from tiny_models import build_tiny_llama4, build_tiny_qwen, build_tiny_qwen3, build_tiny_qwen35
from xdist.remote import Producer  # pyright: ignore[reportMissingTypeStubs]
from xdist.scheduler import LoadFileScheduling  # pyright: ignore[reportMissingTypeStubs]

# The same examples in every run, however long each of them takes.
hypothesis.settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("repeatable")

# Runs that are compared begin on one day, also around midnight.
os.environ.setdefault("SOURCE_DATE_EPOCH", "1764374400")

# Model folders are local; no test asks the hub for anything.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

WITH_VLLM = (
    *("test_engines", "test_engine_group", "test_conformance", "test_vllm_server"),
    *("test_thinking_engines", "test_pair_engines", "test_hybrid", "test_reasoned"),
    *("test_families", "test_checkpoint_files", "test_doctor"),
)
"""In one process: importing vLLM or transformers takes longer than most of what these files do."""

LONGEST_FIRST = (
    *WITH_VLLM,
    *("test_demo", "test_slurm", "test_docs", "test_resume", "test_wheel", "test_verify"),
)
"""A file is run by one process; with these first, none is left at the end.

Slurm's jobs come when others have compiled what they import.
"""


class WithVllmTogether(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "with vLLM" if Path(file).stem in WITH_VLLM else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return WithVllmTogether(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: rank_of(item.path.stem))
    for item in items:
        starts_vllm = item.path.stem in WITH_VLLM and item.get_closest_marker("engine")
        if starts_vllm and isinstance(item, pytest.Function):
            item.fixturenames.insert(0, "inspecting_here")


def rank_of(file: str) -> int:
    return LONGEST_FIRST.index(file) if file in LONGEST_FIRST else len(LONGEST_FIRST)


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
def inspecting_here() -> Iterator[None]:
    """vLLM inspects the class of a model here, and in no process that imports all of vLLM again."""
    settings = EngineSettings(kind="vllm", model=MICRO)
    if settings.device != "cpu":  # vLLM has its reasons there
        yield
        return
    set_environment(settings, locate(settings).folder)
    prepare_cpu()
    registry = import_module("vllm.model_executor.models.registry")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "_run_in_subprocess", call)
        yield


def call(function: Callable[[], Any]) -> Any:
    return function()


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
