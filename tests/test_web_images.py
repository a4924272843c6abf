"""Images behind web addresses: index pages of Apache, nginx and Python, and lists."""

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from answering import AnsweringServer, Asked, Response
from blpo.data.errors import DataError
from blpo.data.images import ImageBounds
from blpo.data.shards import Shard
from blpo.data.sources import web
from blpo.data.table import downloads
from blpo.data.table.items import ItemOptions, is_dataset, items_extent, iter_items
from blpo.data.web import web_client
from blpo.pipeline.bulk.judge_source import judge_source
from blpo.pipeline.bulk.manifest import judge_manifest
from command_line import Blpo
from user_files import SAFETY, png, write_csv

APACHE = """<html><head><title>Index of /photos</title></head><body><h1>Index of /photos</h1><table>
<tr><th><a href="?C=N;O=D">Name</a></th><th><a href="?C=M;O=A">Last modified</a></th></tr>
<tr><td><a href="/">Parent Directory</a></td></tr>
<tr><td><a href="2.png">2.png</a></td></tr><tr><td><a href="a%20b.PNG">a b.PNG</a></td></tr>
<tr><td><a href="more/">more/</a></td></tr><tr><td><a href="notes.pdf">notes.pdf</a></td></tr>
<tr><td><a href="more/?C=N;O=D">by name</a></td></tr><tr><td><a href="/photos">here</a></td></tr>
<tr><td><a href="2.png?x=/.1">2, smaller</a></td></tr><tr><td><a href="README">README</a></td></tr>
<tr><td><a href="._2.png">._2.png</a></td></tr>
<tr><td><a href="http://elsewhere.invalid/9.png">9</a></td></tr></table></body></html>"""
NGINX = """<html><head><title>Index of /photos/more/</title></head><body><pre>
<a href="../">../</a>
<a href="3.jpg">3.jpg</a>   01-Nov-2026 10:00  1234
</pre></body></html>"""
KEYED = {"/image?key=2": 2, "/image?key=3": 3}
PICTURES = {
    "/photos/2.png": 2,
    "/photos/a%20b.PNG": 7,
    "/photos/more/3.jpg": 3,
    "/photos/2.png?x=/.1": 8,
}


class Site:
    """Pages and lists by path; what a request came for is kept in `asked`."""

    pages: ClassVar[dict[str, tuple[str, str]]] = {}
    asked: ClassVar[list[str]] = []
    redirects: ClassVar[bool] = True
    broken: ClassVar[dict[str, tuple[str, bytes]]] = {}

    @classmethod
    def answer(cls, asked: Asked) -> Response:
        path = asked.path
        cls.asked.append(path)
        if cls.redirects and f"{path}/" in cls.pages:
            return Response(301, headers={"Location": f"{path}/"})
        kind, page = cls.pages.get(path, ("", ""))
        number = (KEYED | PICTURES).get(path) or PICTURES.get(path.partition("?")[0])
        content = png(number) if number else page.encode()
        kind, content = cls.broken.get(path, (kind, content))
        headers = {"Content-Type": kind or "image/png"}
        return Response(200 if content else 404, content, headers)


@pytest.fixture
def site() -> Generator[str]:
    Site.asked = []
    Site.broken = {}
    Site.pages = {
        "/photos/": ("text/html;charset=UTF-8", APACHE),
        "/photos/more/": ("text/html", NGINX),
        "/empty/": ("text/html", "<html><a href='../'>up</a></html>"),
        "/list.txt": ("text/plain", "# made today\nphotos/2.png\n\n/photos/a b.PNG\n"),
        "/photos/list.csv": ("text/csv", "name,image\nx,2.png\ny,more/3.jpg\n"),
        "/data": ("application/octet-stream", "?"),
    }
    with AnsweringServer(Site.answer) as server:
        yield server.address


def items(path: Path, kept: Path | None, **more: Any) -> dict[str, bytes]:
    batches = iter_items(path, SAFETY, ImageBounds(), 3, ItemOptions(downloads=kept), **more)
    return {item.example_id: item.image.data for batch in batches for item in batch}


def pictures_of(site: str) -> dict[str, bytes]:
    return {f"{site}{path}": png(number) for path, number in PICTURES.items()}


def test_an_index_page_and_the_folders_below_it_are_images_by_their_addresses(
    tmp_path: Path, site: str
) -> None:
    found = items(Path(f"{site}/photos/"), tmp_path)
    assert found == pictures_of(site)
    assert list(found) == sorted(found)
    assert not [path for path in Site.asked if "elsewhere" in path or "._" in path or "?C" in path]
    asked = Site.asked.copy()
    assert items(Path(f"{site}/photos"), tmp_path) == found
    assert {*Site.asked[len(asked) :]} == {"/photos/", "/photos/more/"}


