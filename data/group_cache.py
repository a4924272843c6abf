"""Recently used row groups of store parts, in memory."""

import threading
from collections import OrderedDict
from pathlib import Path

from .parts import read_group
from .row_group import RowGroup


class GroupCache:
    """Row groups, up to a number of bytes; thread-safe. Parts never change."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._num_bytes = 0
        self._groups: OrderedDict[tuple[Path, int], RowGroup] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, part: Path, index: int) -> RowGroup:
        """A row group, read when it is not in memory; raises as `parts.read_group` does."""
        with self._lock:
            if (part, index) in self._groups:
                self._groups.move_to_end((part, index))
                return self._groups[part, index]
        group = read_group(part, index)
        self._keep(part, index, group)
        return group

    def _keep(self, part: Path, index: int, group: RowGroup) -> None:
        """Holds a row group until others need its room."""
        with self._lock:
            if (part, index) in self._groups:
                return
            self._groups[part, index] = group
            self._num_bytes += group.num_bytes
            while self._num_bytes > self._max_bytes:
                _, dropped = self._groups.popitem(last=False)
                self._num_bytes -= dropped.num_bytes
