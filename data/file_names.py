"""Files by names that other systems write otherwise: in another Unicode form, in another case."""

import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

Key = Callable[[str], str]
"""What names have in common that are taken for one."""


def composed(name: str) -> str:
    """The same in both Unicode forms: macOS decomposes the umlauts of names, others do not."""
    return unicodedata.normalize("NFC", name)


def caseless(name: str) -> str:
    """The same in upper and lower case, and in both Unicode forms."""
    return composed(composed(name).casefold())


class FileNames:
    """What lies in folders; each is listed once. May be asked from several threads."""

    def __init__(self) -> None:
        self._names: dict[tuple[Path, Key], dict[str, list[str]]] = {}

    def alike(self, folder: Path, path: PurePosixPath, key: Key) -> list[PurePosixPath]:
        """The files below `folder` whose paths are those with `path`'s keys, sorted."""
        found = [PurePosixPath()]
        for part in path.parts:
            found = [at / name for at in found for name in self._alike(folder / at, part, key)]
        return sorted(one for one in found if (folder / one).is_file())

    def _alike(self, folder: Path, name: str, key: Key) -> Sequence[str]:
        names = self._names.get((folder, key))
        if names is None:
            names = self._names[folder, key] = _by_key(folder, key)
        return names.get(key(name), ())


def _by_key(folder: Path, key: Key) -> dict[str, list[str]]:
    """Names in a folder; none in what is no folder that can be listed."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    try:
        names = os.listdir(folder)
    except (OSError, ValueError):
        names = []
    for name in names:
        found[key(name)].append(name)
    return dict(found)
