"""Reading one row of a table: values checked, the image decoded to its last pixel."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..errors import DataError
from ..images import ImageFacts, check_image
from ..label_sets import spelling, unknown_label
from ..shown import shortened
from ..sources.base import SplitName, TableRow, split_of
from ..tasks import Criterion, Task, label_text
from .cells import FoundImage, ImageReader
from .columns import Role, cell_of, columns_in, companions
from .labels import LabelReader
from .raters import consensus
from .ratings import Rating, ratings_in, single
from .records import Problem, Record

_NO_IMAGE = FoundImage(b"")


@dataclass(slots=True)
class _Noticed:
    """What comes up while a row is read."""

    problems: list[Problem] = field(default_factory=list[Problem])
    renamed: list[str] = field(default_factory=list[str])
    spellings: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    facts: list[ImageFacts] = field(default_factory=list[ImageFacts])

    def problem(self, reason: str, message: str, remedy: str = "") -> None:
        self.problems.append(Problem(reason, message, remedy))


@dataclass(frozen=True)
class RowReader:
    """Reads rows of a table under the columns found for the roles.

    ratings: columns of one annotator each. needs_labels: whether a row without one has a problem.
    criteria: the column of annotators' answers by criterion.
    """

    columns: Mapping[Role, str]
    task: Task
    images: ImageReader
    label_map: Mapping[str, str] = field(default_factory=dict[str, str])
    ratings: Sequence[str] = ()
    needs_labels: bool = True
    criteria: Mapping[str, str] = field(default_factory=dict[str, str])

    @cached_property
    def wanted(self) -> list[str]:
        """The columns that are read."""
        read = [
            column
            for role, name in self.columns.items()
            for column in (columns_in(name) if role in self.image_roles else [name])
        ]
        own = [*read, *self.ratings, *self.criteria.values(), *self._beside]
        return list(dict.fromkeys(own))

    @cached_property
    def _beside(self) -> tuple[str, ...]:
        return companions(self.columns.get("label", ""), self.task)

    def is_empty(self, row: TableRow) -> bool:
        """Whether nothing stands in any of the columns that are read."""
        return all(_is_blank(row.values.get(name)) for name in self.wanted)

    def record(self, number: int, row: TableRow) -> Record:
        """Checks one row to the last pixel of its image; safe to call from many threads."""
        noticed = _Noticed()
        found = [self._checked_image(row, role, noticed) for role in self.image_roles]
        hashes = [hashlib.sha256(image.data).hexdigest() for image in found]
        text = self._text(row, noticed)
        default_id = _default_id(found, hashes, text)
        answers = self._ratings(row, noticed)
        label, score = self._label(row, answers, noticed)
        criteria = self._criteria(row, noticed)
        has_object = _is_object(self._cell(row, "comment"))
        return Record(
            row=number,
            where=row.where,
            example_id=self._string(row, "id") or default_id,
            default_id=default_id,
            image_hash=hashes[0],
            text=text,
            label=label,
            group=self._group(row, text, hashes[0]),
            category=self._string(row, "category"),
            split=self._split(row, noticed),
            problems=tuple(noticed.problems),
            renamed=tuple(noticed.renamed),
            spellings=tuple(noticed.spellings),
            rater=self._string(row, "rater"),
            ratings=answers if len(answers) > 1 else (),
            score=score,
            facts=tuple(noticed.facts),
            ways=tuple(image.how for image in found if image.how),
            further_hashes=tuple(hashes[1:]),
            comment=None if has_object else self._string(row, "comment"),
            has_unread_comment=has_object,
            criteria=criteria,
        )

    @property
    def image_roles(self) -> tuple[Role, ...]:
        """The roles of a row's images, in order."""
        return self.task.image_columns

    def image(self, row: TableRow, role: Role) -> FoundImage:
        """An image of a row; raises DataError when there is none."""
        return self.images.read(self._cell(row, role), row.folder, role)

    def web_addresses(self, row: TableRow) -> tuple[str, ...]:
        """Where the row's images are on servers, keys and all; "" for one that is on none."""
        cells = (self._cell(row, role) for role in self.image_roles)
        return tuple(self.images.web_address(cell, row.folder) or "" for cell in cells)

    def item_id(self, row: TableRow, found: Sequence[FoundImage], text: str | None) -> str:
        """The id that the row gives, or one after its images and text."""
        hashes = [hashlib.sha256(image.data).hexdigest() for image in found]
        return self._string(row, "id") or _default_id(found, hashes, text)

    def text(self, row: TableRow) -> str | None:
        """The row's own text, where the task carries one."""
        return self._string(row, "text") if self.task.carries_text else None

    def _checked_image(self, row: TableRow, role: Role, noticed: _Noticed) -> FoundImage:
        try:
            image = self.image(row, role)
            shown = self.images.shown(self._cell(row, role), role)
            noticed.facts.append(check_image(image.data, shown))
        except DataError as error:
            cause = error.cause or f"no usable {role}"
            noticed.problem(cause, error.fact, error.remedy)
            return _NO_IMAGE
        return image

    def _group(self, row: TableRow, text: str | None, image_hash: str) -> str:
        if self.columns.get("group") in {self.columns[role] for role in self.image_roles}:
            return image_hash
        return self._string(row, "group") or text or image_hash

    def _text(self, row: TableRow, noticed: _Noticed) -> str | None:
        text = self.text(row)
        if text is None and self.task.carries_text:
            noticed.problem("no text", "has no text: fill it in or drop the row")
        return text

    def _ratings(self, row: TableRow, noticed: _Noticed) -> tuple[str, ...]:
        """The labels of the annotators that the row holds."""
        ratings = [Rating(single(row.values.get(name)), name) for name in self.ratings]
        for role in ("label", "ratings"):
            beside = self._beside if role == "label" else ()
            raters, statuses = (row.values.get(name) for name in beside or ("", ""))
            ratings += ratings_in(self._cell(row, role), raters, statuses) or []
        read = [self._read(rating.cell, row, noticed) for rating in ratings]
        return tuple(label for label in read if label is not None)

    def _label(
        self, row: TableRow, answers: tuple[str, ...], noticed: _Noticed
    ) -> tuple[str, float | None]:
        """The label, "" without one, and the mean that it was rounded from."""
        cell = self._cell(row, "label")
        if not _is_blank(cell) and ratings_in(cell) is None:
            return self._read(single(cell), row, noticed) or self._no_label(noticed), None
        if not answers:
            return self._no_label(noticed), None
        if any(answer not in self.task.labels for answer in answers):
            return "", None
        found = consensus(answers, self.task)
        return found.label or "", found.score if len(answers) > 1 else None

    def _no_label(self, noticed: _Noticed) -> str:
        if self.needs_labels:
            noticed.problem("no label", "has no label: fill it in or drop the row")
        return ""

    def _read(self, cell: object, row: TableRow, noticed: _Noticed) -> str | None:
        """One annotator's label; one that is not declared is a problem."""
        text = "" if cell is None else label_text(cell)
        named = self.label_map.get(text) or self._renamed.get(spelling(text))
        if named:
            noticed.renamed.append(text)
        label = named or self._labels.read(self._winner(cell, row))
        if label is None:
            return None
        if label not in self.task.labels:
            noticed.problem(
                "a label that the task does not declare", unknown_label(label, self.task)
            )
        elif not named and label != text:
            noticed.spellings.append((text, label))
        return label

    def _criteria(self, row: TableRow, noticed: _Noticed) -> dict[str, str]:
        """Annotators' answers by criterion; one that its question does not have is a problem."""
        found: dict[str, str] = {}
        for criterion in self.task.criteria:
            column = self.criteria.get(criterion.name)
            cell = single(row.values.get(column)) if column else None
            answer = self._answer_readers[criterion.name].read(cell)
            if answer is None:
                continue
            if fault := criterion.fault(answer):
                noticed.problem(
                    "an answer that its criterion does not have",
                    f"criterion {criterion.name}: column {column} says {shortened(answer)!r}, "
                    f"which {fault}: correct it, or leave the cell empty",
                )
            found[criterion.name] = answer
        return found

    @cached_property
    def _answer_readers(self) -> dict[str, LabelReader]:
        return {one.name: _answer_reader(one, self.task) for one in self.task.criteria}

    @cached_property
    def _renamed(self) -> dict[str, str]:
        return {spelling(found): label for found, label in self.label_map.items()}

    def _winner(self, cell: object, row: TableRow) -> object:
        """A or B where the cell names the model that one of them is of."""
        if self.task.is_pairwise and isinstance(cell, str):
            models = {str(row.values.get(f"model_{side.lower()}")): side for side in "AB"}
            return models.get(cell, cell) if len(models) == 2 else cell
        return cell

    def _split(self, row: TableRow, noticed: _Noticed) -> SplitName | None:
        if "split" not in self.columns:
            return None
        name = self._string(row, "split") or ""
        split = split_of(name)
        if split is None:
            noticed.problem(
                "an unknown split",
                f"split {shortened(name)!r} is not one of train, test, validation: correct it, "
                "drop the row, or ignore the column with --column split=",
            )
        return split

    @cached_property
    def _labels(self) -> LabelReader:
        return LabelReader(self.task)

    def _cell(self, row: TableRow, role: Role) -> Any:
        name = self.columns.get(role, "")
        return cell_of(name, row.values) if role in self.image_roles else row.values.get(name)

    def _string(self, row: TableRow, role: Role) -> str | None:
        cell = single(self._cell(row, role))
        return None if cell is None or not str(cell).strip() else str(cell).strip()


def _answer_reader(criterion: Criterion, task: Task) -> LabelReader:
    """Reads answers to a criterion: its labels in any spelling; a probability as it is written."""
    labels = () if criterion.kind == "probability" else criterion.labels
    return LabelReader(task.model_copy(update={"labels": labels, "kind": "binary"}))


def _is_object(cell: object) -> bool:
    """Whether a cell is an object, other than the choices of Label Studio, and so no text."""
    return isinstance(cell, dict) and cell.keys() != {"choices"}


def _is_blank(cell: object) -> bool:
    return cell is None or cell == [] or (isinstance(cell, str) and not cell.strip())


def _default_id(found: Sequence[FoundImage], hashes: Sequence[str], text: str | None) -> str:
    """The images' paths or public addresses, else their hashes, and a hash of the text."""
    names = zip(found, hashes, strict=True)
    name = "|".join(image.name or image_hash[:16] for image, image_hash in names)
    return name if text is None else f"{name}#{hashlib.sha256(text.encode()).hexdigest()[:8]}"
