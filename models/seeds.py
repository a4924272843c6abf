"""Sampling seeds, derived from what is asked."""

import hashlib

from .engine import Request


def sampling_seed(request: Request) -> int:
    """Seed of a sampled reply, 0 <= seed < 2**32, the same for the same request everywhere."""
    image = request.image.digest if request.image else ""
    parts = (str(request.sampling.sample_index), image, request.text or "", request.prompt)
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:4])
