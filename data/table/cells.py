"""Image cells: a path in one of many spellings, a URL, base64, or the bytes themselves."""

import base64
import binascii
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import cast
from urllib.parse import quote, unquote, unquote_to_bytes, urljoin

from ..errors import DataError
from ..file_names import FileNames, Key, caseless, composed
from ..image_files import MAX_IMAGE_BYTES, NO_FILE, WAYS_TO_FILE, image_path, read_image_file
from ..images import is_image_start
from ..redaction import public_address
from ..remote import address, is_web
from ..shown import shortened
from ..sources.base import IMAGE_SUFFIXES
from .downloads import Downloads

_OUTSIDE = (
    "name the folder that holds the images with --image-root, or pass --allow-outside if you trust "
    "the table"
)
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+)://")
_BASE64 = re.compile(r"[A-Za-z0-9+/_=\s-]+")
_FEWEST_BASE64 = 64
"""Characters: an image of fewer bytes is none, and a shorter text may be a name."""
_STEP = re.compile(r"\?d=|[/\\]+")
"""Where a path may be cut: Label Studio writes local files as `/data/local-files/?d=PATH`."""
_FORMS = (
    (composed, "another Unicode form of the name"),
    (caseless, "another case of the name"),
)
"""In what a name may differ from that of a file, where one file alone is called alike."""
_WRITTEN = "%/:?#[]@!$&'()*+,;=~"
"""Characters that an address has as they are."""
_IMAGE_KEYS = ("bytes", "path", "url", "src")
"""Of an object in place of an image, the first that has a value."""


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An encoded image.

    name: its path or public address, None where it has none. how: it was read, if not as a file of
    just the name in the cell.
    """

    data: bytes
    name: str | None = None
    how: str = ""


@dataclass(frozen=True)
class ImageReader:
    """Reads image cells of a source, or of several that are read as one.

    image_root: what paths start from, the row's folder if None. prefix: what paths begin with in
    place of it. downloads: where URLs lead, None to refuse them. more: the sources after the first.
    more_roots: folders that paths may start from in place of image_root.
    """

    source: Path
    image_root: Path | None = None
    prefix: str = ""
    allow_outside: bool = False
    downloads: Downloads | None = None
    more: Sequence[Path] = ()
    more_roots: Sequence[Path] = ()

    def read(self, cell: object, folder: Path, role: str) -> FoundImage:
        """The image in a cell of a row in `folder`; raises DataError when there is none."""
        cell = unwrapped(cell)
        if isinstance(cell, bytes):
            return FoundImage(cell)
        if isinstance(cell, list) and cell:
            count = len(cast("list[object]", cell))
            raise DataError(f"holds {count} images in one cell: write a row for each")
        if not isinstance(cell, str) or not cell.strip():
            raise DataError(f"has no {role}: fill it in or drop the row", cause=f"no {role}")
        return self._of_text(cell.strip(), folder, role)

    def shown(self, cell: object, role: str) -> str:
        """What messages call the image in a cell: by its path or address as it is written."""
        text = unwrapped(cell)
        if not isinstance(text, str):
            return role
        name = text.strip() if _SCHEME.match(text.strip()) else _slashed(text.strip())
        return f"{role} {shortened(public_address(name))}"

    def web_address(self, cell: object, folder: Path) -> str | None:
        """Where a cell of a row in `folder` leads on a server, keys and all; None for any other."""
        text = unwrapped(cell)
        if not isinstance(text, str) or not text.strip():
            return None
        text = text.strip()
        if text.lower().startswith(("http://", "https://")):
            return text
        return _on_page(text, folder) if is_web(folder) else None

    def _of_text(self, text: str, folder: Path, role: str) -> FoundImage:
        if text[:5].lower() == "data:":
            return FoundImage(_data_uri(text, role), how="data URI")
        has_prefix = bool(self.prefix) and text.startswith(self.prefix)
        if not has_prefix and (scheme := _SCHEME.match(text)):
            if scheme[1].lower() == "file":
                return self._of_path(unquote(text[len("file://") :]), folder, role)
            return self._remote(text, scheme[1].lower(), role)
        content = _base64_image(text)
        if content is not None:
            return FoundImage(content, how="base64")
        return self._of_path(text, folder, role)

    def _remote(self, url: str, scheme: str, role: str) -> FoundImage:
        name = public_address(url)
        if scheme not in {"http", "https"}:
            raise DataError(
                f"{role} {shortened(name)}: is an address of {scheme}: copy the images to this "
                "machine first, and name their folder with --image-root and what they begin with "
                "in the table with --image-prefix"
            )
        if self.downloads is None:
            raise DataError(
                f"{role} {shortened(name)}: is a URL: download the images first, or pass "
                "--download",
                cause="an image behind a URL",
            )
        return FoundImage(self.downloads.read(url), name, "URL")

    def _of_path(self, text: str, folder: Path, role: str) -> FoundImage:
        if self.image_root is None and is_web(folder):
            url = _on_page(text, folder)
            return self._remote(url, url.partition(":")[0], role)
        start = self._start(text, role)
        root = start or self._root(folder)
        base = start or folder
        shown = self.shown(text, role)
        found = self._found_below(base, text) or self._alike_below(base, text, root, shown)
        name, how = found or (_slashed(next(self._candidates(text))[0]), "")
        path = image_path(
            root,
            os.path.abspath(base / name),
            _OUTSIDE,
            allow_outside=self.allow_outside,
            shown=shown,
        )
        data = read_image_file(path, shown=shown, ways=_ways(base, name))
        below = path.relative_to(os.path.abspath(root)) if _is_in(path, root) else path
        full = self._root_names.get(os.path.abspath(root), PurePosixPath()) / below
        return FoundImage(data, full.as_posix(), how)

    def _start(self, text: str, role: str) -> Path | None:
        """The folder that a path starts from: of several the one that has such a file."""
        if self.image_root is None or not self.more_roots:
            return self.image_root
        roots = (self.image_root, *self.more_roots)
        shown = self.shown(text, role)
        found = {root: self._found_below(root, text) for root in roots}
        if not any(found.values()):
            found = {root: self._alike_below(root, text, root, shown) for root in roots}
        files = {root: os.path.realpath(root / one[0]) for root, one in found.items() if one}
        if len({*files.values()}) > 1:
            raise DataError(
                f"{shown}: is in {' and in '.join(map(str, files))}: rename one of them, or put "
                "what tells them apart into the paths of the tables"
            )
        if not files:
            raise DataError(
                f"{shown}: in none of {', '.join(map(str, roots))}: no such file",
                "correct the path, name the folder that it starts from with one more --image-root, "
                "or drop the row",
                cause=NO_FILE,
            )
        return next(iter(files))

    def _found_below(self, folder: Path, text: str) -> tuple[str, str] | None:
        """The first name that a path could mean which a file has, with what was done to it."""
        found = self._candidates(text)
        return next((one for one in found if _is_file(folder / one[0])), None)

    def _alike_below(
        self, folder: Path, text: str, root: Path, shown: str
    ) -> tuple[str, str] | None:
        """The file whose name differs from one that a path could mean in form alone, with what was
        done to it; nothing outside `root` is looked at. Raises DataError for several such files.
        """
        for key, form in _FORMS:
            for name, how in self._candidates(text):
                found = self._alike(folder, name, root, key)
                if len(found) > 1:
                    raise DataError(
                        f"{shown}: no such file, and {len(found)} whose names differ in case alone "
                        f"({shortened(', '.join(found))}): write the name of the one that is meant",
                        cause=NO_FILE,
                    )
                if found:
                    return found[0], f"{how}, {form}" if how else form
        return None

    def _alike(self, folder: Path, name: str, root: Path, key: Key) -> list[str]:
        path, top = os.path.abspath(folder / name), os.path.abspath(root)
        if not Path(path).is_relative_to(top):
            if not self.allow_outside:
                return []
            top = os.path.abspath(os.sep)
        wanted = PurePosixPath(os.path.relpath(path, top))
        found = self._names.alike(Path(top), wanted, key)
        return [os.path.relpath(os.path.join(top, one), folder) for one in found]

    @cached_property
    def _names(self) -> FileNames:
        return FileNames()

    def _root(self, folder: Path) -> Path:
        """The source that is a folder and has the row's folder in it, or the row's folder."""
        path = Path(os.path.abspath(folder))
        return next((source for source in self._folders if _is_in(path, source)), folder)

    @cached_property
    def _folders(self) -> list[Path]:
        return [source for source in (self.source, *self.more) if source.is_dir()]

    @cached_property
    def _root_names(self) -> Mapping[str, PurePosixPath]:
        """What names of images begin with by the folder that they are in, where there are several
        and one is a source: the folder's name, and as much above it as tells it from the others.
        """
        if self.image_root is not None or not self._folders:
            return {}
        sources = (self.source, *self.more)
        folders = [source if source.is_dir() else self._root(source.parent) for source in sources]
        return distinct_names([os.path.abspath(folder) for folder in folders])

    def _candidates(self, text: str) -> Iterator[tuple[str, str]]:
        """Names that a path could mean, with what was done to it, the plainest first."""
        cut = text.startswith(self.prefix) and self.prefix
        text, start = (text[len(self.prefix) :], "path prefix replaced") if cut else (text, "")
        slashes = _slashed(text)
        yield text, start
        yield slashes, start or "backslashes read as slashes"
        yield unquote(text), start or "percent-encoding undone"
        yield unquote(slashes), start or "percent-encoding undone"
        if PurePosixPath(slashes).suffix.lower() not in IMAGE_SUFFIXES:
            yield from ((slashes + suffix, "suffix added") for suffix in sorted(IMAGE_SUFFIXES))


def unwrapped(cell: object) -> object:
    """The bytes, path or URL of an object, and the element of a list of one."""
    cells = cast("list[object]", cell) if isinstance(cell, list) else [cell]
    found = cells[0] if len(cells) == 1 else cells
    if isinstance(found, dict):
        embedded = cast("dict[str, object]", found)
        found = next((embedded[key] for key in _IMAGE_KEYS if embedded.get(key)), None)
    # Names that are numbers lose their quotes in JSON and spreadsheets.
    return str(found) if type(found) is int else found


def distinct_names(folders: Iterable[str]) -> dict[str, PurePosixPath]:
    """The shortest ends of absolute paths that tell all of them apart; empty for a single path.

    Below the folder that holds all of them, so that it makes no difference where that is. No name
    is the beginning of another, unless a folder is within another.
    """
    paths = {*folders}
    if len(paths) < 2:
        return {}
    common = os.path.commonpath([os.path.dirname(path) for path in paths])
    below = {path: PurePosixPath(os.path.relpath(path, common)).parts for path in paths}
    ends = [
        {path: PurePosixPath(*parts[-depth:]) for path, parts in below.items()}
        for depth in range(1, max(map(len, below.values())) + 1)
    ]
    return next(filter(_are_apart, ends), ends[-1])


def _are_apart(names: Mapping[str, PurePosixPath]) -> bool:
    found = {*names.values()}
    return len(found) == len(names) and all(found.isdisjoint(name.parents) for name in found)


def common_prefix(cells: Iterable[object], root: Path) -> str | None:
    """What has to be cut off the first path of an image that is then one of a file below `root`.

    "" if nothing has to; the least that suffices; None if no rest of any is one. Names in another
    form or case count where no other does.
    """
    paths = [path for cell in cells if (path := _path_of(cell))]
    names = FileNames()
    for key in (None, composed, caseless):
        for path in paths:
            for cut in (0, *(step.end() for step in _STEP.finditer(path))):
                if _is_below(path[cut:], root, names, key):
                    return path[:cut]
    return None


def _path_of(cell: object) -> str:
    """The text of a cell that can be a path; empty for any other."""
    text = unwrapped(cell)
    is_path = isinstance(text, str) and len(text) <= 4096 and text[:5].lower() != "data:"
    return text.strip() if isinstance(text, str) and is_path else ""


def _is_below(name: str, root: Path, names: FileNames, key: Key | None) -> bool:
    """Whether a name is that of a file below a folder, or alike to that of just one."""
    for path in (name, unquote(_slashed(name))):
        if path and not os.path.isabs(path):
            alike = names.alike(root, PurePosixPath(path), key) if key else []
            if _is_file(root / path) or len(alike) == 1:
                return True
    return False


def _ways(folder: Path, name: str) -> str:
    """What to do about a file that is missed in a folder."""
    looked = "" if os.path.isabs(name) else f"looked for in {os.path.abspath(folder)}: "
    return f"{looked}{WAYS_TO_FILE}"


def _slashed(path: str) -> str:
    """A path of Windows as other systems write it."""
    return path.replace("\\", "/")


def _on_page(text: str, folder: Path) -> str:
    """The address of a name on an index page, as the page has it, so that an image has one."""
    return urljoin(f"{address(folder)}/", quote(text, safe=_WRITTEN))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _is_in(path: Path, folder: Path) -> bool:
    return path.is_relative_to(os.path.abspath(folder))


def _data_uri(text: str, role: str) -> bytes:
    head, comma, content = text.partition(",")
    try:
        if not comma:
            raise ValueError("no comma")
        if head.lower().endswith(";base64"):
            return _decoded(unquote(content))
        return unquote_to_bytes(content)
    except ValueError as error:
        raise DataError(
            f"{role} {shortened(text)}: not a whole data URI ({error}): correct it, or drop the row"
        ) from error


def _base64_image(text: str) -> bytes | None:
    """The image that a text holds in base64, None for a text of another kind."""
    if len(text) < _FEWEST_BASE64:
        return None
    try:
        if not is_image_start(base64.b64decode(text[:32].translate(_URL_SAFE))):
            return None
        return _decoded(text) if _BASE64.fullmatch(text) else None
    except ValueError:
        return None


_URL_SAFE = str.maketrans("-_", "+/")


def _decoded(text: str) -> bytes:
    """Base64, of URLs too, with or without its padding."""
    if len(text) > MAX_IMAGE_BYTES:
        raise ValueError(f"{len(text):,} characters")
    bare = re.sub(r"\s", "", text).rstrip("=").translate(_URL_SAFE)
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
