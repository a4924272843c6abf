"""Finding the columns of a table: which column plays which role."""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..examples import CRITERION
from ..file_names import composed
from ..label_sets import spelling
from ..problems import Problems
from ..shown import shortened
from ..tasks import Task

Role = str
"""What a column is for: one of ROLES, or the role of an image in the task."""

ROLES: tuple[Role, ...] = (
    *("image", "image_b", "text", "label", "group", "category"),
    *("id", "split", "rater", "ratings", "comment"),
)

ALIASES: dict[Role, tuple[str, ...]] = {
    "image": (
        *("file_name", "filename", "fname", "image_path", "image_file", "image_url"),
        *("img", "img_path", "path", "images"),
    ),
    "image_b": (),
    "text": ("prompt", "caption", "description"),
    "label": ("human_label", "rating", "score", "safety_label", "annotation", "class", "choice"),
    "group": ("group_id", "prompt_id"),
    "category": ("classification",),
    "id": ("example_id", "item_id", "uid", "uuid"),
    "split": (),
    "rater": (
        *("annotator", "worker", "participant", "labeler", "coder"),
        *("rater_id", "annotator_id", "worker_id", "workerid", "participant_id"),
    ),
    "ratings": (),
    "comment": ("comments", "rationale", "explanation"),
}
"""Names under which a column is found, in any case and with a space, hyphen or underscore between
words; the role's own name goes first."""

PAIR_ALIASES: dict[Role, tuple[str, ...]] = {
    "image": ("image_a", "image_0", "image0", "left_image"),
    "image_b": ("image_1", "image1", "right_image"),
    "label": (*ALIASES["label"], "winner", "preference", "preferred"),
}
"""For pairs, in place of those above."""

_ONE_RATERS = re.compile(
    r"(label|rating|score|annotation|annotator|rater|worker|coder|vote|answer|r)[ _-]?(\d+)"
)
"""Names of columns that hold the answers of one annotator each."""
_ANSWERS = ".responses"
"""What Argilla's columns of answers end with."""
_FIELD = re.compile(r"\{([^{}]+)\}")
"""A column in a path: "before/{name}"."""


@dataclass(frozen=True, slots=True)
class FoundColumns:
    """roles: the column of each role that has one; of an image also a path with columns in braces.
    ratings: columns of one annotator each. criteria: the column of each criterion that has one.
    """

    roles: dict[Role, str]
    ratings: list[str]
    criteria: dict[str, str] = field(default_factory=dict[str, str])

    def names(self) -> set[str]:
        of_paths = (column for name in self.roles.values() for column in columns_in(name))
        return {*self.roles.values(), *of_paths, *self.ratings, *self.criteria.values()}


def match_columns(
    source: str,
    names: Sequence[str],
    given: Mapping[str, str],
    task: Task,
    *,
    criteria: Mapping[str, str] | None = None,
    ratings: Sequence[str] = (),
    images: Sequence[str] = (),
    needs_labels: bool = True,
) -> FoundColumns:
    """The columns that are read; `given` goes first, an empty name leaves a role out.

    criteria: the column of answers to a criterion; others are found under criterion_NAME.
    ratings: columns of one annotator each, as far as they are named; without a label column those
    called rating_1, rating_2 and so on are taken. images: columns that the source knows to hold
    images, of use where no name tells.

    Raises DataError for a role or column that does not exist, a needed role without a column, and
    a role for which several columns could be meant.
    """
    problems = Problems(source)
    given = {role: _as_there(name, names) for role, name in given.items()}
    criteria = {name: _as_there(column, names) for name, column in (criteria or {}).items()}
    ratings = [_as_there(name, names) for name in ratings]
    _check_given(problems, names, given, task, ratings)
    of_criteria = _criteria(problems, names, criteria, task)
    problems.raise_if_any()
    found: dict[Role, str] = {}
    for role in roles_of(task):
        aliases = aliases_of(role, task)
        # A role may be called as the column of something else: annotator, group_id.
        free = names if role in task.images else _without(names, found, task)
        name = given[role] if role in given else _detected(problems, role, aliases, free)
        if name is None and role == "image" and len(images) == 1:
            name = images[0]
        if name:
            found[role] = name
    if "label" not in found and "label" not in given and not ratings:
        ratings = _numbered_ratings(_without(names, found, task))
        _check_cases(problems, ratings)
    has_labels = "label" in found or "ratings" in found or bool(ratings) or not needs_labels
    for role in roles_of(task):
        is_needed = role in (*task.image_columns, "text") or (role == "label" and not has_labels)
        if role not in found and is_needed:
            # What a folder of images tells is no other image, and no text.
            spare = {*names} - {*found.values(), "image", "label", "split"}
            problems.add(f"column for the {role}", _missing(role, task, names, spare))
    problems.raise_if_any()
    return FoundColumns(found, list(ratings), of_criteria)


