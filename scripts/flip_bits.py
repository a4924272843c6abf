"""Flips bits of parts and journals of a reply store, one at a time, and reads each as it then is.

    .venv/bin/python scripts/flip_bits.py                 # every bit: an hour
    .venv/bin/python scripts/flip_bits.py --every 101
    .venv/bin/python scripts/flip_bits.py store/verdicts/judge=*/part-00000001.parquet

Whatever bit flips, `get`, `stats` and a reading of all columns give the rows as they are, or raise
StoreError, and `verify` has then found the file. Exit code 1 if not; when a flip ends this process,
the file is left in the temporary folder that was printed. Without a PART: one of format 1 (the
tests' fixture), one of today's format with the same rows, one of two blocks, and a journal.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from blpo.data.arrow import pa
from blpo.data.errors import StoreError
from blpo.data.store.part_reader import read_tables
from blpo.data.store.replies import SCHEMA, ReplyRow, StoredReply
from blpo.data.store.store import ReplyStore
from msgspec.structs import replace

FORMAT_1 = Path(__file__).parents[1] / "tests" / "fixtures" / "store-format-1"
PARTITION = "0123456789abcdef"
JOURNAL = "journal"
SAME, NAMED, WRONG = "same rows", "named", "WRONG"


@dataclass(frozen=True, slots=True)
class Read:
    """What is read of a part."""

    replies: dict[str, StoredReply]
    num_rows: int
    table: Any


class Victim:
    """A store of one part, which can be damaged."""

    def __init__(self, root: Path, content: bytes) -> None:
        self.root = root
        self._content = content
        self._part = root / "verdicts" / f"judge={PARTITION}" / "part-00000001.parquet"
        self._part.parent.mkdir(parents=True)
        self._part.write_bytes(content)
        self._keys: list[str] = self._table()["key"].to_pylist()
        self._whole = self._read()

    def outcome(self, bit: int) -> str:
        """What becomes of reading the part with one bit flipped."""
        self._part.write_bytes(flipped(self._content, bit))
        try:
            damaged = ReplyStore(self.root).verify().damaged
            found = self._read_or_refuse()
        except Exception as error:
            return f"{WRONG}: {error!r}"
        if found is None:
            return NAMED if damaged else f"{WRONG}: verify finds nothing"
        return SAME if found == self._whole else f"{WRONG}: other rows"

    def _read_or_refuse(self) -> Read | None:
        try:
            return self._read()
        except StoreError:
            return None

    def _read(self) -> Read:
        store = ReplyStore(self.root)
        replies = store.get("verdicts", PARTITION, self._keys)
        return Read(replies, sum(p.num_rows for p in store.stats()), self._table())

    def _table(self) -> Any:
        return pa.concat_tables(read_tables(self._part, SCHEMA))


class Journaled:
    """A store of one journal, which can be damaged: it is never taken up."""

    def __init__(self, root: Path, content: bytes) -> None:
        self.root = root
        self._content = content
        self._journal = root / "journals" / "1-0123456789abcdef.journal"
        self._journal.parent.mkdir(parents=True)

    def outcome(self, bit: int) -> str:
        """What becomes of reading the journal with one bit flipped."""
        self._journal.write_bytes(flipped(self._content, bit))
        try:
            damaged = ReplyStore(self.root).verify().damaged
            is_refused = self._is_refused()
        except Exception as error:
            return f"{WRONG}: {error!r}"
        if not is_refused:
            return f"{WRONG}: it was taken up"
        return NAMED if damaged else f"{WRONG}: verify finds nothing"

    def _is_refused(self) -> bool:
        try:
            ReplyStore(self.root).get("verdicts", PARTITION, ["f" * 64])
        except StoreError:
            return True
        return False


def flipped(content: bytes, bit: int) -> bytearray:
    data = bytearray(content)
    data[bit // 8] ^= 1 << bit % 8
    return data


def verdicts() -> list[ReplyRow]:
    """The verdicts that are in the fixture of format 1."""
    puts: list[dict[str, Any]] = json.loads((FORMAT_1 / "puts.json").read_text())
    return [
        row
        for put in puts[:3]
        for row in msgspec.convert(put["rows"], list[ReplyRow])
        if put["partition"] == PARTITION
    ]


def content_of(root: Path, rows: list[ReplyRow]) -> bytes:
    """The bytes of a new part with these rows."""
    ReplyStore(root).put("verdicts", PARTITION, rows)
    (part,) = root.rglob("part-*.parquet")
    return part.read_bytes()


def content_of_journal(root: Path, rows: list[ReplyRow]) -> bytes:
    """The bytes of a new journal with these rows, in two records."""
    with ReplyStore(root).journal() as journal:
        for half in (rows[::2], rows[1::2]):
            journal.append("verdicts", {PARTITION: half})
    (path,) = root.rglob("*.journal")
    return path.read_bytes()


def default_parts(root: Path) -> dict[str, bytes]:
    (format_1,) = FORMAT_1.rglob("part-00000001-00000003.parquet")
    long = [replace(row, text=f"{row.key} {n} " * 120) for n, row in enumerate(verdicts())]
    return {
        "format 1": format_1.read_bytes(),
        "today's format": content_of(root / "small", verdicts()),
        "two blocks": content_of(root / "large", long),
        JOURNAL: content_of_journal(root / "journaled", verdicts()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", type=Path, metavar="PART")
    parser.add_argument("--every", type=int, default=1, help="flip every N-th bit")
    args = parser.parse_args()
    found: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory(prefix="flip-bits-") as folder:
        print(f"in {folder}", flush=True)
        root = Path(folder)
        parts = {str(path): path.read_bytes() for path in args.parts} or default_parts(root)
        for number, (name, content) in enumerate(parts.items()):
            victim = (Journaled if name == JOURNAL else Victim)(root / f"{number}", content)
            found[name] = Counter(map(victim.outcome, range(0, 8 * len(content), args.every)))
            print(f"{name}: {dict(found[name])}", flush=True)
    print(json.dumps(found))
    sys.exit(any(outcome.startswith(WRONG) for counts in found.values() for outcome in counts))


if __name__ == "__main__":
    main()
