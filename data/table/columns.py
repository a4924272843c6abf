"""Finding the columns of a table: which column plays which role."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from ..problems import Problems
from ..tasks import Task

Role = Literal["image", "image_b", "text", "label", "group", "category", "id", "split", "comment"]

ALIASES: dict[Role, tuple[str, ...]] = {
    "image": ("file_name", "filename", "image_path", "image_file", "img", "img_path", "path"),
    "image_b": (),
    "text": ("prompt", "caption", "description"),
    "label": ("human_label", "rating", "score", "safety_label", "annotation", "class"),
    "group": ("group_id", "prompt_id"),
    "category": ("classification",),
    "id": ("example_id", "item_id", "uid", "uuid"),
    "split": (),
    "comment": ("comments", "rationale", "explanation"),
}
"""Names under which a column is found, in any case; the role's own name goes first."""

_PAIR_ALIASES: dict[Role, tuple[str, ...]] = {
    "image": ("image_a", "image_0", "image0", "left_image"),
    "image_b": ("image_1", "image1", "right_image"),
}
"""For the two images of a pair, in place of those above."""

_ROLES: tuple[Role, ...] = get_args(Role)
_NEEDED = ("image", "image_b", "text", "label")


def match_columns(
    source: str, names: Sequence[str], given: Mapping[str, str], task: Task
) -> dict[Role, str]:
    """The column of each role that has one; `given` goes first, an empty name leaves a role out.

    Raises DataError for a role or column that does not exist, a needed role without a column, and
    a role for which several columns could be meant.
    """
    problems = Problems(source)
    _check_given(problems, names, given)
    problems.raise_if_any()
    found: dict[Role, str] = {}
    for role in _ROLES:
        if _is_left_out(role, task):
            continue
        aliases = (_PAIR_ALIASES if task.is_pairwise else {}).get(role, ALIASES[role])
        name = given[role] if role in given else _detected(problems, role, aliases, names)
        if name:
            found[role] = name
        elif role in _NEEDED:
            looked_for = ", ".join((role, *aliases))
            remedy = f"name it with --column {role}=COLUMN ({_listed(names)})"
            problems.add(f"column for the {role}", f"none of {looked_for}; {remedy}")
    problems.raise_if_any()
    return found


def _check_given(problems: Problems, names: Sequence[str], given: Mapping[str, str]) -> None:
    for role, name in given.items():
        if role not in _ROLES:
            problems.add(f"--column {role}={name}", f"no such role; roles: {', '.join(_ROLES)}")
        elif name and name not in names:
            problems.add(f"--column {role}={name}", f"no such column; {_listed(names)}")


def _is_left_out(role: Role, task: Task) -> bool:
    """Whether the task has no use for a role."""
    return (role == "text" and not task.carries_text) or (
        role == "image_b" and not task.is_pairwise
    )


def _detected(
    problems: Problems, role: Role, aliases: Sequence[str], names: Sequence[str]
) -> str | None:
    by_lower: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        by_lower[name.strip().lower()].append(name)
    matches = by_lower[role] or [name for alias in aliases for name in by_lower[alias]]
    if len(matches) > 1:
        listed = ", ".join(name if name == name.strip() else repr(name) for name in matches)
        problems.add(
            f"column for the {role}", f"could be {listed}; choose with --column {role}=COLUMN"
        )
    return matches[0] if matches else None


def _listed(names: Sequence[str]) -> str:
    return f"the table has: {', '.join(names)}" if names else "the table has no columns"
