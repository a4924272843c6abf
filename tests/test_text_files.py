"""Text files that users or blpo wrote: what is wrong is named with file, line and remedy."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from blpo.data.arrow import atomic_path, refuse_output
from blpo.data.errors import ConfigError, DataError, OutputError
from blpo.data.image_files import image_path, read_image_file
from blpo.data.images import FORMATS
from blpo.data.shown import shortened
from blpo.data.text_files import parse_yaml, read_own_json, read_text
from blpo.pipeline.config import RunConfig, parse_config
from PIL import Image
from user_files import HEIC

PNG = b"\x89PNG\r\n\x1a\n and so on"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a: 1\nb: 2\na: 3\n", r"run\.yaml: .*line 3.*`a` stands in line 1 already"),
        ("a:\n  b: 1\n  b: 2\n", r"line 3.*`b` stands in line 2 already"),
        ("a: {b: 1, b: 2}\n", r"line 1.*`b`"),
        ("1: x\n1: y\n", r"line 2.*`1`"),
        ("a: 2024-13-45\n", r"line 1.*2024-13-45.*put it in quotes"),
        ("a: [1, 2\n", r"line 2"),
        ("- a\n", r"holds a list"),
        ("", r"holds nothing"),
        (r'a: "x\ud83d"' + "\n", r"line 1.*half of a character"),
        (r'"\udc00": 1' + "\n", r"line 1.*half of a character"),
        ("a: " + "[" * 5000 + "\n", r"not valid YAML"),
        ("a: !!python/object:os.system {}\n", r"line 1"),
        ("a: !!int ''\n", r"line 1, column 4: ''"),
        ("a: !!bool maybe\n", r"line 1, column 4: 'maybe'"),
        ("a: !!timestamp abc\n", r"line 1, column 4: 'abc'"),
        ("a: !!float b\n", r"line 1, column 4: 'b'"),
        ("a: !!binary x\n", r"line 1, column 4"),
        ("a: !!map b\n", r"not valid YAML"),
        ("a: 1\nb: \x07\n", r"not valid YAML: line 2: the character '\\x07' is not allowed"),
        ("a: !!pairs b\n", r"not valid YAML"),
    ],
)
def test_yaml_that_is_not_what_it_seems_is_refused(content: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        parse_yaml(content, "run.yaml", ConfigError)


def test_a_character_that_is_escaped_in_halves_is_read_whole() -> None:
    assert parse_yaml(r'a: "\ud83d\ude00"', "x", ConfigError) == {"a": "\N{GRINNING FACE}"}


@pytest.mark.parametrize("value", ["2024-13-45", "[1", r'"\ud83d"', "{a: 1, a: 2}", "\x1b"])
def test_a_value_on_the_command_line_is_read_like_one_of_a_file(value: str) -> None:
    with pytest.raises(ConfigError, match=r"--set seed=.*: not valid YAML"):
        parse_config(RunConfig, {}, "run.yaml", [f"seed={value}"])


def test_yaml_that_merges_an_anchor_may_override_its_keys() -> None:
    content = "base: &base {a: 1, b: 2}\nown:\n  <<: *base\n  a: 3\n"
    assert parse_yaml(content, "x", ConfigError)["own"] == {"a": 3, "b": 2}


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_text_that_is_not_utf8_is_named_with_its_line(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "prompt.txt"
    path.write_bytes("first\ngöd".encode(encoding))
    line = 1 if encoding == "utf-16" else 2
    with pytest.raises(DataError, match=rf"prompt\.txt: line {line}: not UTF-8 .* save the prompt"):
        read_text(path, DataError, "prompt")


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xef\xbb\xbftext")
    assert read_text(tmp_path / "x", DataError) == "text"


@pytest.mark.parametrize(
    "content", ["", '{"a": ', "[" * 100_000, "1" * 5000, "[]", "null", "1", '"a"']
)
def test_our_own_json_cut_short_is_an_error_with_the_remedy(tmp_path: Path, content: str) -> None:
    (tmp_path / "result.json").write_text(content)
    with pytest.raises(ConfigError, match=r"result\.json: not the JSON .*: run it again"):
        read_own_json(tmp_path / "result.json", "run it again", ConfigError)


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a/../../secret.png"])
def test_an_image_outside_the_dataset_is_refused_unless_allowed(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"outside .*: the remedy"):
        image_path(tmp_path / "data", name, "the remedy")
    assert image_path(tmp_path / "data", name, "", allow_outside=True).is_absolute()


@pytest.mark.parametrize("links", ["file", "folder", "chain"])
def test_a_link_that_leads_out_of_the_dataset_is_refused_unless_allowed(
    tmp_path: Path, links: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/a.png").write_bytes(PNG)
    data = tmp_path / "data"
    (data / "in").mkdir(parents=True)
    if links == "folder":
        (data / "sub").symlink_to(tmp_path / "elsewhere")
    else:
        (data / "sub").mkdir()
        first = data / "sub" / ("a.png" if links == "file" else "b.png")
        first.symlink_to("../../elsewhere/a.png")
        if links == "chain":
            (data / "sub/a.png").symlink_to("b.png")
    with pytest.raises(DataError, match=r"sub/a\.png: a link that leads out of .*: the remedy"):
        image_path(data, "sub/a.png", "the remedy")
    allowed = image_path(data, "sub/a.png", "", allow_outside=True)
    assert read_image_file(allowed) == PNG


def test_links_within_the_dataset_and_to_the_dataset_are_followed(tmp_path: Path) -> None:
    (tmp_path / "data/in").mkdir(parents=True)
    (tmp_path / "data/in/a.png").write_bytes(PNG)
    (tmp_path / "data/b.png").symlink_to("in/a.png")
    (tmp_path / "name of it").symlink_to("data")
    for folder in (tmp_path / "data", tmp_path / "name of it"):
        assert read_image_file(image_path(folder, "b.png", "")) == PNG


def test_a_snapshot_in_the_hubs_cache_links_to_the_files_of_its_dataset(tmp_path: Path) -> None:
    snapshot = tmp_path / "datasets--a--b/snapshots/0123/images"
    for folder in (snapshot, tmp_path / "datasets--a--b/blobs", tmp_path / "datasets--c--d/blobs"):
        folder.mkdir(parents=True)
        (folder / "f00").write_bytes(PNG)
    (snapshot / "a.png").symlink_to("../../../blobs/f00")
    (snapshot / "b.png").symlink_to("../../../../datasets--c--d/blobs/f00")
    for folder in (snapshot, snapshot.parent):
        name = "a.png" if folder == snapshot else "images/a.png"
        assert read_image_file(image_path(folder, name, "")) == PNG
    with pytest.raises(DataError, match="a link that leads out of"):
        image_path(snapshot, "b.png", "")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_of_every_format_that_is_decoded_is_read(tmp_path: Path, kind: str) -> None:
    if kind == "HEIF":  # which is decoded only
        (tmp_path / "image").write_bytes(HEIC)
    else:
        Image.new("RGB", (8, 8)).save(tmp_path / "image", kind)
    assert read_image_file(tmp_path / "image") == (tmp_path / "image").read_bytes()


@pytest.mark.parametrize(
    "content",
    [
        b"root:x:0:0:root",
        b"-----BEGIN OPENSSH PRIVATE KEY",
        b"sk-PLANTED",
        b"P",
        b"PK\3\4",
        b"RIFF1234AVI ",
    ],
)
def test_of_a_file_that_is_no_image_nothing_is_read_and_nothing_told(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "secret.png").write_bytes(content + b"S3CRET")
    with pytest.raises(DataError, match="first bytes are those of none of JPEG, PNG") as raised:
        read_image_file(tmp_path / "secret.png")
    assert content.decode("latin-1") not in str(raised.value).partition("none of")[0]
    assert "S3CRET" not in str(raised.value)


def test_a_file_that_is_larger_than_any_image_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.png").open("wb") as file:
        file.write(PNG)
        file.truncate(1 << 40)
    with pytest.raises(DataError, match="1,099,511,627,776 bytes, more than"):
        read_image_file(tmp_path / "a.png")


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", tmp_path, Path("/dev/zero")):
        with pytest.raises(DataError, match="no regular file"):
            read_image_file(path)


def test_a_path_too_long_for_the_system_is_shown_shortened() -> None:
    with pytest.raises(DataError) as caught:
        read_image_file(Path("x" * 100_000))
    assert len(str(caught.value)) < 500
    assert shortened("abc") == "abc"


def test_a_file_that_cannot_be_written_is_named_and_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    targets = {
        tmp_path / "folder": "a folder is in its place",
        Path(): "a folder is in its place",
        Path("/"): "a folder is in its place",
        Path("/dev/null"): "no regular file: name another path",
        tmp_path / "pipe": "no regular file: name another path",
        tmp_path / "file/x": "a file is in the place of a folder",
        Path("/proc/x/y"): "cannot be written",
    }
    for target, told in targets.items():
        with pytest.raises(OutputError, match=told), atomic_path(target) as temporary:
            temporary.write_text("x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "pipe"]


def test_a_file_that_is_read_is_never_written_over(tmp_path: Path) -> None:
    source, link, new = (tmp_path / name for name in ("source", "link", "new.csv"))
    source.write_text("x")
    link.symlink_to(source)
    for out in (source, link, tmp_path / "no" / ".." / "source"):
        (tmp_path / "no").mkdir(exist_ok=True)
        with pytest.raises(DataError, match="is the file that is read: name another one"):
            refuse_output(out, source, ".csv", overwrite=True)
    refuse_output(new, source, ".csv", overwrite=False)
    new.touch()
    refuse_output(new, source, ".csv", overwrite=True)
    with pytest.raises(DataError, match="already there: name another file or pass --overwrite"):
        refuse_output(new, source, ".csv", overwrite=False)
    with pytest.raises(OutputError, match="a folder is in its place: name another path"):
        refuse_output(tmp_path / "no", source, ".csv", overwrite=False)


def test_what_is_read_while_a_file_is_written_keeps_its_own_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "out"):
        (tmp_path / "missing").read_bytes()


@pytest.mark.parametrize("has_links", [True, False])
def test_of_two_that_write_one_file_unasked_one_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_links: bool
) -> None:
    def no_link(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    if not has_links:
        monkeypatch.setattr(os, "link", no_link)
    out = tmp_path / "out"
    told = "already there: another process has written it meanwhile; name another file or"
    with pytest.raises(OutputError, match=told):
        _write_unasked(out, "late", before=lambda: _write_unasked(out, "early"))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert out.read_text() == "early"
    with atomic_path(out) as asked:
        asked.write_text("asked")
    assert out.read_text() == "asked"


def test_a_link_that_a_file_server_made_twice_is_no_other_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def linked_twice(source: Path, target: Path) -> None:
        link(source, target)
        link(source, target)

    monkeypatch.setattr(os, "link", linked_twice)
    with atomic_path(tmp_path / "out", overwrite=False) as temporary:
        temporary.write_text("x")
    assert (tmp_path / "out").read_text() == "x"


def _write_unasked(path: Path, text: str, before: Callable[[], None] = lambda: None) -> None:
    with atomic_path(path, overwrite=False) as temporary:
        before()
        temporary.write_text(text)
