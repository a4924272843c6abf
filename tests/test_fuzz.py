"""Whatever stands in a file or a server's answer, a reader gives a value or an error of ours.

    BLPO_FUZZ=100000 .venv/bin/python -m pytest tests/test_fuzz.py -n 2

tries that many inputs in all, evenly over the readers and others each time; without it each reader
gets a few dozen, always the same.
"""

import io
import json
import os
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from blpo.data.arrow import pa, pq
from blpo.data.errors import BlpoError, DataError, NewerStoreError, StoreError
from blpo.data.examples import read_dataset, write_dataset
from blpo.data.images import check_image
from blpo.data.importers.places import ImagePlace, member_names, read_images
from blpo.data.importers.tfrecord import read_examples
from blpo.data.store.journal import read_journal
from blpo.data.store.part_reader import check_part, read_keys_of_part, read_tables
from blpo.data.store.replies import SCHEMA
from blpo.data.table.table import import_table
from blpo.data.tasks import load_task
from blpo.data.text_files import read_own_json
from blpo.models.engine import Reply
from blpo.models.engines.openai.completions import read_completion, reply_to
from blpo.models.engines.openai.failures import RefusedError, failure_of, refused_parameter
from blpo.models.engines.openai.wire import Response, TransientError, error_fields
from blpo.models.replies.label import read_label
from blpo.models.replies.number import numbers
from blpo.models.replies.prompt import clean, read_prompts
from blpo.models.replies.thought import read
from blpo.pipeline.config import RunConfig, load_config
from blpo.pipeline.sweeps.sweep import load_sweep
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ideal_engine import ideal_world
from mutations import json_values, mutated, with_other_values
from PIL import Image
from test_journal import left_by_a_killed_writer
from user_files import SAFETY, png, rows_with_images, tar_of, write_csv, write_jsonl, xlsx

READERS = 19
"""Tests below, each of which gets an even share of the inputs."""

FUZZ = int(os.environ.get("BLPO_FUZZ", "0"))
# As many as are asked for take as long as they take.
pytestmark = [pytest.mark.timeout(0)] * bool(FUZZ)

PROFILE = settings(
    max_examples=max(30, FUZZ // READERS),
    deadline=None,
    derandomize=not FUZZ,
    database=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)

RUN = b"""\
task: unsafebench
dataset: data/photos.parquet
output: runs/photos
seed: 3
method: blpo
judge: {kind: vllm, model: Qwen/Qwen2.5-VL-7B-Instruct, gpu_memory_utilization: .85}
verbalizer: {max_tokens: 256}
optimizer:
  engine: {kind: openai, model: o3, endpoint: "https://api.example.org/v1", api_key_env: KEY}
algorithm: {outer_steps: 4, inner_steps: 2, minibatch_size: 8}
images: {max_pixels: 200704}
budget: {judge_calls: 800}
"""
SWEEP = b"""\
output: sweep
base: {judge: {kind: lexicon}, method: none}
datasets: {micro-agin: micro-agin.parquet}
grid: {task: [micro-agin], seed: [0, 1, 2]}
slurm: {cells_per_task: 2, gpus: 1, time: "04:00:00"}
"""
TASK = b"""\
name: product-photos
kind: ordinal
labels: ["1", "2", "3", "4", "5"]
initial_prompt: |
  How good is this photo: is it sharp, well lit and complete?
answer_instruction: "Answer with a number from 1 to 5."
reference: "Our annotators, 2026"
"""


@pytest.fixture(scope="module")
def folder() -> Any:
    """A folder for a module's inputs: what is tried next replaces what was tried."""
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


def only_ours(read_file: Callable[[Path], Any], path: Path, content: bytes) -> None:
    """Reading such a file works, or raises an error of ours that names it and is one message."""
    path.write_bytes(content)
    said = path.name
    try:
        read_file(path)
    except BlpoError as error:
        said = str(error)
    assert path.name in said


@PROFILE
@given(content=mutated((RUN,)))
def test_run_files(folder: Path, content: bytes) -> None:
    only_ours(lambda path: load_config(RunConfig, path), folder / "run.yaml", content)


YAML_FILES: dict[str, tuple[Callable[[Path], Any], bytes]] = {
    "run.yaml": (lambda path: load_config(RunConfig, path), RUN),
    "sweep.yaml": (load_sweep, SWEEP),
    "photos.yaml": (load_task, TASK),
}


@PROFILE
@given(data=st.data())
def test_yaml_files_with_other_values(folder: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(YAML_FILES)))
    read_file, document = YAML_FILES[name]
    changed = data.draw(with_other_values(yaml.safe_load(document)))
    content = yaml.safe_dump(changed, allow_unicode=data.draw(st.booleans()))
    only_ours(read_file, folder / name, content.encode())


