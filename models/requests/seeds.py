"""Sampling seeds, derived from what is asked."""

import hashlib

from ..engine import Request


def sampling_seed(request: Request) -> int:
    """Seed of a sampled reply, 0 <= seed < 2**32, the same for the same request everywhere."""
    images = " ".join(image.digest for image in request.images)
    parts = (str(request.sampling.sample_index), images, request.text or "", request.prompt)
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:4])
