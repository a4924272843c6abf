"""vLLM's OpenAI-compatible server on loopback, as benches and tests start it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
from blpo.models.engines.checkpoint import MICRO, find_folder

_START_S = 600.0
_ENVIRONMENT = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "OMP_NUM_THREADS": "1",
    "TORCHDYNAMO_DISABLE": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
}


@contextmanager
def running_server(log: Path, options: Sequence[str] = (), block_size: int = 32) -> Generator[str]:
    """The base URL of a server of the micro model, which is up.

    `vllm serve` asks for a package named vllm, which vllm-cpu is not: the module is run.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(find_folder(MICRO)), "--served-model-name", MICRO),
        *("--dtype", "float32", "--enforce-eager", "--block-size", str(block_size)),
        *("--max-model-len", "2048", "--limit-mm-per-prompt", '{"image": 2, "video": 0}'),
        *("--skip-mm-profiling", "--disable-uvicorn-access-log"),
        *("--host", "127.0.0.1", "--port", str(port), *options),
    ]
    environment = os.environ | _ENVIRONMENT
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=file, env=environment, start_new_session=True
        )
    try:
        _wait(process, port, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def running_servers(
    num_servers: int, folder: Path, options: Sequence[str] = ()
) -> Generator[list[str]]:
    """The base URLs of several servers, started one after the other."""
    with ExitStack() as stack:
        logs = (folder / f"server-{number}.log" for number in range(num_servers))
        yield [stack.enter_context(running_server(log, options)) for log in logs]


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health", timeout=2).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.5)
    raise RuntimeError(f"the server is not up: {log.read_text('utf-8', 'replace')[-2000:]}")