@PROFILE
@given(content=mutated((SWEEP,)))
def test_sweep_files(folder: Path, content: bytes) -> None:
    only_ours(load_sweep, folder / "sweep.yaml", content)


@PROFILE
@given(content=mutated((TASK,)))
def test_task_files(folder: Path, content: bytes) -> None:
    only_ours(load_task, folder / "photos.yaml", content)


@PROFILE
@given(content=mutated((b'{"task": "unsafebench", "seed": 3, "labels": ["Safe", {"a": 1.5}]}',)))
def test_json_of_our_own(folder: Path, content: bytes) -> None:
    only_ours(lambda path: read_own_json(path, "run again"), folder / "result.json", content)


@pytest.fixture(scope="module")
def tables(folder: Path) -> dict[str, bytes]:
    """Tables of few rows by file name, their images beside them."""
    rows = rows_with_images(folder, 6)
    write_csv(folder / "t.csv", rows)
    write_csv(folder / "t.tsv", rows, "\t")
    write_jsonl(folder / "t.jsonl", rows)
    (folder / "t.json").write_text(json.dumps(rows))
    (folder / "utf16.csv").write_text((folder / "t.csv").read_text("utf-8-sig"), "utf-16")
    write_exports(folder, rows)
    stems = {"t", "utf16", "tasks", "cvat"}
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.stem in stems}


def write_exports(folder: Path, rows: list[dict[str, Any]]) -> None:
    """The rows as a tar, a workbook, an Arrow stream, and exports of Label Studio and CVAT."""
    xlsx(folder / "t.xlsx", ("A", [list(rows[0]), *(list(row.values()) for row in rows)]))
    members = {f"{n}.cls": row["label"].encode() for n, row in enumerate(rows)}
    tar_of(folder / "t.tar", members | {f"{n}.png": png(n) for n in range(len(rows))})
    table = pa.Table.from_pylist(rows)
    with (
        pa.OSFile(str(folder / "t.arrow"), "wb") as file,
        pa.ipc.new_stream(file, table.schema) as stream,
    ):
        stream.write_table(table)
    tasks = [
        {"id": n, "data": {"image": row["image"]}, "annotations": [
            {"result": [{"type": "choices", "value": {"choices": [row["label"]]}}]}
        ]}
        for n, row in enumerate(rows)
    ]  # fmt: skip
    (folder / "tasks.json").write_text(json.dumps(tasks))
    tags = [f'<image name="{row["image"]}"><tag label="{row["label"]}"/></image>' for row in rows]
    (folder / "cvat.xml").write_text(f"<annotations>{''.join(tags)}</annotations>")


@PROFILE
@given(data=st.data())
def test_tables(folder: Path, tables: dict[str, bytes], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(tables)))
    content = data.draw(mutated((tables[name],)))
    only_ours(
        lambda path: import_table(path, folder / "out.parquet", SAFETY, overwrite=True),
        folder / name,
        content,
    )


CELLS = st.one_of(
    json_values(),
    st.binary(max_size=12),
    st.sampled_from(["Safe", "Unsafe", "images/0.png", "../t.csv", "images", "\x00", "🙂", ""]),
)


