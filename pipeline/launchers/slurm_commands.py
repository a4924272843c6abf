"""Slurm's own commands and the package's job scripts."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Literal

from ...data.errors import ConfigError, LaunchError
from ...models.engines.checkpoint import is_available_offline, locate
from ...models.engines.gpu_fit import refuse_split
from ...models.engines.settings import EngineSettings

Script = Literal["sweep", "judge", "collect"]

_LOCAL_ENGINES = ("vllm", "transformers")


def slurm_command(*command: str, environment: Mapping[str, str] | None = None) -> str:
    """What a command of Slurm prints. Raises LaunchError with Slurm's own words."""
    if shutil.which(command[0]) is None:
        raise LaunchError(f"no {command[0]} on this machine: submit from a login node of a cluster")
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise LaunchError(f"{command[0]} refuses: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def submit(
    script: Script,
    options: Sequence[str],
    arguments: Sequence[str],
    logs: Path,
    container: str = "",
) -> str:
    """Put a job or an array into the queue; its id."""
    environment = os.environ | {
        "BLPO": "blpo" if container else shlex.quote(_own_command()),
        "BLPO_CONTAINER": container,
        "BLPO_SLURM": str(_scripts()),
        "BLPO_LOGS": str(logs),
    }
    folder = str(logs).replace("%", "%%")
    output = f"--output={folder}/slurm-%x-%{'j' if script == 'collect' else 'A_%a'}.out"
    command = ["sbatch", "--parsable", output, *options, str(_path(script)), *arguments]
    return slurm_command(*command, environment=environment).strip().split(";")[0]


def refuse_request(what: str, script: Script, options: Sequence[str]) -> None:
    """Let Slurm say what it thinks of a request; nothing is queued. Raises LaunchError."""
    try:
        slurm_command("sbatch", "--test-only", *options, str(_path(script)))
    except LaunchError as error:
        asked = " ".join(options) or "as in the script"
        raise LaunchError(f"the {what} cannot be submitted ({asked}): {error}") from None


def refuse_engine(owner: str, engine: EngineSettings, gpus: int) -> None:
    """Raises ConfigError or EngineError for an engine that cannot start in a job of so many GPUs.

    0 GPUs: a job on CPU.
    """
    if engine.kind not in _LOCAL_ENGINES:
        return
    num_engines = 1 if engine.engines == "auto" else engine.engines
    if num_engines * engine.tensor_parallel_size > (gpus or num_engines):
        several = f"{num_engines} engines, each with " if num_engines > 1 else ""
        raise ConfigError(
            f"{owner}: {several}{engine.model} on {engine.tensor_parallel_size} GPUs "
            f"(tensor_parallel_size), but a task is given {gpus}"
        )
    if os.environ.get("BLPO_ONLINE") != "1" and not is_available_offline(engine):
        raise ConfigError(
            f"{owner}: {engine.model} is not in the Hugging Face cache, and jobs run offline: "
            f"fetch it with `hf download {engine.model}`, or set BLPO_ONLINE=1"
        )
    if engine.tensor_parallel_size > 1:
        refuse_split(engine, locate(engine).config)


def max_array_tasks() -> int:
    """The most tasks that one array may have here."""
    config = slurm_command("scontrol", "show", "config")
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", config, re.MULTILINE)
    return int(found[1]) - 1 if found else 1000


def array_option(tasks: Sequence[int], max_running: int) -> str:
    """`--array` for these task numbers: "--array=0-3,7%8"."""
    ranges: list[list[int]] = []
    for task in sorted(tasks):
        if ranges and task == ranges[-1][1] + 1:
            ranges[-1][1] = task
        else:
            ranges.append([task, task])
    numbers = ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)
    return f"--array={numbers}%{max_running}"


def active_tasks(job: str) -> dict[int, str]:
    """Tasks of an array that have not ended, with their state: "RUNNING", "PENDING", ..."""
    try:
        lines = slurm_command("squeue", "-h", "-r", "-j", job, "-o", "%K %T").splitlines()
    except LaunchError as error:
        if "Invalid job id" in str(error):
            return {}  # it has been forgotten, long after its end
        raise
    pairs = (line.split() for line in lines)
    return {int(task): state for task, state in pairs}


def _own_command() -> str:
    beside = Path(sys.executable).with_name("blpo")
    return str(beside) if beside.exists() else shutil.which("blpo") or "blpo"


def _scripts() -> Path:
    return Path(str(resources.files("blpo.slurm")))


def _path(script: Script) -> Path:
    return _scripts() / f"{script}.sbatch"
