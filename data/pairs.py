"""Pairs in an order that tells nothing: what importing a pair the other way round means."""

import hashlib
from typing import Literal

from .tasks import TIE

Preference = Literal["A", "B", "tie"]

SWAPPED_LABELS: dict[str, Preference] = {"A": "B", "B": "A", TIE: "tie"}
"""The label of a pair after its images have changed places."""


def is_swapped(pair_id: str) -> bool:
    """Whether a hash of its id has a pair written with its images the other way round."""
    return hashlib.sha256(pair_id.encode()).digest()[0] % 2 == 1
