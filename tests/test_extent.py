"""Datasets in many files, and shards that read their own row groups and nothing else."""

import io
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from blpo.data import remote
from blpo.data.arrow import pa, pq
from blpo.data.errors import DataError
from blpo.data.examples import iter_dataset, read_dataset, write_dataset
from blpo.data.images import ImageBounds
from blpo.data.remote import address
from blpo.data.shards import Shard
from blpo.data.table.extent import Cut, Extent
from blpo.data.table.items import is_dataset, items_extent, iter_items
from blpo.data.tasks import load_task
from ideal_engine import ideal_world
from PIL import Image
from waiting import wait_for

TASK = load_task("micro-unsafebench")


@pytest.mark.parametrize(
    ("groups", "count", "expected"),
    [
        ((10, 10, 10, 10), 2, [(0, 20), (20, 40)]),
        ((10, 30, 10), 2, [(0, 40), (40, 50)]),
        ((10, 10, 10, 10), 3, [(0, 10), (10, 30), (30, 40)]),
        ((40,), 4, [(0, 10), (10, 20), (20, 30), (30, 40)]),
        ((2,), 3, [(0, 0), (0, 1), (1, 2)]),
        ((), 2, [(0, 0), (0, 0)]),
    ],
)
def test_shards_are_whole_row_groups_where_there_are_enough(
    groups: Sequence[int], count: int, expected: list[tuple[int, int]]
) -> None:
    found = [Shard(index, count).rows(groups) for index in range(1, count + 1)]
    assert [(rows.start, rows.stop) for rows in found] == expected


def write_parts(folder: Path, groups: Sequence[Sequence[int]], image: bytes) -> list[str]:
    """Parquet files of so many rows in each row group; ids of all rows, in order."""
    folder.mkdir(exist_ok=True)
    ids: list[str] = []
    for number, sizes in enumerate(groups):
        tables: list[Any] = []
        for size in sizes:
            names = [f"{number}-{len(ids) + row}" for row in range(size)]
            ids += names
            cells = [{"bytes": image + name.encode(), "path": None} for name in names]
            tables.append(pa.table({"example_id": names, "image": cells}))
        with pq.ParquetWriter(folder / f"part-{number}.parquet", tables[0].schema) as writer:
            for table in tables:
                writer.write_table(table)
    return ids


def ids_of(path: Path, shard: Shard, extent: Extent | None = None) -> list[str]:
    cuts = (extent or items_extent(path, TASK)).share(shard)
    batches = iter_items(path, TASK, ImageBounds(), 3, cuts=cuts)
    return [item.example_id for batch in batches for item in batch]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 40])
def test_each_row_of_a_folder_of_parts_is_in_one_shard(tmp_path: Path, count: int) -> None:
    ids = write_parts(tmp_path / "data", [(4, 5), (3,), (6, 2)], b"image")
    (tmp_path / "data" / "_manifest.json").write_text("{}")
    assert is_dataset(tmp_path / "data")
    shards = [ids_of(tmp_path / "data", Shard(k, count)) for k in range(1, count + 1)]
    assert [name for shard in shards for name in shard] == ids


def test_a_share_is_told_file_by_file(tmp_path: Path) -> None:
    write_parts(tmp_path / "data", [(4, 5), (3,), (6, 2)], b"image")
    extent = items_extent(tmp_path / "data", TASK)
    assert extent.num_rows == 20
    assert extent.share(Shard(2, 2)) == [
        Cut("part-1.parquet", range(3)),
        Cut("part-2.parquet", range(8)),
    ]


def test_other_contents_have_another_digest(tmp_path: Path) -> None:
    write_parts(tmp_path, [(2,), (2,)], b"image")
    before = items_extent(tmp_path, TASK)
    write_parts(tmp_path, [(2,), (2,)], b"other one")
    after = items_extent(tmp_path, TASK)
    assert (before.num_rows, before.digest != after.digest) == (after.num_rows, True)


def test_the_shards_together_read_the_bytes_of_the_dataset_once(tmp_path: Path) -> None:
    write_parts(tmp_path / "data", [(10,) * 8, (10,) * 8], os.urandom(200_000))
    size = sum(file.stat().st_size for file in (tmp_path / "data").iterdir())

    def num_read() -> int:
        return int(Path("/proc/self/io").read_text("ascii").split()[1])

    before = num_read()
    extent = items_extent(tmp_path / "data", TASK)
    for index in range(1, 9):
        assert len(ids_of(tmp_path / "data", Shard(index, 8), extent)) == 20
    ratio = (num_read() - before) / size
    print(f"bytes read over bytes of the dataset: {ratio:.3f}")
    assert 1.0 <= ratio <= 1.05


def png(level: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 8), level).save(file, "png")
    return file.getvalue()


@pytest.mark.parametrize("kind", ["folder", "csv", "parquet", "parts"])
def test_tables_are_cut_by_rows(tmp_path: Path, kind: str) -> None:
    images = {f"{n}.png": png(n) for n in range(10)}
    cells = [{"picture": {"bytes": data, "path": name}} for name, data in images.items()]
    path = tmp_path / kind
    path.mkdir()
    if kind in ("folder", "csv"):
        for name, data in images.items():
            (path / name).write_bytes(data)
    if kind == "csv":
        (path / "all.csv").write_text(
            "\n".join(["image", *list(images)[:5], "", *list(images)[5:]])
        )
        path /= "all.csv"
    if kind == "parquet":
        path /= "all.parquet"
        pq.write_table(pa.Table.from_pylist(cells), path, row_group_size=4)
    if kind == "parts":
        for number in range(2):
            rows = pa.Table.from_pylist(cells[number * 5 :][:5])
            pq.write_table(rows, path / f"{number}.parquet", row_group_size=2)
    assert not is_dataset(path)
    whole = ids_of(path, Shard())
    assert len(set(whole)) == 10
    shards = [ids_of(path, Shard(k, 3)) for k in range(1, 4)]
    assert [name for shard in shards for name in shard] == whole
    assert all(shards)