def test_links_that_are_not_followed_are_counted(tmp_path: Path, site: str) -> None:
    with web_client() as client:
        left_out = web.open_web(Path(f"{site}/photos"), tmp_path, client).left_out()
    assert left_out.places == {
        "link that leads elsewhere": ["http://elsewhere.invalid/9.png"],
        "file with suffix .pdf": [f"{site}/photos/notes.pdf"],
        "file without a suffix": [f"{site}/photos/README"],
        "hidden or system file": [f"{site}/photos/._2.png"],
    }


def test_an_index_page_without_a_redirect_and_a_list_without_a_suffix_are_found(
    tmp_path: Path, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Site, "redirects", False)
    Site.pages["/list"] = ("text/plain", "photos/2.png")
    assert len(items(Path(f"{site}/photos/"), tmp_path)) == 4
    assert {*items(Path(f"{site}/list"), tmp_path)} == {f"{site}/photos/2.png"}


def test_shards_of_an_index_page_fetch_their_own_images(tmp_path: Path, site: str) -> None:
    path = Path(f"{site}/photos")
    extent = items_extent(path, SAFETY, ItemOptions(downloads=tmp_path))
    assert extent.num_rows == 4
    assert not {*PICTURES} & {*Site.asked}
    first = items(path, tmp_path, cuts=extent.share(Shard(1, 3)))
    assert len(first) == len({*PICTURES} & {*Site.asked}) == 1
    rest = [items(path, tmp_path, cuts=extent.share(Shard(k, 3))) for k in (2, 3)]
    assert first | rest[0] | rest[1] == pictures_of(site)


def test_lists_name_images_by_paths_from_where_they_lie(tmp_path: Path, site: str) -> None:
    pictures = pictures_of(site)
    by_path = {path: f"{site}{path}" for path in PICTURES}
    found = items(Path(f"{site}/list.txt"), tmp_path)
    assert found == {by_path[path]: pictures[by_path[path]] for path in list(PICTURES)[:2]}
    found = items(Path(f"{site}/photos/list.csv"), tmp_path)
    assert {*found} == {by_path["/photos/2.png"], by_path["/photos/more/3.jpg"]}


