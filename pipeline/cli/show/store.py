"""What the `blpo store` commands print."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from ....data.store.store import Compaction, ReplyStore, Verification, told_errors
from .printing import print_json, print_line, stdout_console


def show_store_stats(store: Path, *, as_json: bool) -> None:
    """Totals by collection; JSON has every partition."""
    stats = ReplyStore(store).stats()
    if as_json:
        print_json([asdict(partition) for partition in stats])
        return
    table = Table("collection")
    for name in ("partitions", "rows", "replies", "parts", "MB"):
        table.add_column(name, justify="right")
    for collection in dict.fromkeys(partition.collection for partition in stats):
        partitions = [p for p in stats if p.collection == collection]
        table.add_row(
            collection,
            f"{len(partitions):,}",
            f"{sum(p.num_rows for p in partitions):,}",
            f"{sum(p.num_keys for p in partitions):,}",
            f"{sum(p.num_parts for p in partitions):,}",
            f"{sum(p.num_bytes for p in partitions) / 1e6:,.1f}",
        )
    stdout_console().print(table)
    errors = told_errors(stats)
    if errors:
        print_line(f"requests that have an error and no reply: {errors}")


def show_store_verify(store: Path, *, quarantine: bool, as_json: bool) -> bool:
    """Read every part; whether none that is damaged stays in the store."""
    replies = ReplyStore(store)
    found = replies.verify()
    moved = replies.quarantine(found.damaged) if quarantine else []
    replies.remove_leftovers(found.leftovers)
    if as_json:
        print_json(_verification_json(found, moved))
    else:
        _print_verification(found, moved)
    return len(moved) == len(found.damaged)


def _verification_json(found: Verification, moved: Sequence[Path]) -> dict[str, Any]:
    return {
        "parts": found.num_parts,
        "waiting": found.num_waiting,
        "damaged": [{"part": str(part.path), "reason": part.reason} for part in found.damaged],
        "quarantined": [str(path) for path in moved],
        "leftovers_removed": [str(path) for path in found.leftovers],
    }


def _print_verification(found: Verification, moved: Sequence[Path]) -> None:
    for part in found.damaged:
        print_line(f"damaged: {part.path}: {part.reason}")
    for path in moved:
        print_line(f"moved to {path}")
    for path in found.leftovers:
        print_line(f"removed {path}, left by a writer that was killed")
    print_line(f"{found.num_parts:,} parts read, {len(found.damaged):,} damaged")
    if found.num_waiting:
        print_line(
            f"{found.num_waiting:,} replies of killed runs wait in journals: the next run, "
            "or `blpo store compact`, takes them up"
        )
    if len(moved) < len(found.damaged):
        print_line(
            "`blpo store verify --quarantine` moves them aside; what they held is asked again"
        )


def show_store_forget(store: Path, *, as_json: bool) -> None:
    forgotten = ReplyStore(store).forget_errors()
    if as_json:
        print_json({"forgotten": forgotten})
    else:
        print_line(f"{forgotten:,} errors forgotten: the next run asks again what they were about")


def show_store_compact(done: Sequence[Compaction], *, as_json: bool) -> None:
    if as_json:
        print_json([asdict(partition) for partition in done])
        return
    for part in done:
        where = f"{part.collection}/{part.partition}"
        print_line(f"{where}: {part.parts_before:,} -> {part.parts_after:,} parts")
    print_line(f"{len(done):,} partitions compacted")
