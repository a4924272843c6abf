"""Shards: a dataset divided among jobs that know nothing of one another."""

import hashlib
import re
from dataclasses import dataclass

from .errors import DataError


@dataclass(frozen=True, slots=True)
class Shard:
    """Share number `index`, from 1 to `count`, of the examples of a dataset.

    An example's shard follows from its id alone: each is in exactly one, whatever the order of
    the rows and whatever other examples there are.
    """

    index: int = 1
    count: int = 1

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def holds(self, example_id: str) -> bool:
        return shard_of(example_id, self.count) == self.index


def shard_of(example_id: str, count: int) -> int:
    """Which of `count` shards holds an example, from 1."""
    digest = hashlib.sha256(example_id.encode()).digest()
    return int.from_bytes(digest[:8], "big") % count + 1


def parse_shard(text: str) -> Shard:
    """ "2/4", the second of four. Raises DataError for anything else."""
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    shard = Shard(int(match[1]), int(match[2])) if match else None
    if shard is None or not 1 <= shard.index <= shard.count:
        raise DataError(
            f"--shard {text}: expected which of how many, counted from 1, such as 1/4 to 4/4"
        )
    return shard
