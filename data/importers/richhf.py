"""RichHF-18K (Liang et al., arXiv 2312.10240): scores of images of Pick-a-Pic v1.

`{train,dev,test}.tfrecord` hold scores but no images; lay the images, named `<uuid>.png` or
`.jpg`, in the same folder (they are those of Pick-a-Pic v1). Or a Parquet mirror with an `image`
column. Scores are means of three five-point raters put on 0 to 1; higher is better for all four,
artifacts and misalignment too. The dev split is left alone.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..examples import Split
from .files import Table, find_files, folder_of, number_of, text_of
from .places import Files, ImagePlace
from .protocol import Card, Intake, RawRow
from .tfrecord import read_examples

_SPLITS: dict[str, Split] = {"train": "train", "test": "test"}
_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


class RichHf:
    card = Card(
        name="richhf",
        home="github.com/google-research-datasets/richhf-18k",
        licence="none given",
        targets={
            "overall_score": "richhf",
            "aesthetics_score": None,
            "artifact_score": None,
            "misalignment_score": None,
        },
    )

    def rows(self, source: Path, target: str, intake: Intake) -> Iterator[RawRow]:
        intake.scale = (0, 1)
        for path in find_files(source, "*.tfrecord", "*.parquet"):
            split = _SPLITS.get(path.stem.partition("-")[0])
            if split is None:
                intake.skip("file of the dev split", str(path))
            elif path.suffix == ".parquet":
                yield from _mirror_rows(path, target, split, intake)
            else:
                yield from _record_rows(path, target, split, intake)


def _record_rows(path: Path, target: str, split: Split, intake: Intake) -> Iterator[RawRow]:
    images = Files(folder_of(path))
    for number, features in enumerate(read_examples(path), 1):
        if number == 1:
            intake.saw(path, list(features))
        name = _text(features.get("filename"))
        stem = Path(name).stem
        places = (images.find(stem + suffix) for suffix in _IMAGE_SUFFIXES)
        place = next((place for place in places if place), None)
        yield from _row(stem, place, features.get(target), None, split, intake)


def _mirror_rows(path: Path, target: str, split: Split, intake: Intake) -> Iterator[RawRow]:
    table = Table(path, intake)
    image, name = table.column("image"), table.column("filename", "image_id", "uid")
    captions = [column for column in ("caption",) if table.has(column)]
    for number, row in table.rows([name, target, *captions]):
        stem = Path(str(row.values[name])).stem
        place = ImagePlace(path, number, image)
        caption = text_of(row.values.get("caption"))
        yield from _row(stem, place, [row.values[target]], caption, split, intake)


def _row(
    stem: str,
    place: ImagePlace | None,
    scores: Any,
    text: str | None,
    split: Split,
    intake: Intake,
) -> Iterator[RawRow]:
    score = number_of(scores[0]) if scores else None
    if place is None:
        intake.skip("image is not here (join with Pick-a-Pic v1)", stem)
    elif score is None:
        intake.skip("no score", stem)
    else:
        yield RawRow(stem, place, score, text=text, split=split)


def _text(value: Any) -> str:
    return value[0].decode() if value and isinstance(value[0], bytes) else ""
