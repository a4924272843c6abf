"""How large a dataset is, file by file, and what a share of it reads.

Of Parquet nothing but footers is read for it, of other tables no image. A share reads the row
groups that are its own; a table that is no Parquet is read from its start, but its images are not.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ..dataset_files import dataset_files, footer_digest, group_rows, opened_dataset_file
from ..shards import Shard
from ..sources.base import TableRow, TableSource
from ..sources.folders import InFolder
from ..sources.parquet_files import ParquetSource, PartsSource

WHOLE = ""
"""Name of the only file of what is one file, or no Parquet."""


class Part(BaseModel):
    """A file of a dataset. name: its path below the folder. groups: rows of its row groups.

    digest: other contents have another.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    groups: tuple[int, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class Cut:
    """Contiguous rows, from 0, of one file of a dataset."""

    name: str
    rows: range


class Extent(BaseModel):
    """The files of a dataset in order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parts: tuple[Part, ...]

    @property
    def num_rows(self) -> int:
        return sum(sum(part.groups) for part in self.parts)

    @property
    def digest(self) -> str:
        """sha256 of all of it."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def share(self, shard: Shard) -> list[Cut]:
        """What a share reads, in order."""
        rows = shard.rows([group for part in self.parts for group in part.groups])
        starts = accumulate((sum(part.groups) for part in self.parts), initial=0)
        return [
            Cut(part.name, range(max(rows.start, start) - start, min(rows.stop, stop) - start))
            for part, (start, stop) in zip(self.parts, pairwise(starts), strict=True)
            if max(rows.start, start) < min(rows.stop, stop)
        ]


def dataset_extent(path: Path) -> Extent:
    """Of a dataset file or a folder of them. Raises DataError for a file that is none."""
    parts: list[Part] = []
    for file in dataset_files(path):
        with opened_dataset_file(file) as opened:
            groups = group_rows(opened.metadata)
        name = WHOLE if file == path else file.relative_to(path).as_posix()
        parts.append(Part(name=name, groups=groups, digest=footer_digest(file)))
    return Extent(parts=tuple(parts))


def table_extent(source: TableSource, columns: Sequence[str]) -> Extent:
    """Of a table, as far as these columns tell."""
    files = _parquet_files(source)
    if files:
        parts = tuple(
            Part(name=name, groups=file.group_rows(), digest=file.digest())
            for name, file in files.items()
        )
        return Extent(parts=parts)
    digest, num_rows = hashlib.sha256(), 0
    for row in source.rows(columns):
        digest.update(repr(sorted(row.values.items())).encode())
        num_rows += 1
    return Extent(parts=(Part(name=WHOLE, groups=(num_rows,), digest=digest.hexdigest()),))


def rows_of_cut(source: TableSource, columns: Sequence[str], cut: Cut) -> Iterator[TableRow]:
    """The rows of a table that lie in a cut of its `table_extent`."""
    inner = _inner(source)
    if isinstance(inner, PartsSource):
        return inner.rows_within(cut.name, columns, cut.rows)
    if isinstance(inner, ParquetSource):
        return inner.rows_within(columns, cut.rows)
    return islice(source.rows(columns), cut.rows.start, cut.rows.stop)


def _inner(source: TableSource) -> TableSource:
    """The table itself, without what else lies in its folder."""
    return source.table if isinstance(source, InFolder) else source


def _parquet_files(source: TableSource) -> dict[str, ParquetSource]:
    inner = _inner(source)
    if isinstance(inner, PartsSource):
        return inner.files()
    return {WHOLE: inner} if isinstance(inner, ParquetSource) else {}
