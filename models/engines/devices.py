"""The GPUs of this process, known without importing torch, which would take memory on each."""

import os
import subprocess
from pathlib import Path

CUDA_VARIABLE = "CUDA_VISIBLE_DEVICES"

_NO_GPU = ("-1", "NoDevFiles")
_QUERY = ("nvidia-smi", "--query-gpu=index,uuid,memory.total", "--format=csv,noheader,nounits")
_MIB = 1 << 20


def assigned_gpus() -> list[str] | None:
    """The GPUs in CUDA_VISIBLE_DEVICES, which Slurm sets to those of the job; None if unset.

    Each as the variable names it: number, GPU-... or MIG-....
    """
    listed = os.environ.get(CUDA_VARIABLE)
    if listed is None:
        return None
    names = [name.strip() for name in listed.split(",")]
    # CUDA reads up to the first name that is none.
    end = next((i for i, name in enumerate(names) if not name or name in _NO_GPU), len(names))
    return names[:end]


def visible_gpus() -> list[str]:
    """The GPUs that this process may use: those assigned to it, else all of the machine."""
    assigned = assigned_gpus()
    if assigned is not None:
        return assigned
    return [str(number) for number in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]


def gpu_bytes() -> int | None:
    """Memory of the smallest visible GPU; None where the driver does not tell."""
    try:
        listed = subprocess.run(_QUERY, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    return smallest_bytes(listed.stdout, visible_gpus())


def smallest_bytes(listed: str, gpus: list[str]) -> int | None:
    """Memory of the smallest of some GPUs. listed: lines of "index, uuid, MiB"."""
    sizes: list[int] = []
    for line in listed.splitlines():
        index, uuid, mib = (field.strip() for field in line.split(","))
        if mib.isdigit() and any(gpu == index or uuid.startswith(gpu) for gpu in gpus):
            sizes.append(int(mib) * _MIB)
    return min(sizes, default=None)
