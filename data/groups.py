"""Rows that must not be parted, from the things that they share."""

from collections.abc import Sequence


def connected_groups(keys: Sequence[Sequence[str]]) -> list[str]:
    """The group of each row; rows are in one group if a chain of shared keys connects them.

    keys: of each row, at least one. A group is named after its first key in sorted order.
    """
    parents: dict[str, str] = {}

    def root(key: str) -> str:
        parents.setdefault(key, key)
        while parents[key] != key:
            parents[key] = parents[parents[key]]
            key = parents[key]
        return key

    for first, *others in keys:
        for other in others:
            # The smaller name stays on top, whatever the order of rows.
            low, high = sorted((root(first), root(other)))
            parents[high] = low
    return [root(first) for first, *_ in keys]