@PROFILE
@given(data=st.data())
def test_tables_of_any_values(folder: Path, tables: dict[str, bytes], data: st.DataObject) -> None:
    rows = json.loads(tables["t.json"])
    for _ in range(data.draw(st.integers(1, 4))):
        name = data.draw(st.sampled_from(["image", "label", "group", "split", "id", "x"]))
        for row in data.draw(st.lists(st.sampled_from(rows), min_size=1, max_size=6)):
            row[name] = data.draw(CELLS)
    suffix = data.draw(st.sampled_from([".jsonl", ".json", ".parquet"]))
    only_ours(
        lambda path: import_table(path, folder / "out.parquet", SAFETY, overwrite=True),
        folder / f"any{suffix}",
        table_of(rows, suffix),
    )


def table_of(rows: list[dict[str, Any]], suffix: str) -> bytes:
    if suffix != ".parquet":
        lines = [json.dumps(row, default=repr) for row in rows]
        return ("\n".join(lines) if suffix == ".jsonl" else f"[{','.join(lines)}]").encode()
    names = sorted({name for row in rows for name in row})
    table = pa.table({name: arrow_column([row.get(name) for row in rows]) for name in names})
    written = io.BytesIO()
    pq.write_table(table, written)
    return written.getvalue()


def arrow_column(values: list[Any]) -> Any:
    """With a type of their own where they have one in common; as texts where not."""
    with suppress(pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, pa.ArrowNotImplementedError):
        column = pa.array(values)
        if not pa.types.is_null(column.type) and not pa.types.is_nested(column.type):
            return column
    return pa.array([None if value is None else str(value) for value in values])


@pytest.fixture(scope="module")
def dataset(folder: Path) -> bytes:
    made, _ = ideal_world("micro-agin", num_train=5, num_test=5)
    write_dataset(folder / "dataset.parquet", [*made.train, *made.test])
    return (folder / "dataset.parquet").read_bytes()


@PROFILE
@given(data=st.data())
def test_datasets(folder: Path, dataset: bytes, data: st.DataObject) -> None:
    task = load_task("micro-agin")
    content = data.draw(mutated((dataset,)))
    only_ours(lambda path: read_dataset(path, task), folder / "dataset.parquet", content)


def encoded(format_name: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(png(1))).save(buffer, format_name, **options)
    return buffer.getvalue()


IMAGES = tuple(encoded(name) for name in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"))


@PROFILE
@given(content=mutated(IMAGES))
def test_images(content: bytes) -> None:
    with suppress(DataError):
        check_image(content, "image of example 'a'")


def chunk(kind: bytes, content: bytes) -> bytes:
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


SIDES = st.one_of(st.integers(0, 40), st.sampled_from([2**15, 2**31 - 1, 2**32 - 1]))


@PROFILE
@given(
    width=SIDES,
    height=SIDES,
    header=st.tuples(st.sampled_from([1, 2, 4, 8, 16, 7]), *[st.integers(0, 7)] * 4),
    others=st.lists(
        st.tuples(
            st.sampled_from([b"PLTE", b"tRNS", b"iCCP", b"gAMA", b"eXIf", b"acTL", b"zTXt"]),
            st.binary(max_size=20),
        ),
        max_size=2,
    ),
    pixels=st.binary(max_size=200),
)
def test_images_of_any_header(
    width: int,
    height: int,
    header: tuple[int, ...],
    others: list[tuple[bytes, bytes]],
    pixels: bytes,
) -> None:
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">II5B", width, height, *header))
    content += b"".join(chunk(kind, body) for kind, body in others)
    content += chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    with suppress(DataError):
        check_image(content, "image of example 'a'")


def archive_of(suffix: str) -> bytes:
    buffer = io.BytesIO()
    if suffix == ".zip":
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened:
            opened.writestr("images/1.png", png(1))
            opened.writestr("images/2.png", png(2))
        return buffer.getvalue()
    with tarfile.open(fileobj=buffer, mode="w:gz" if suffix == ".tar.gz" else "w") as opened:
        for number in (1, 2):
            info = tarfile.TarInfo(f"images/{number}.png")
            info.size = len(png(number))
            opened.addfile(info, io.BytesIO(png(number)))
    return buffer.getvalue()