def test_a_folder_of_parts_is_read_as_one_dataset(tmp_path: Path) -> None:
    dataset, _ = ideal_world(TASK.name, num_train=12, num_test=8)
    examples = [*dataset.train, *dataset.test]
    folder = tmp_path / "parts"
    write_dataset(folder / "a.parquet", examples[:7])
    write_dataset(folder / "b.parquet", examples[7:])
    whole = read_dataset(folder, TASK)
    assert (whole.train, whole.test) == (dataset.train, dataset.test)
    items = [item.example_id for batch in iter_dataset(folder, TASK) for item in batch]
    assert items == [example.example_id for example in examples]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="a folder without Parquet files"):
        read_dataset(tmp_path / "empty", TASK)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The file system of a local S3 server with an empty bucket `photos`.

    In a process of its own: beside Flask no vLLM engine starts.
    """
    host = "127.0.0.1"
    with socket.create_server((host, 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", host, "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: _listens(host, port), "the S3 server")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    fs: Any = import_module("pyarrow.fs")
    options = {"access_key": "key", "secret_key": "secret", "allow_bucket_creation": True}
    system: Any = fs.S3FileSystem(endpoint_override=f"{host}:{port}", scheme="http", **options)
    system.create_dir("photos")
    yield system
    remote._system.cache_clear()  # pyright: ignore[reportPrivateUsage]
    server.kill()
    server.wait()


def _listens(host: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((host, port)):
        return True
    return False


def test_a_dataset_in_an_object_store_is_read_as_one_here(tmp_path: Path, bucket: Any) -> None:
    ids = write_parts(tmp_path / "data", [(4, 5), (3,)], b"image")
    for file in (tmp_path / "data").iterdir():
        with bucket.open_output_stream(f"photos/data/{file.name}") as out:
            out.write(file.read_bytes())
    path = Path("s3://photos/data")
    assert address(path) == "s3://photos/data"
    assert is_dataset(path)
    assert items_extent(path, TASK) == items_extent(tmp_path / "data", TASK)
    shards = [ids_of(path, Shard(k, 2)) for k in (1, 2)]
    assert [name for shard in shards for name in shard] == ids
    assert ids_of(path / "part-1.parquet", Shard()) == ids[9:]
    with pytest.raises(DataError, match="s3://photos/nothing: no such dataset file"):
        ids_of(Path("s3://photos/nothing"), Shard())
    with bucket.open_output_stream("photos/table/rows.csv") as out:
        out.write(b"image")
    with pytest.raises(DataError, match="s3://photos/table: holds no Parquet with example ids"):
        ids_of(Path("s3://photos/table"), Shard())


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in place of the Hub and of every bucket of Google's, behind their file systems."""
    fs: Any = import_module("pyarrow.fs")
    local: Any = import_module("fsspec.implementations.local").LocalFileSystem()
    folders: Any = import_module("fsspec.implementations.dirfs").DirFileSystem
    hub: Any = import_module("huggingface_hub")
    monkeypatch.setattr(hub, "HfFileSystem", lambda: folders(str(tmp_path / "hub"), local))
    system = remote._system  # pyright: ignore[reportPrivateUsage]

    def with_google(scheme: str, bucket: str) -> Any:
        google = fs.PyFileSystem(fs.FSSpecHandler(folders(str(tmp_path / "google"), local)))
        return google if scheme == "gs" else system(scheme, bucket)

    monkeypatch.setattr(remote, "_system", with_google)
    system.cache_clear()
    yield tmp_path
    system.cache_clear()


@pytest.mark.parametrize(
    ("url", "place"),
    [("hf://datasets/me/photos/data", "hub/datasets/me/photos/data"), ("gs://photos/data",) * 2],
)
def test_datasets_of_the_hub_and_of_google_are_read_as_those_here(
    stores: Path, url: str, place: str
) -> None:
    here = stores / place.replace("gs://", "google/")
    here.parent.mkdir(parents=True)
    ids = write_parts(here, [(4, 5), (3,)], b"image")
    path = Path(url)
    assert address(path) == url
    assert is_dataset(path)
    assert items_extent(path, TASK) == items_extent(here, TASK)
    shards = [ids_of(path, Shard(k, 2)) for k in (1, 2)]
    assert [name for shard in shards for name in shard] == ids
    with pytest.raises(DataError, match=f"{url}/none: no such dataset file; check the address"):
        ids_of(path / "none", Shard())
    (here / "part-1.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=f"{url}/part-1.parquet: not a whole Parquet file"):
        ids_of(path / "part-1.parquet", Shard())


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("no route"), "cannot be read .no route.: check the address, the network and"),
        (ImportError(name="huggingface_hub"), "needs the package huggingface_hub: pip install hug"),
        (ValueError("Repository id must be"), "cannot be read .Repository id must be"),
    ],
)
def test_what_goes_wrong_with_a_store_is_told_with_the_address(
    monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def fails(*_: object) -> Any:
        raise error

    monkeypatch.setattr(remote, "_system", fails)
    with pytest.raises(DataError, match=f"hf://datasets/me/none: {message}"):
        is_dataset(Path("hf://datasets/me/none"))
