"""Images in folders, archives and Parquet cells, found by name and read in one pass."""

import zipfile
from pathlib import Path

import public_sources as public
import pytest
from blpo.data.arrow import pa, pq
from blpo.data.errors import DataError
from blpo.data.importers.places import Files, ImagePlace, NameIndex, read_images

MEMBERS = {f"images/{number}.png": public.picture(number) for number in range(5)}


@pytest.mark.parametrize("kind", ["folder", "zip", "tar.gz"])
def test_images_are_found_by_name_and_read_once_whatever_holds_them(
    tmp_path: Path, kind: str
) -> None:
    container = tmp_path / ("folder" if kind == "folder" else f"images.{kind}")
    write = {
        "folder": public.write_files,
        "zip": public.write_zip,
        "tar.gz": public.write_tar,
    }
    write[kind](container, MEMBERS)
    files = Files(container)
    places = [files.find("3.png"), files.find("images/1.png"), files.find("./images/1.png")]
    assert [place.name for place in places if place] == ["images/3.png", *["images/1.png"] * 2]
    assert files.find("9.png") is None
    read = [(place.name, data) for place, data in read_images(p for p in places if p)]
    assert read == [(name, MEMBERS[name]) for name in ("images/1.png", "images/3.png")]


def test_a_name_with_folders_is_not_taken_for_one_in_other_folders() -> None:
    index = NameIndex(["a/x/1.png", "b/x/1.png", "c/2.png", "1024/3.png", "512/3.png"])
    assert index.find("b/x/1.png") == "b/x/1.png"
    assert index.find("q/1.png") is None
    assert index.find("q/2.png") == "c/2.png"
    assert index.find("3.png") == "1024/3.png"


@pytest.mark.parametrize("as_struct", [True, False])
def test_cells_are_read_from_the_row_groups_that_hold_them(tmp_path: Path, as_struct: bool) -> None:
    pictures = [public.picture(number) for number in range(40)]
    cells = [public.cell(data) for data in pictures] if as_struct else pictures
    kind = public.IMAGE if as_struct else pa.binary()
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": pa.array(cells, kind)}), path, row_group_size=7)
    places = [ImagePlace(path, row, "a") for row in (33, 0, 8)]
    assert dict(read_images(places)) == {place: pictures[place.row] for place in places}


def test_a_cell_may_name_a_file_and_may_be_empty(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(public.picture(1))
    cells = [{"bytes": None, "path": "1.png"}, None, {"bytes": None, "path": "none.png"}]
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": pa.array(cells, public.IMAGE)}), path)
    found = [data for _, data in read_images(ImagePlace(path, row, "a") for row in range(3))]
    assert found == [public.picture(1), b"", b""]


def test_a_member_that_is_damaged_or_gone_is_no_reason_to_stop(tmp_path: Path) -> None:
    public.write_zip(tmp_path / "i.zip", MEMBERS)
    content = (tmp_path / "i.zip").read_bytes()
    at = content.index(MEMBERS["images/2.png"])
    (tmp_path / "i.zip").write_bytes(content[:at] + b"XXXX" + content[at + 4 :])
    public.write_tar(tmp_path / "i.tar", MEMBERS)
    places = [ImagePlace(tmp_path / "i.zip", 0, name) for name in MEMBERS]
    gone = ImagePlace(tmp_path / "i.tar", 0, "gone.png")
    found = {place: data for place, data in read_images([*places, gone]) if data is None}
    assert set(found) == {places[2], gone}


@pytest.mark.parametrize("name", ["i.zip", "i.tar.gz", "i.parquet"])
def test_a_damaged_container_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"no archive")
    with pytest.raises(DataError, match=rf"{name}: not a whole file"):
        list(read_images([ImagePlace(tmp_path / name, 0, "a")]))


def test_a_zip_is_read_that_other_tools_take_for_a_bomb(tmp_path: Path) -> None:
    # Info-ZIP refuses overlapping members; the public archive of SeeTRUE trips that check.
    with zipfile.ZipFile(tmp_path / "i.zip", "w") as archive:
        archive.writestr("a.png", public.picture(1))
        archive.filelist.append(archive.filelist[0])
    place = Files(tmp_path / "i.zip").find("a.png")
    assert place is not None
    assert [data for _, data in read_images([place])] == [public.picture(1)]


def test_a_link_out_of_a_folder_of_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "private.png").write_bytes(public.picture(1))
    (tmp_path / "images/1.png").symlink_to("../private.png")
    place = Files(tmp_path / "images").find("1.png")
    assert place is not None
    with pytest.raises(DataError, match=r"image 1\.png: a link that leads out of .*put the image"):
        list(read_images([place]))


@pytest.mark.parametrize("path", ["/etc/passwd", "../private.png", "link.png"])
def test_a_cell_that_names_a_file_elsewhere_is_refused(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (tmp_path / "private.png").write_bytes(public.picture(1))
    (folder / "link.png").symlink_to("../private.png")
    table = folder / "t.parquet"
    cells = [{"bytes": None, "path": path}]
    pq.write_table(pa.table({"a": pa.array(cells, public.IMAGE)}), table)
    with pytest.raises(DataError, match=r"(outside|leads out of) .*t\.parquet must not name it"):
        list(read_images([ImagePlace(table, 0, "a")]))


def test_of_a_cell_that_names_no_image_nothing_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("root:x:0:0")
    table = tmp_path / "t.parquet"
    cells = [{"bytes": None, "path": "a.png"}]
    pq.write_table(pa.table({"a": pa.array(cells, public.IMAGE)}), table)
    with pytest.raises(DataError, match="its first bytes are those of none of") as raised:
        list(read_images([ImagePlace(table, 0, "a")]))
    assert "root:x" not in str(raised.value)