ARCHIVES = {suffix: archive_of(suffix) for suffix in (".zip", ".tar", ".tar.gz")}


@PROFILE
@given(data=st.data())
def test_archives(folder: Path, data: st.DataObject) -> None:
    suffix = data.draw(st.sampled_from(sorted(ARCHIVES)))

    def read_archive(path: Path) -> None:
        names = {*member_names(path), "images/1.png"}
        list(read_images([ImagePlace(path, 0, name) for name in names]))

    content = data.draw(mutated((ARCHIVES[suffix],)))
    only_ours(read_archive, folder / f"images{suffix}", content)


MEMBERS = st.one_of(
    st.text(max_size=12).filter(lambda name: "\x00" not in name),
    st.sampled_from(["images/1.png", "../1.png", "/etc/passwd", "images/", ".", "a" * 300]),
)
KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE])


@PROFILE
@given(data=st.data())
def test_archives_of_any_members(folder: Path, data: st.DataObject) -> None:
    """No member is written anywhere, whatever it is called, and none leads elsewhere."""
    members = data.draw(st.lists(st.tuples(MEMBERS, KINDS, MEMBERS), min_size=1, max_size=5))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as opened:
        for name, kind, target in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            info.size = len(png(1)) if kind == tarfile.REGTYPE else 0
            opened.addfile(info, io.BytesIO(png(1)))
    path = folder / "any.tar"
    before = {file.name for file in folder.iterdir()} | {path.name}

    def read_archive(path: Path) -> None:
        for place, content in read_images([ImagePlace(path, 0, name) for name, *_ in members]):
            assert content in (None, png(1)), place

    only_ours(read_archive, path, buffer.getvalue())
    assert {file.name for file in folder.iterdir()} == before


def tf_record() -> bytes:
    """One tf.Example with a feature `score` of the value 0.5."""
    floats = b"\x12\x06\x0a\x04\x00\x00\x00\x3f"
    entry = b"\x0a\x05score\x12" + bytes([len(floats)]) + floats
    feature = b"\x0a" + bytes([len(entry)]) + entry
    example = b"\x0a" + bytes([len(feature)]) + feature
    return len(example).to_bytes(8, "little") + b"\x00" * 4 + example + b"\x00" * 4


@PROFILE
@given(content=mutated((tf_record(), tf_record() * 3)))
def test_tensorflow_records(folder: Path, content: bytes) -> None:
    only_ours(lambda path: list(read_examples(path)), folder / "train.tfrecord", content)


PARTS = sorted((Path(__file__).parent / "fixtures").rglob("part-*.parquet"))


@PROFILE
@given(content=mutated(tuple(part.read_bytes() for part in PARTS)))
def test_store_parts(folder: Path, content: bytes) -> None:
    part = folder / "part-00000001.parquet"
    part.write_bytes(content)
    found = check_part(part)
    said = ""
    try:
        read_keys_of_part(part)
        if content:
            list(read_tables(part, SCHEMA))
    except StoreError as error:
        said = str(error)
    assert not said or (found is not None and str(part) in said)


COLUMNS = st.one_of(
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=2, max_size=2),
    st.lists(st.floats(), min_size=2, max_size=2),
    st.lists(st.text(max_size=6), min_size=2, max_size=2),
    st.lists(st.none(), min_size=2, max_size=2),
    st.lists(st.lists(st.text(max_size=3), max_size=2), min_size=2, max_size=2),
)


