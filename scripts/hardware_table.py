"""How many GPUs today's judges need: computed from parameters and memory, not measured.

    python scripts/hardware_table.py

Prints the table of docs/models.md, as Markdown. Judges: `models/engines/known_judges.py`; what is
left beside the weights, and how heads divide among GPUs: `models/engines/gpu_fit.py`.
"""

from collections.abc import Mapping

from blpo.models.engines.known_judges import BFLOAT16, FP8, KNOWN_JUDGES, KnownJudge
from blpo.models.engines.settings import EngineSettings

_GB = 10**9
_MIB = 1 << 20
GPU_MIB: Mapping[str, int] = {
    "24 GiB": 24_564,
    "48 GiB": 46_068,
    "80 GiB": 81_559,
    "141 GiB": 143_771,
}
"""Memory by the name that a card is sold under, as the driver tells it of an RTX 4090, an L40S, an
H100 and an H200."""


def main() -> None:
    print(markdown(), end="")


def markdown() -> str:
    """A row for each judge: weights, then GPUs, always in bfloat16 / in fp8."""
    head = ["judge", "weights, GB", *GPU_MIB]
    rows = [head, ["---"] * len(head), *map(_row, KNOWN_JUDGES)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(judge: KnownJudge) -> list[str]:
    weights = [f"{judge.weights_bytes(width) / _GB:.1f}" for width in (BFLOAT16, FP8)]
    return [judge.name, " / ".join(weights), *(_num_gpus(judge, mib) for mib in GPU_MIB.values())]


def _num_gpus(judge: KnownJudge, mib: int) -> str:
    room = int(mib * _MIB * EngineSettings().gpu_memory_utilization)
    needed = [judge.num_gpus(room, width) for width in (BFLOAT16, FP8)]
    return " / ".join("-" if size is None else str(size) for size in needed)


if __name__ == "__main__":
    main()