def test_a_list_of_the_web_names_no_files_of_this_machine(tmp_path: Path, site: str) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(1))
    Site.pages["/list.txt"] = ("text/plain", f"{secret}\nfile://{secret}\n../../secret.png\n")
    with pytest.raises(DataError, match="3 problems") as raised:
        items(Path(f"{site}/list.txt"), tmp_path)
    assert str(raised.value).count("the server says 404") == 3


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none/", "list http.*/none: cannot be downloaded .the server says 404.: check the"),
        ("empty/", "links to no images below it: give the index page of a folder"),
        ("data", "application/octet-stream is no list of images"),
        ("photos.parquet", "no list of images: download it first, and give the file"),
        ("photos/2.png", "no list of images: download it first"),
    ],
)
def test_an_address_that_is_no_list_of_images_is_refused(
    tmp_path: Path, site: str, path: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        items(Path(f"{site}/{path}"), tmp_path)


def test_passwords_and_keys_of_addresses_stay_out_of_ids_and_messages(
    tmp_path: Path, site: str
) -> None:
    with_user = site.replace("://", "://user:S3CRET@")
    assert items(Path(f"{with_user}/photos/"), tmp_path) == pictures_of(site)
    lines = ["photos/2.png?sig=T0KEN&w=5", f"{with_user}/photos/more/3.jpg?X-Amz-Token=T0KEN"]
    Site.pages["/list.txt"] = ("text/plain", "\n".join(lines))
    found = items(Path(f"{with_user}/list.txt"), tmp_path)
    assert list(found) == [f"{site}/photos/2.png?w=5", f"{site}/photos/more/3.jpg"]
    assert "/photos/2.png?sig=T0KEN&w=5" in Site.asked
    Site.pages["/list.txt"] = ("text/plain", "none.png?sig=T0KEN")
    with pytest.raises(DataError, match="404") as raised:
        items(Path(f"{with_user}/list.txt"), tmp_path)
    assert "S3CRET" not in str(raised.value)
    assert "T0KEN" not in str(raised.value)


@pytest.mark.parametrize("sent", ["text/html <html>Sign in</html>", "image/png"])
def test_what_is_no_image_is_refused_and_not_kept(tmp_path: Path, site: str, sent: str) -> None:
    kind, _, page = sent.partition(" ")
    Site.broken["/broken.png"] = kind, page.encode() or png(4)[:-30]
    Site.pages["/list.txt"] = ("text/plain", "broken.png")
    shown = f"image {site}/broken.png, where the server sent {kind}: cannot be decoded"
    with pytest.raises(DataError, match=shown):
        items(Path(f"{site}/list.txt"), tmp_path)
    Site.broken["/broken.png"] = "image/png", png(4)
    assert [*items(Path(f"{site}/list.txt"), tmp_path).values()] == [png(4)]
    (kept,) = (file for file in tmp_path.glob("??/*"))
    whole = kept.read_bytes()
    for damaged in (png(4)[:-30], whole.replace(b"IDAT", b"IDAX"), whole[:-1]):
        kept.write_bytes(damaged)
        assert [*items(Path(f"{site}/list.txt"), tmp_path).values()] == [png(4)]
        assert kept.read_bytes() == whole
    assert Site.asked.count("/broken.png") == 5


def test_what_is_kept_is_not_decoded_again_but_of_earlier_versions(
    tmp_path: Path, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = items(Path(f"{site}/list.txt"), tmp_path)
    decoded: list[str] = []

    def decode(_data: bytes, name: str) -> None:
        decoded.append(name)

    monkeypatch.setattr(downloads, "check_image", decode)
    assert items(Path(f"{site}/list.txt"), tmp_path) == found
    assert decoded == []
    files = sorted(tmp_path.glob("??/*"))
    for file in files:
        file.write_bytes(file.read_bytes().partition(b"blpo-sha256:")[0])
    assert items(Path(f"{site}/list.txt"), tmp_path) == found
    assert sorted(decoded) == [file.name for file in files]


def test_images_that_only_a_key_tells_apart_are_refused(tmp_path: Path, site: str) -> None:
    Site.pages["/list.txt"] = ("text/plain", "image?key=2\nimage?key=2\nimage?key=3\n")
    with pytest.raises(DataError, match=rf"line 3: {site}/image is the address of another image"):
        items(Path(f"{site}/list.txt"), tmp_path)


def test_shards_are_refused_images_of_one_address_before_any_is_judged(
    tmp_path: Path, site: str
) -> None:
    source = judge_source(None, "unsafebench", None, [], tmp_path)
    options = ItemOptions(downloads=tmp_path)
    target = (tmp_path / "out", tmp_path, 2, options)
    same = "photos/2.png?token=a", "photos/more/3.jpg", "photos/2.png?token=b"
    Site.pages["/list.txt"] = ("text/plain", "\n".join(same))
    judge_manifest(source, Path(f"{site}/list.txt"), *target)
    assert {path for path in Site.asked if "token" in path} == {f"/{same[0]}", f"/{same[2]}"}
    assert "/photos/more/3.jpg" not in Site.asked
    Site.pages["/list.txt"] = ("text/plain", "image?key=2\nphotos/2.png\nimage?key=3\n")
    with pytest.raises(DataError, match=rf"line 3: {site}/image is the address of another image"):
        judge_manifest(source, Path(f"{site}/list.txt"), *target)


def test_a_password_in_an_address_is_not_kept_with_shards(site: str, tmp_path: Path) -> None:
    source = judge_source(None, "unsafebench", None, [], tmp_path)
    path = Path(f"{site.replace('://', '://user:S3CRET@')}/photos")
    with pytest.raises(DataError, match="judge it without shards") as raised:
        judge_manifest(source, path, tmp_path / "out", tmp_path, 2, ItemOptions(downloads=tmp_path))
    assert "S3CRET" not in str(raised.value)
    assert Site.asked == []


def test_what_is_fetched_is_bounded(
    tmp_path: Path, site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "MAX_FOLDERS", 1)
    with pytest.raises(DataError, match="more than 1 folders"):
        items(Path(f"{site}/photos"), tmp_path)
    small = replace(web._LIST, max_bytes=20)  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(web, "_LIST", small)
    with pytest.raises(DataError, match=r"list .*: more than the 20 bytes .*: divide it"):
        items(Path(f"{site}/photos"), tmp_path)


def test_nothing_is_fetched_unless_told(site: str, blpo: Blpo) -> None:
    path = Path(f"{site}/photos")
    assert not is_dataset(path)
    judged = blpo("judge", f"{site}/photos/", "--task", "unsafebench", "--out", "v.parquet")
    assert judged.code == 1
    assert f"{site}/photos: is on a server" in judged.err
    assert "pass --download" in judged.err
    assert Site.asked == []


def test_a_list_of_lines_may_lie_here(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(1))
    write_csv(tmp_path / "other.csv", [{"image": "a.png"}])
    (tmp_path / "list.txt").write_text("\ufeff# photos\n\n a.png \n", "utf-8")
    assert items(tmp_path / "list.txt", None) == {"a.png": png(1)}