@PROFILE
@given(data=st.data())
def test_parts_of_any_columns(folder: Path, data: st.DataObject) -> None:
    """A whole Parquet file with the name of a part, which no store has written."""
    names = data.draw(st.lists(st.sampled_from([*SCHEMA.names, "other"]), min_size=1, unique=True))
    part = folder / "part-00000001.parquet"
    pq.write_table(pa.table({name: data.draw(COLUMNS) for name in names}), part)
    found = check_part(part)
    said = ""
    try:
        read_keys_of_part(part)
        list(read_tables(part, SCHEMA))
    except StoreError as error:
        said = str(error)
    assert not said or (found is not None and str(part) in said)


@pytest.fixture(scope="module")
def journal(folder: Path) -> Path:
    return left_by_a_killed_writer(folder / "killed")


@PROFILE
@given(data=st.data())
def test_journals(folder: Path, journal: Path, data: st.DataObject) -> None:
    """Records that were written, or an error."""
    path = folder / "1-a.journal"
    path.write_bytes(data.draw(mutated((journal.read_bytes(),))))
    with suppress(OSError, NewerStoreError):
        written = read_journal(journal).records
        assert all(record in written for record in read_journal(path).records)


COMPLETION = json.dumps(
    {
        "id": "a",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Unsafe", "reasoning_content": None},
                "finish_reason": "stop",
                "logprobs": {
                    "content": [
                        {
                            "token": "Un",
                            "logprob": -0.1,
                            "top_logprobs": [
                                {"token": "Un", "logprob": -0.1},
                                {"token": "Safe", "logprob": -2.5},
                            ],
                        }
                    ]
                },
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2, "prompt_tokens_details": None},
    }
).encode()
REFUSAL = b'{"error": {"message": "temperature is not supported", "param": null, "code": 400}}'
BODIES = st.one_of(
    mutated((COMPLETION, REFUSAL)),
    with_other_values(json.loads(COMPLETION)).map(lambda value: json.dumps(value).encode()),
    with_other_values(json.loads(REFUSAL)).map(lambda value: json.dumps(value).encode()),
    json_values().map(lambda value: json.dumps(value).encode()),
    json_values().map(lambda value: json.dumps({"choices": [{"message": value}]}).encode()),
    json_values().map(lambda value: json.dumps({"error": value, "choices": value}).encode()),
)


def response_of(status: int, payload: bytes, retry_after: str) -> Response:
    error = error_fields(payload)
    message = str(error.get("message") or payload.decode("utf-8", "replace"))[:500]
    return Response(status, httpx.Headers({"retry-after": retry_after}), payload, message, error)


@PROFILE
@given(payload=BODIES, status=st.sampled_from([200, 302, 400, 401, 403, 404, 413, 422, 429, 500]))
def test_answers_of_servers(payload: bytes, status: int) -> None:
    response = response_of(status, payload, retry_after="0")
    if not response.is_success:
        assert isinstance(failure_of(response, "a"), BlpoError | RefusedError | TransientError)
        refused_parameter(response, {"temperature": 0.0, "top_logprobs": 20})
        return
    with suppress(BlpoError, RefusedError, TransientError):
        assert isinstance(reply_to(read_completion(response, "a"), ("Safe", "Unsafe"), ()), Reply)


@PROFILE
@given(value=st.text(max_size=30).filter(lambda text: text.isprintable() and text.isascii()))
def test_waits_that_servers_ask_for(value: str) -> None:
    wait = response_of(429, b"{}", value).retry_after_s
    assert wait is None or 0 <= wait < float("inf")


MARKS = st.sampled_from(
    [
        "<think>",
        "</think>",
        "<prompt>",
        "</prompt>",
        "```",
        "{",
        "}",
        "Final answer:",
        "not ",
        "3.7",
    ]
)


@PROFILE
@given(
    text=st.lists(st.one_of(MARKS, st.text(max_size=10)), max_size=12).map("".join),
    finish=st.sampled_from(["stop", "length"]),
)
def test_texts_of_models(text: str, finish: Any) -> None:
    answer = read(text, finish).answer
    label = read_label(answer, ("1", "2", "3", "不安全", "安全"))
    assert label.label is not None or label.reason
    numbers(answer)
    assert all(clean(prompt) for prompt in read_prompts(answer)[0])
