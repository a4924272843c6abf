"""Paths under which nothing is: told with the path that may be meant."""

from pathlib import Path

from .near_words import near_words


def no_such(path: Path, what: str = "file or folder") -> str:
    """ "PATH: no such WHAT", with the nearest path that there is. Only of paths of this machine."""
    return f"{path}: no such {what}{did_you_mean(path)}"


def did_you_mean(path: Path) -> str:
    """ "; did you mean X?" of the nearest path that there is; empty if none is near."""
    try:
        near = _nearest(path)
    except (OSError, ValueError):
        return ""
    return "" if near is None else f"; did you mean {near}?"


def _nearest(path: Path) -> Path | None:
    if path.exists():
        return path
    folder = None if path.parent == path else _nearest(path.parent)
    if folder is None or not folder.is_dir():
        return None
    near = near_words(path.name, sorted(one.name for one in folder.iterdir()))
    return folder / near[0] if near else None