def _as_there(name: str, names: Sequence[str]) -> str:
    """A column, or a path with columns in braces, in the Unicode form that the table has."""
    forms = {composed(one): one for one in names}
    path = _FIELD.sub(lambda found: f"{{{forms.get(composed(found[1]), found[1])}}}", name)
    return name if name in names else forms.get(composed(name), path)


def _without(names: Sequence[str], found: Mapping[Role, str], task: Task) -> list[str]:
    """The columns that no role of an image is read from."""
    taken = {column for role in task.images if role in found for column in columns_in(found[role])}
    return [name for name in names if name not in taken]


def column_of(role: Role, names: Sequence[str], *, is_pairwise: bool = False) -> str | None:
    """The first column that a role could be read from, before there is a task."""
    return next(iter(_columns_called(role, _aliases(role, is_pairwise), names)), None)


def is_header(names: Sequence[str], task: Task) -> bool:
    """Whether names are those of the images and of one more role."""
    found = {
        role for role in roles_of(task) if _columns_called(role, aliases_of(role, task), names)
    }
    return {*task.image_columns} < found


def roles_of(task: Task) -> tuple[Role, ...]:
    """What columns of a table are for in a task: its images first."""
    others = (role for role in ROLES if role not in ("image", "image_b"))
    return (*task.image_columns, *(r for r in others if r != "text" or task.carries_text))


def aliases_of(role: Role, task: Task) -> tuple[str, ...]:
    """Other names under which the column of a role is found."""
    if role in task.images:
        return (f"{role}_image", f"image_{role}", f"{role}_path", f"{role}_file", f"{role}_url")
    return _aliases(role, task.is_pairwise)


def _aliases(role: Role, is_pairwise: bool) -> tuple[str, ...]:
    return (PAIR_ALIASES if is_pairwise else {}).get(role, ALIASES[role])


def columns_in(name: str) -> list[str]:
    """The columns that a role is read from: the one of the name, or those in braces of a path."""
    return _FIELD.findall(name) or [name]


def cell_of(name: str, values: Mapping[str, Any]) -> Any:
    """The cell of a role in a row: that of the column, or a path with cells filled in.

    None for a path of which a cell is empty.
    """
    if name in values or not _FIELD.search(name):
        return values.get(name)
    cells = {column: str(values.get(column) or "").strip() for column in columns_in(name)}
    return _FIELD.sub(lambda found: cells[found[1]], name) if all(cells.values()) else None


def companions(label: str, task: Task) -> tuple[str, ...]:
    """Columns beside that of the label: who answered and how far it got, or the two models."""
    if label.endswith(_ANSWERS):
        return (f"{label}.users", f"{label}.status")
    return ("model_a", "model_b") if task.is_pairwise else ()


def _missing(role: Role, task: Task, names: Sequence[str], spare: Collection[str]) -> str:
    """What to do about a role without a column. spare: the columns that it could be read from."""
    looked_for = ", ".join((role, *aliases_of(role, task)))
    if role != "label" and not spare:
        needed = [*task.image_columns, *(["text"] if task.carries_text else [])]
        return (
            f"none of {looked_for}, and no other column that could be it: give a table (csv, "
            "jsonl, Parquet), or put a metadata.csv into the folder, with the columns "
            f"{', '.join(needed)} ({_listed(names)})"
        )
    more = ""
    if role in task.images:
        more = f", or put paths together with --column '{role}=FOLDER/{{COLUMN}}'"
    if role == "label":
        more = (
            ", or the columns of several annotators with --ratings COLUMN,COLUMN; images without "
            "labels are for `blpo judge`, which takes this table as it is, and for `blpo label`, "
            "which makes a page to label them on"
        )
    return f"none of {looked_for}; name it with --column {role}=COLUMN{more} ({_listed(names)})"


