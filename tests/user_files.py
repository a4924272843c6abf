"""Tables and image folders as users have them, made in a test, and what imports make of them."""

import csv
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blpo.data.errors import DataError
from blpo.data.examples import Dataset, Example, read_dataset
from blpo.data.table.options import TableOptions
from blpo.data.table.report import ImportReport
from blpo.data.table.table import import_table
from blpo.data.tasks import Task, load_task
from PIL import Image

HEIC = (Path(__file__).parent / "fixtures" / "phone.heic").read_bytes()
"""A red image, 32 x 24 pixels: no library here writes the format."""

SAFETY = load_task("unsafebench")
ALIGNMENT = load_task("seetrue")

Row = Mapping[str, Any]


def png(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (12, 16, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def rows_with_images(folder: Path, count: int = 12) -> list[dict[str, Any]]:
    """Rows with labels in turn, their images written to `folder/images`."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / "images" / f"{number}.png").write_bytes(png(number))
    return [
        {"image": f"images/{number}.png", "label": SAFETY.labels[number % 2]}
        for number in range(count)
    ]


def write_csv(path: Path, rows: Sequence[Row], delimiter: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_jsonl(path: Path, rows: Sequence[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def imported(
    source: Path, task: Task = SAFETY, *, overwrite: bool = False, on_row: Any = int, **options: Any
) -> tuple[ImportReport, Dataset]:
    out = source.parent / "out" / "dataset.parquet"
    summary = import_table(
        source, out, task, TableOptions(**options), overwrite=overwrite, on_row=on_row
    )
    return summary, read_dataset(out, task)


def refused(source: Path, task: Task = SAFETY, **options: Any) -> str:
    """The message with which a table is refused, after checking that nothing was written."""
    out = source.parent / "refused" / "dataset.parquet"
    with pytest.raises(DataError) as caught:
        import_table(source, out, task, TableOptions(**options))
    assert not out.parent.exists() or list(out.parent.iterdir()) == []
    return str(caught.value)


def put(folder: Path, *names: str) -> Path:
    """Different images of these names; their folders are made."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(sum(name.encode()) * 1000 + len(name)))
    return folder


def labels_of(dataset: Dataset) -> dict[str, str]:
    """The label of every example by its id."""
    return {example.example_id: example.label for example in examples_of(dataset)}


def examples_of(dataset: Dataset) -> list[Example]:
    return [*dataset.train, *dataset.test]


def tar_of(path: Path, members: Mapping[str, bytes]) -> Path:
    """A tar of files by name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def xlsx(path: Path, *sheets: tuple[str, list[list[object]]]) -> Path:
    """A workbook with the parts that a reader needs, as any zip of XML."""

    def cell(value: object) -> str:
        if isinstance(value, int | float):
            return f"<c><v>{value}</v></c>"
        return f'<c t="inlineStr"><is><t>{value}</t></is></c>' if value is not None else "<c/>"

    names = "".join(
        f'<sheet name="{name}" sheetId="{n}" r:id="rId{n}"/>'
        for n, (name, _) in enumerate(sheets, 1)
    )
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relations = "http://schemas.openxmlformats.org/package/2006/relationships"
    links = "".join(
        f'<Relationship Id="rId{n}" Type="{office}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in range(1, len(sheets) + 1)
    )
    with zipfile.ZipFile(path, "w") as book:
        book.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{relations}"><Relationship Id="rId1" '
            f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        book.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{names}</sheets></workbook>',
        )
        book.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{relations}">{links}</Relationships>',
        )
        for number, (_, rows) in enumerate(sheets, 1):
            lines = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
            book.writestr(
                f"xl/worksheets/sheet{number}.xml",
                f'<worksheet xmlns="{main}"><sheetData>{lines}</sheetData></worksheet>',
            )
    return path
