"""Recently used row groups of store parts, in memory."""

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from .parts import read_group


class GroupCache:
    """Row groups as Arrow tables, up to a number of bytes; thread-safe. Parts never change."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._num_bytes = 0
        self._tables: OrderedDict[tuple[Path, int], Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, part: Path, group: int) -> Any:
        """A row group, read when it is not in memory; raises as `parts.read_group` does."""
        with self._lock:
            if (part, group) in self._tables:
                self._tables.move_to_end((part, group))
                return self._tables[part, group]
        table = read_group(part, group)
        self.keep(part, group, table)
        return table

    def keep(self, part: Path, group: int, table: Any) -> None:
        """Holds a row group until others need its room."""
        with self._lock:
            if (part, group) in self._tables:
                return
            self._tables[part, group] = table
            self._num_bytes += table.nbytes
            while self._num_bytes > self._max_bytes:
                _, dropped = self._tables.popitem(last=False)
                self._num_bytes -= dropped.nbytes
