"""EvalMuse-40K (Han et al., arXiv 2412.18150): how well images follow a prompt, several raters.

`train_list.json` and a folder or zip of images; the labels of its test set are not public. Under
which key a row names its image is not documented: the known spellings are tried.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any, cast

from .files import Table, find_files, folder_of, number_of, text_of
from .places import Files, ImagePlace
from .protocol import Card, Intake, RawRow

_IMAGE_KEYS = ("img_path", "image_path", "image", "img")


class EvalMuse:
    card = Card(
        name="evalmuse",
        home="the Hugging Face Hub, DY-Evalab/EvalMuse",
        licence="bsd-3-clause",
        hub_id="DY-Evalab/EvalMuse",
        patterns=("train_list.json", "*.zip", "README.md"),
        targets={"total_score": "evalmuse", "element_score": None},
    )

    def rows(self, source: Path, target: str, intake: Intake) -> Iterator[RawRow]:
        intake.scale = (1, 5) if target == "total_score" else (0, 1)
        for path in find_files(source, "train_list.json"):
            images = _Images(folder_of(path))
            table = Table(path, intake)
            image = table.column(*_IMAGE_KEYS)
            for _, row in table.rows([image, "prompt", target]):
                name = text_of(row.values[image])
                place = images.find(name) if name else None
                ratings = _ratings(row.values[target], target)
                if _is_meaningless(row.values):
                    intake.skip("prompt that raters found meaningless", row.where)
                elif not ratings:
                    intake.skip("no ratings", row.where)
                elif name is None or place is None:
                    intake.skip("no such image", f"{row.where}: {name}")
                else:
                    yield _row(row.values, name, place, ratings, target)


def _row(
    values: dict[str, Any], name: str, place: ImagePlace, ratings: list[float], target: str
) -> RawRow:
    prompt = text_of(values["prompt"])
    return RawRow(
        name,
        place,
        fmean(ratings),
        text=prompt,
        groups=(f"prompt: {prompt or name}",),
        category=text_of(values.get("type")),
        ratings=tuple(ratings) if target == "total_score" else (),
    )


def _ratings(cell: Any, target: str) -> list[float]:
    """One number per rater; for elements, one per element: the share who found it."""
    if target == "total_score":
        return [n for n in map(number_of, cell or ()) if n is not None]
    return [fmean(votes) for votes in _elements(cell).values() if votes]


def _elements(cell: Any) -> dict[str, list[float]]:
    """The votes by element; the file has them as the text of a Python dict."""
    try:
        parsed = cast("object", ast.literal_eval(cell) if isinstance(cell, str) else cell)
    except (ValueError, SyntaxError):
        return {}
    return cast("dict[str, list[float]]", parsed) if isinstance(parsed, dict) else {}


def _is_meaningless(values: dict[str, Any]) -> bool:
    """Whether most raters said so. "promt" is how the file spells it."""
    votes = values.get("promt_meaningless") or values.get("prompt_meaningless") or [0]
    return fmean(votes) > 0.5


class _Images:
    """Images of a folder, and of the archives in it."""

    def __init__(self, folder: Path) -> None:
        self._files = [Files(folder), *map(Files, sorted(folder.glob("*.zip")))]

    def find(self, name: str) -> ImagePlace | None:
        return next((place for files in self._files if (place := files.find(name))), None)
