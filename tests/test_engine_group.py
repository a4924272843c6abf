"""Engines in processes of their own that answer as one."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blpo.data.errors import EngineError
from blpo.data.images import ImageBounds, ImageRef
from blpo.models.engine import Request
from blpo.models.engines import settings as settings_module
from blpo.models.engines.factory import make_engine
from blpo.models.engines.group.group import EngineGroup, engine_places
from blpo.models.engines.group.process import EngineProcess
from blpo.models.engines.group.wire import Packer, Unpacker
from blpo.models.engines.settings import EngineSettings
from blpo.models.engines.vllm.engine import VllmEngine
from blpo.models.engines.vllm.options import set_environment
from shadows import read_shadows, write_shadows
from test_engines import LABELS, TOLERANCE, largest_difference, picture
from waiting import LIMIT_S, wait_for

LEXICON = EngineSettings(kind="lexicon", engines=2)


def rewording(num_words: int) -> Request:
    """A request whose reply tells by its prompt_tokens which one it is."""
    return Request("<judge_prompt>" + "word " * num_words + "</judge_prompt>")


REQUESTS = [rewording(num_words) for num_words in range(2, 60)]
ANSWERED = [len(request.prompt.split()) for request in REQUESTS]


@pytest.fixture
def group() -> Iterator[EngineGroup]:
    """Two processes without a model."""
    engine = EngineGroup(LEXICON, make_engine)
    yield engine
    for process in processes(engine):
        send(process, signal.SIGCONT)
    engine.close()


def processes(engine: EngineGroup) -> list[EngineProcess]:
    return list(engine.__dict__["_engines"].values())


def process_id(process: EngineProcess) -> int:
    return process.__dict__["_process"].pid


def send(process: EngineProcess, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(process_id(process), number)


def num_asked(process: EngineProcess) -> int:
    return process.__dict__["_num_shares"]


def is_running(pid: int) -> bool:
    with suppress(OSError):
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    return False


def test_replies_come_in_the_order_of_the_requests_from_both_engines(group: EngineGroup) -> None:
    with ThreadPoolExecutor(8) as threads:
        batches = list(threads.map(group.ask, [REQUESTS] * 8))
    assert [[reply.prompt_tokens for reply in batch] for batch in batches] == [ANSWERED] * 8
    assert [num_asked(process) for process in processes(group)] == [8, 8]
    # The same request belongs to the same engine.
    group.ask(REQUESTS[:1])
    group.ask(REQUESTS[:1])
    assert sorted(num_asked(process) for process in processes(group)) == [8, 10]
    assert group.identity == make_engine(LEXICON).identity
    assert group.ask([]) == []


def test_the_start_is_announced_and_timed(
    group: EngineGroup, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "blpo.engine"):
        group.ask(REQUESTS)
        wait_for(lambda: group.start_s > 0, "both engines")
    assert "starting 2 engines with model micro" in caplog.text
    assert f"2 engines started in {group.start_s:.1f} s" in caplog.text


def test_no_file_of_the_working_folder_passes_for_a_module_of_an_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shadows(tmp_path)
    monkeypatch.chdir(tmp_path)
    # Even where the user has asked for the opposite.
    monkeypatch.setenv("PYTHONSAFEPATH", "")
    with closing(EngineGroup(LEXICON, make_engine)) as engine:
        assert [reply.prompt_tokens for reply in engine.ask(REQUESTS)] == ANSWERED
        environments = [
            Path(f"/proc/{process_id(process)}/environ").read_bytes().split(b"\0")
            for process in processes(engine)
        ]
    # What an engine starts in its turn keeps to the same.
    assert all(b"PYTHONSAFEPATH=1" in environment for environment in environments)
    assert read_shadows(tmp_path) == []


@pytest.mark.parametrize("settings", [{"device": "cuda"}, {"tensor_parallel_size": 2}])
def test_what_vllm_starts_takes_no_module_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    device = settings.pop("device", "cpu")
    monkeypatch.setattr(settings_module, "find_device", lambda: device)
    environment = {"PATH": os.environ["PATH"]}
    monkeypatch.setattr(os, "environ", environment)
    set_environment(EngineSettings(**settings), None)
    write_shadows(tmp_path)
    spawned = "import multiprocessing.spawn, json, socket, random, pickle, runpy"
    command = [sys.executable, "-c", spawned]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=LIMIT_S)
    assert read_shadows(tmp_path) == []


def test_what_a_dying_engine_was_asked_is_answered_by_the_other(
    group: EngineGroup, caplog: pytest.LogCaptureFixture
) -> None:
    group.ask(REQUESTS)
    one, other = processes(group)
    send(one, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(group.ask, REQUESTS)
        wait_for(lambda: num_asked(one) == 2, "its share")
        send(one, signal.SIGKILL)
        assert [reply.prompt_tokens for reply in asking.result(LIMIT_S)] == ANSWERED
    assert "engine 0 is gone, its images go to the others: its process ended" in caplog.text
    assert [reply.prompt_tokens for reply in group.ask(REQUESTS)] == ANSWERED
    assert num_asked(one) == 2

    send(other, signal.SIGKILL)
    with pytest.raises(EngineError, match="all 2 engines are gone: its process ended"):
        group.ask(REQUESTS)


def test_requests_that_nobody_waits_for_are_given_up(group: EngineGroup) -> None:
    group.ask(REQUESTS)
    for process in processes(group):
        send(process, signal.SIGSTOP)
    with closing(group.stream(REQUESTS)) as stream:
        assert next(stream) == []  # a sign of life
    assert [process.__dict__["_shares"] for process in processes(group)] == [{}, {}]
    for process in processes(group):
        send(process, signal.SIGCONT)
    assert [reply.prompt_tokens for reply in group.ask(REQUESTS)] == ANSWERED


def test_a_closed_group_refuses_and_releases_its_callers(group: EngineGroup) -> None:
    group.ask(REQUESTS)
    pids = [process_id(process) for process in processes(group)]
    silent = processes(group)[0]
    send(silent, signal.SIGSTOP)
    with ThreadPoolExecutor(2) as threads:
        asking = threads.submit(group.ask, REQUESTS)
        wait_for(lambda: num_asked(silent) == 2, "its share")
        closing_ = threads.submit(group.close)
        wait_for(lambda: silent.failure, "its being closed")
        send(silent, signal.SIGCONT)
        closing_.result(LIMIT_S)
    assert "closed while requests waited" in str(asking.exception())
    assert not any(map(is_running, pids))
    with pytest.raises(EngineError, match="is closed"):
        group.ask(REQUESTS)
    group.close()


def test_stop_signals_are_left_to_the_process_of_the_group(group: EngineGroup) -> None:
    group.ask(REQUESTS)
    for process in processes(group):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2):
            send(process, number)
    assert [reply.prompt_tokens for reply in group.ask(REQUESTS)] == ANSWERED


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_engines_end_with_the_process_of_the_group_however_it_ends(number: signal.Signals) -> None:
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[1])\n"
        "from test_engine_group import *\n"
        "engine = EngineGroup(LEXICON, make_engine)\n"
        "engine.ask(REQUESTS)\n"
        "print(*[process_id(process) for process in processes(engine)], flush=True)\n"
        "time.sleep(600)\n"
    )
    command = [sys.executable, "-c", code, str(Path(__file__).parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = [int(word) for word in process.stdout.readline().split()]
        assert all(map(is_running, pids))
        assert len(pids) == 2
        process.send_signal(number)
    wait_for(lambda: not any(map(is_running, pids)), "the end of both engines")


def test_engines_that_do_not_start_say_why() -> None:
    settings = EngineSettings(kind="openai", api_key_env="NOT_SET_HERE", engines=2)
    engine = EngineGroup(settings, make_engine)
    with pytest.raises(EngineError, match=r"all 2 engines are gone: no key for .*NOT_SET_HERE"):
        engine.ask([Request("x")])
    engine.close()


def test_an_image_travels_once_and_again_after_it_was_dropped() -> None:
    images = [ImageRef(bytes([number]) * 10, ImageBounds()) for number in range(8)]
    random = np.random.default_rng(0)
    packer, unpacker = Packer(kept_bytes=40), Unpacker(kept_bytes=40)
    travelled: list[set[str]] = []
    for number in range(200):
        chosen = [images[int(random.integers(8))] for _ in range(random.integers(1, 7))]
        requests = [*(Request(f"{number}", image) for image in chosen), Request("no image")]
        ask = packer.pack(number, requests)
        assert unpacker.unpack(ask) == requests
        travelled.append(set(ask.new_images))
        assert len(unpacker.__dict__["_images"]) <= 4
    assert any(not one for one in travelled)
    again = [packer.pack(0, [Request("twice", images[0])]).new_images for _ in range(2)]
    assert len(again[1]) == 0


def test_every_engine_gets_gpus_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings_module, "find_device", lambda: "cuda")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7,GPU-8f")
    settings = EngineSettings(tensor_parallel_size=2)
    assert settings.num_engines == 2
    visible = [environment for environment, _ in engine_places(settings, 2)]
    assert visible == [{"CUDA_VISIBLE_DEVICES": "4,5"}, {"CUDA_VISIBLE_DEVICES": "6,7"}]
    with pytest.raises(EngineError, match=r"3 of 2 GPUs each .* this process sees 5"):
        engine_places(settings, 3)


@pytest.mark.parametrize(
    ("listed", "size", "count"),
    [("0,1,2,3,4,5,6,7", 1, 8), ("0", 1, 1), ("0,1", 4, 1), ("NoDevFiles", 1, 1), (None, 1, 1)],
)
def test_auto_takes_the_gpus_that_are_assigned_to_the_process(
    monkeypatch: pytest.MonkeyPatch, listed: str | None, size: int, count: int
) -> None:
    monkeypatch.setattr(settings_module, "find_device", lambda: "cuda")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if listed is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    assert EngineSettings(tensor_parallel_size=size).num_engines == count


def seven_cores(_: int) -> set[int]:
    return set(range(7))


def test_on_cpu_auto_is_one_engine_and_several_divide_the_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(settings_module, "find_device", lambda: "cpu")
    monkeypatch.setattr(os, "sched_getaffinity", seven_cores)
    assert EngineSettings().num_engines == 1
    assert isinstance(make_engine(EngineSettings(engines=1)), VllmEngine)
    assert isinstance(make_engine(EngineSettings(engines=3)), EngineGroup)
    cores = [cores for _, cores in engine_places(EngineSettings(), 3)]
    assert frozenset().union(*[own or () for own in cores]) == set(range(7))
    assert all(one and other and not one & other for one, other in pairwise(cores))
    assert engine_places(EngineSettings(), 8) == [({}, None)] * 8


@pytest.mark.engine
def test_two_vllm_engines_answer_like_one_and_each_image_keeps_its_engine(
    vllm_engine: VllmEngine, tiny_qwen: Path
) -> None:
    group = make_engine(EngineSettings(model=str(tiny_qwen), kv_cache_gib=0.25, engines=2))
    assert isinstance(group, EngineGroup)
    images = [picture(5000 + number) for number in range(24)]
    first, second = (
        [Request(prompt, image, labels=LABELS) for image in images]
        for prompt in ("Is it safe?", "And now?")
    )
    with closing(group):
        for requests in (first, second):
            expected, replies = vllm_engine.ask(requests), group.ask(requests)
            assert largest_difference(replies, expected) < TOLERANCE
            cached = [reply.cached_tokens for reply in replies]
            assert cached == [reply.cached_tokens for reply in expected]
        assert min(cached) > 0
        assert all(num_asked(process) == 2 for process in processes(group))
        send(processes(group)[1], signal.SIGKILL)
        assert largest_difference(group.ask(second), expected) < TOLERANCE
