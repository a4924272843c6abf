"""The conformance table as Markdown."""

from collections.abc import Mapping, Sequence

from .checks import Cell

_MAX_NOTE = 300
_SHOWN = {"ok": "ok", "n/a": "n/a", "deviation": "deviates", "WRONG": "**WRONG**"}

Rows = Mapping[tuple[str, str], Mapping[str, Cell]]
"""By family and engine, then by check."""


def markdown(rows: Rows, checks: Sequence[str]) -> str:
    """A table of cells, then a list of what stands behind those that are not ok."""
    head = ["family", "engine", *checks]
    lines = [_line(head), _line(["---"] * len(head))]
    notes: list[str] = []
    for (family, engine), cells in rows.items():
        shown = [_cell(cells[check], family, engine, check, notes) for check in checks]
        lines.append(_line([family, engine, *shown]))
    listed = [f"{i}. {note}" for i, note in enumerate(notes, 1)]
    return "\n".join([*lines, "", *listed]).rstrip() + "\n"


def is_wrong(rows: Rows) -> bool:
    return any(cell.status == "WRONG" for cells in rows.values() for cell in cells.values())


def _cell(cell: Cell, family: str, engine: str, check: str, notes: list[str]) -> str:
    """notes: grows by what stands behind the cell, unless it is there."""
    shown = _SHOWN[cell.status]
    if cell.status == "ok":
        return f"{shown} ({cell.note})" if cell.note else shown
    subjects = {"n/a": "", "deviation": f"{family}, {engine}: "}
    note = subjects.get(cell.status, f"{family}, {engine}, {check}: ") + _short(cell.note)
    if note not in notes:
        notes.append(note)
    return f"{shown} ({notes.index(note) + 1})"


def _short(note: str) -> str:
    line = " ".join(note.split()).replace("|", "\\|")
    return line if len(line) <= _MAX_NOTE else f"{line[:_MAX_NOTE]} ..."


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
