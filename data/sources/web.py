"""Images behind web addresses: index pages as servers make them of folders, and lists."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import httpx

from ..arrow import atomic_path
from ..errors import DataError
from ..left_out import LeftOut
from ..redaction import public_address
from ..remote import address
from ..web import Page, RefusedError, Wanted, fetched
from .base import IMAGE_SUFFIXES, Around, TableRow, TableSource
from .files import ARCHIVES, TABLE_SUFFIXES, TARS, TEXT_LISTS, open_file
from .listing import is_system_name, unread

MAX_FOLDERS = 10_000
_LIST = Wanted("list", 64 * 2**20, "check the address", "divide it, or download it first")
_WEB = ("http://", "https://")
_LISTS = (*TABLE_SUFFIXES, *TEXT_LISTS)
_WHOLE = (".parquet", ".arrow", *TARS, *ARCHIVES, *IMAGE_SUFFIXES)
"""Suffixes of what is no list of images; it is not fetched to find that out."""


def open_web(path: Path, folder: Path, client: httpx.Client) -> TableSource:
    """The images that an index page links to, or that a list names.

    folder: where lists are kept. Raises DataError for an address that is neither.
    """
    url = address(path)
    if _suffix(url) in _WHOLE:
        raise DataError(f"{url}: no list of images: download it first, and give the file")
    page = _page(url, client)
    if not _is_list(page):
        return _crawled(page, client)
    suffix = _suffix(page.url) if _suffix(page.url) in _LISTS else TEXT_LISTS[0]
    kept = folder / "lists" / f"{hashlib.sha256(page.content).hexdigest()}{suffix}"
    with atomic_path(kept) as temporary:
        temporary.write_bytes(page.content)
    return WebList(open_file(kept), Path(urljoin(page.url, ".")))


def _page(url: str, client: httpx.Client) -> Page:
    """What lies at an address, which as a path has lost the slash that a folder has at its end."""
    if not _suffix(url) and "?" not in url:
        try:
            return fetched(client, f"{url}/", _LIST)
        except RefusedError:
            pass
    return fetched(client, url, _LIST)


@dataclass(frozen=True)
class WebList(Around):
    """A table whose image paths start from an address, `base`."""

    base: Path

    @property
    def layout(self) -> str:
        return f"{self.table.layout}, of the web"

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:
        for row in self.table.rows(columns):
            yield replace(row, folder=self.base)


@dataclass(frozen=True)
class IndexPages:
    """The images that an index page and those of the folders below it link to, by address."""

    base: Path
    images: Sequence[str]
    others: LeftOut
    layout = "a folder of images on a server"

    def left_out(self) -> LeftOut:
        return self.others

    def columns(self) -> list[str]:
        return ["image"]

    def image_columns(self) -> list[str]:
        return ["image"]

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:  # noqa: ARG002
        for url in self.images:
            yield TableRow(public_address(url), {"image": url}, self.base)


@dataclass
class _Links(HTMLParser):
    """The targets of a page's links, as they are written."""

    found: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def _crawled(page: Page, client: httpx.Client) -> IndexPages:
    """Everything below the folder of a page; links that lead out of it are not followed."""
    root = _folder(page)
    images, left_out = set[str](), LeftOut()
    known, folders = {root}, [root]
    for folder in folders:
        if len(folders) > MAX_FOLDERS:
            raise DataError(f"{root}: more than {MAX_FOLDERS:,} folders: judge them one by one")
        at = page if folder == root else fetched(client, folder, _LIST)
        for link in sorted(_links(at) - known):
            known.add(link)
            if root.startswith(link):
                continue  # The folders above are on every index page.
            if reason := _why_left_out(link, root):
                left_out.skip(reason, public_address(link))
            elif _suffix(link):
                images.add(link)
            else:
                folders.append(link)
    if not images:
        raise DataError(
            f"{page.url}: links to no images below it: give the index page of a folder, as Apache "
            "and nginx make it, or a text file with an address per line"
        )
    return IndexPages(Path(root), sorted(images), left_out)


def _why_left_out(link: str, root: str) -> str:
    """Why a link is none to an image or folder below the root; empty if it is one."""
    path = link.partition("?")[0]
    if not link.startswith(root):
        return "link that leads elsewhere"
    if any(map(is_system_name, unquote(path.removeprefix(root)).split("/"))):
        return "hidden or system file"
    is_wanted = path.endswith("/") or _suffix(link) in IMAGE_SUFFIXES
    return "" if is_wanted else unread(_suffix(link))


def _links(page: Page) -> set[str]:
    """Web addresses that a page links to, without the ways to sort it that servers offer."""
    links = _Links()
    links.feed(page.content.decode("utf-8", "replace"))
    found = {urldefrag(urljoin(_folder(page), target)).url for target in links.found}
    return {url for url in found if url.startswith(_WEB) and not _is_sorting(url)}


def _is_sorting(url: str) -> bool:
    """Whether it is a folder in another order: `?C=N;O=D` of Apache."""
    return "?" in url and url.partition("?")[0].endswith("/")


def _folder(page: Page) -> str:
    """What the links of a page start from. A page without a suffix is a folder."""
    return urljoin(page.url if _suffix(page.url) else f"{page.url.rstrip('/')}/", ".")


def _is_list(page: Page) -> bool:
    if _suffix(page.url) in _LISTS:
        return True
    is_html = page.content_type == "text/html" or page.content.lstrip()[:1] == b"<"
    if not is_html and page.content_type not in {"text/plain", ""}:
        raise DataError(
            f"{page.url}: {page.content_type} is no list of images: give an index page, a table or "
            "a text file with an address per line"
        )
    return not is_html


def _suffix(url: str) -> str:
    """Of the file that an address names, in lower case; of a host none."""
    path = urlsplit(url).path
    return "" if path.endswith("/") else PurePosixPath(unquote(path)).suffix.lower()
