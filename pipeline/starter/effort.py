"""How long a run of an open judge takes, by arithmetic: nothing is measured here."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...models.wrappers.ledger import Role
from ..config import RunConfig

FLOPS, BANDWIDTH = 1e14, 1e12
"""Operations and bytes in a second that a GPU is taken to reach: 100 TFLOP/s, 1 TB/s."""
_START_S = 120.0
_BYTES_PER_PARAMETER = 2
_IMAGE_TOKENS, _PROMPT_TOKENS, _PROPOSAL_TOKENS = 1100, 150, 500
_TEXTS_AT_ONCE = 10


@dataclass(frozen=True, slots=True)
class Effort:
    """Seconds of a run: for starting the engine, and by role."""

    start: float
    roles: Mapping[Role, float]

    @classmethod
    def of(
        cls, config: RunConfig, calls: Mapping[Role, int], num_images: int, weights: int
    ) -> "Effort":
        """calls: by role, at most. weights: bytes of the one model that serves all roles.

        Images are encoded once and prompts read after them; descriptions are written ten at a time,
        proposals one by one.
        """
        per_token = 2 * (weights / _BYTES_PER_PARAMETER) / FLOPS
        step = weights / BANDWIDTH
        read = num_images * _IMAGE_TOKENS + calls["judge"] * _PROMPT_TOKENS
        rounds = calls["verbalizer"] / _TEXTS_AT_ONCE
        return cls(
            _START_S,
            {
                "judge": read * per_token,
                "verbalizer": rounds * config.verbalizer.max_tokens * step,
                "optimizer": calls["optimizer"] * _PROPOSAL_TOKENS * step,
            },
        )

    @property
    def seconds(self) -> float:
        return self.start + sum(self.roles.values())