def _check_given(
    problems: Problems,
    names: Sequence[str],
    given: Mapping[str, str],
    task: Task,
    ratings: Sequence[str],
) -> None:
    roles = (*task.images, *ROLES[2:]) if task.images else ROLES
    for role, name in given.items():
        if role not in roles:
            problems.add(f"--column {role}={name}", f"no such role; roles: {', '.join(roles)}")
        elif role in task.image_columns and set(columns_in(name)) <= set(names):
            continue
        elif name and name not in names:
            problems.add(f"--column {role}={name}", f"no such column; {_listed(names)}")
    images = [given[role] for role in task.image_columns if given.get(role)]
    for name in dict.fromkeys(name for name in images if images.count(name) > 1):
        problems.add(f"--column ...={name}", "is named for several images of an example")
    for name in ratings:
        if name not in names:
            problems.add(f"--ratings {name}", f"no such column; {_listed(names)}")


def _criteria(
    problems: Problems, names: Sequence[str], given: Mapping[str, str], task: Task
) -> dict[str, str]:
    """The column of each criterion that has one; an empty name leaves one out."""
    own = [criterion.name for criterion in task.criteria]
    for criterion, name in given.items():
        if criterion not in own:
            told = f"those of task {task.name}: {', '.join(own)}" if own else "the task has none"
            problems.add(f"--criterion {criterion}={name}", f"no such criterion; {told}")
        elif name and name not in names:
            problems.add(f"--criterion {criterion}={name}", f"no such column; {_listed(names)}")
    detected = {name: f"{CRITERION}{name}" for name in own if f"{CRITERION}{name}" in names}
    return {criterion: name for criterion, name in (detected | dict(given)).items() if name}


def _detected(
    problems: Problems, role: Role, aliases: Sequence[str], names: Sequence[str]
) -> str | None:
    """The column of a role; more than one that could be meant are a problem."""
    matches = _columns_called(role, aliases, names)
    if not matches and role == "label":
        matches = [name for name in names if name.endswith(_ANSWERS)]
    if len(matches) > 1:
        listed = ", ".join(name if name == name.strip() else repr(name) for name in matches)
        problems.add(
            f"column for the {role}", f"could be {listed}; choose with --column {role}=COLUMN"
        )
    return matches[0] if matches else None


def _columns_called(role: Role, aliases: Sequence[str], names: Sequence[str]) -> list[str]:
    """Columns with a name of a role, else those that end in such a name ("data.image")."""
    matches = _named(role, aliases, {name: name for name in names})
    inner = {name: name.rpartition(".")[2] for name in names if "." in name}
    return matches or _named(role, aliases, inner)


def _named(role: Role, aliases: Sequence[str], short: Mapping[str, str]) -> list[str]:
    """Columns that are called after the role, or without any under another of its names."""
    by_spelling: defaultdict[str, list[str]] = defaultdict(list)
    for name, words in short.items():
        by_spelling[spelling(words.strip())].append(name)
    others = dict.fromkeys(map(spelling, aliases))
    return by_spelling[spelling(role)] or [name for one in others for name in by_spelling[one]]


def _numbered_ratings(names: Sequence[str]) -> list[str]:
    """Columns called rating_1, rating_2 and so on, of one stem; none if there are not two."""
    stems: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        match = _ONE_RATERS.fullmatch(name.strip().lower())
        if match:
            stems[match[1]].append(name)
    several = [columns for columns in stems.values() if len(columns) > 1]
    return several[0] if len(several) == 1 else []


def _check_cases(problems: Problems, ratings: Sequence[str]) -> None:
    """Two columns whose names read alike are no two annotators."""
    firsts: dict[str, str] = {}
    for name in ratings:
        first = firsts.setdefault(spelling(name.strip()), name)
        if first != name:
            problems.add(
                "columns of annotators",
                f"{first} and {name} read alike; choose with --ratings COLUMN,COLUMN",
            )


def _listed(names: Sequence[str]) -> str:
    if not names:
        return "the table has no columns"
    return f"the table has: {', '.join(map(shortened, names))}"
