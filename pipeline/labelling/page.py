"""The labelling page: one HTML file with everything in it, for any browser, without a network."""

import hashlib
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import chain, count
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from ...data.arrow import atomic_path, refuse_output
from ...data.image_names import image_names
from ...data.tasks import TIE, Task
from .images import Shown, path_starts, shown_images

_FOLDER = "templates"
_LETTERS = "abdefghijklmnopqrstvwxy"
"""Keys of labels beyond the ninth; c, u and z mean something else."""
_SIDES = {"A": ("left", "Left"), "B": ("right", "Right"), TIE: (None, "No difference")}


@dataclass(frozen=True, slots=True)
class LabelPage:
    """A page that was written. next_command: what takes its csv. earlier: the dataset that is there
    already, so that the command writes another; None where there is none. alone_command: what takes
    the csv without the labels of the earlier dataset, such as one that holds the same images; the
    next command where there is none."""

    path: Path
    num_images: int
    num_bytes: int
    keys: dict[str, str]
    next_command: str
    alone_command: str
    earlier: Path | None = None


def write_label_page(
    source: Path,
    task: Task,
    task_name: str,
    out: Path,
    max_pixels: int,
    *,
    image_root: Path | None = None,
    columns: Mapping[str, str] | None = None,
    more: Sequence[Path] = (),
    overwrite: bool = False,
) -> LabelPage:
    """Write the page on which the images of a folder or table are labelled, or of several.

    task_name: as the user named the task. image_root: what paths in a table start from, its folder
    if not given. columns, more: as `shown_images` takes them.
    Raises DataError for images that cannot be read and for an output that is there.
    """
    sources = (source, *more)
    for read in sources:
        refuse_output(out, read, ".html", overwrite=overwrite)
    shown = shown_images(source, task, max_pixels, image_root, columns, more)
    dataset = _dataset_of(task, task_name)
    unused = unused_path(dataset)
    roots = path_starts(sources, image_root)
    command = _import_command(task_name, roots, dataset, unused)
    choices = label_choices(task)
    html = _html(task, shown, choices, command)
    with atomic_path(out, overwrite=overwrite) as temporary:
        temporary.write_text(html, "utf-8")
    keys = {choice["key"]: choice["shown"] for choice in choices}
    earlier = None if unused == dataset else dataset
    alone = _import_command(task_name, roots, unused, unused)
    return LabelPage(out, len(shown), out.stat().st_size, keys, command, alone, earlier)


def label_command(table: Path, task_name: str, image_root: Path) -> str:
    """What makes a page of a table of images, under a name that is not taken."""
    page = unused_path(table.with_suffix(".html"))
    words = ("blpo", "label", str(table), "--task", task_name, "--image-root", str(image_root))
    return shlex.join((*words, "--out", str(page)))


def _import_command(task_name: str, roots: Sequence[Path], dataset: Path, unused: Path) -> str:
    """What takes the csv; where there is a dataset already, with the labels that it is made of."""
    tables, starts, split = ["LABELS.csv"], [*dict.fromkeys(map(str, roots))], list[str]()
    if unused != dataset:
        tables, starts = ["EARLIER.csv", *tables], ["EARLIER-IMAGES", *starts]
        split = ["--split-as", str(dataset)]
    options = [part for start in starts for part in ("--image-root", start)]
    words = ("blpo", "import", "table", *tables, "--task", task_name, *options, *split)
    return shlex.join((*words, "--out", str(unused)))


def _dataset_of(task: Task, task_name: str) -> Path:
    """Where `blpo init` expects the dataset: beside the task file."""
    path = Path(task_name)
    return path.with_suffix(".parquet") if path.suffix else Path(f"{task.name}.parquet")


def unused_path(path: Path) -> Path:
    """The path, or one with the first number from 2 behind its name under which nothing is."""
    numbered = (path.with_stem(f"{path.stem}-{number}") for number in count(2))
    return next(one for one in chain([path], numbered) if not one.exists())


def label_choices(task: Task) -> list[dict[str, Any]]:
    """A button for each label: its key, what it shows, and for a pair which side it is.

    Pairs are shown in an order of the annotator's own, so their buttons name sides.
    """
    labels = task.labels
    if task.is_pairwise:
        labels = tuple(label for label in ("A", TIE, "B") if label in labels)
    are_digits = all(label.isdigit() and len(label) == 1 for label in labels)
    keys = labels if are_digits else (*"123456789", *_LETTERS)
    choices: list[dict[str, Any]] = []
    for key, label in zip((*keys, *[""] * len(labels)), labels, strict=False):
        side, shown = _SIDES[label] if task.is_pairwise else (None, label)
        choices.append({"label": label, "key": key, "shown": shown, "side": side})
    return choices


def _html(
    task: Task, shown: Sequence[Shown], choices: Sequence[dict[str, Any]], command: str
) -> str:
    environment = Environment(
        loader=PackageLoader(__package__ or "", _FOLDER), autoescape=select_autoescape(("j2",))
    )
    return environment.get_template("label.html.j2").render(
        task=task,
        is_title=_bare(task.judge_prompt) == _bare(task.description),
        set_json=_script_json(_described(task, shown, choices, command)),
        images=[source for one in shown for source in one.sources],
        css=Markup(_own("label.css")),
        js=Markup(_own("label.js")),
    )


def _described(
    task: Task, shown: Sequence[Shown], choices: Sequence[dict[str, Any]], command: str
) -> dict[str, Any]:
    """What the script of the page is told: the labels, and what is labelled."""
    per_item = len(shown[0].sources)
    items = [
        {
            "key": one.key,
            "cells": one.cells,
            "text": one.cells.get("text"),
            "images": list(range(i * per_item, (i + 1) * per_item)),
        }
        for i, one in enumerate(shown)
    ]
    return {
        "id": _set_id(task, shown),
        "task": task.name,
        "labels": list(task.labels),
        "choices": list(choices),
        "pairs": task.is_pairwise,
        "names": ["left", "right"] if task.is_pairwise else image_names(task.images, 0),
        "columns": [*shown[0].cells, "rater", "label", "comment"],
        "next": command,
        "items": items,
    }


def _bare(text: str) -> str:
    """Without what makes no other question of a text."""
    return " ".join(text.split()).rstrip(".?!").casefold()


def _set_id(task: Task, shown: Sequence[Shown]) -> str:
    """Of the labels and of what is labelled: labels of another set are not mixed in."""
    digest = hashlib.sha256(json.dumps([task.name, task.labels]).encode())
    for one in shown:
        digest.update(json.dumps([one.key, *one.sources]).encode())
    return digest.hexdigest()[:16]


def _script_json(value: object) -> Markup:
    """JSON that cannot end the script it stands in."""
    return Markup(json.dumps(value, ensure_ascii=False).replace("<", "\\u003c"))


def _own(name: str) -> str:
    return (files(__package__ or "") / _FOLDER / name).read_text("utf-8")
