"""What a point of the grid sets in a run: values, names that stand for several, a world's draws."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from ...data.arrow import atomic_path
from ...data.errors import ConfigError
from ...data.micro.graded import GradedWorld
from ..config import parse_config
from ..runs.worlds import world_file_name

Named = Mapping[str, Mapping[str, Mapping[str, Any]]]

DRAW_KEYS: Mapping[str, str] = {
    "rubric": "world.draw.rubric_seed",
    "data": "world.draw.data_seed",
}
"""Keys of a grid that draw the world anew; the one lies within the other in this order."""


def set_point(fields: dict[str, Any], point: Mapping[str, Any], named: Named) -> None:
    """Set what the values of a point stand for, a later key's over an earlier one's."""
    for key, value in point.items():
        own = {DRAW_KEYS.get(key, key): value}
        for dotted, meant in named.get(key, {}).get(str(value), own).items():
            _set(fields, dotted, meant)


def refuse_unknown_names(grid: Mapping[str, Any], named: Named, source: str) -> None:
    """Raises ConfigError for names of a key that the grid does not vary."""
    unknown = next((key for key in named if key not in grid), None)
    if unknown is not None:
        raise ConfigError(f"{source}: `named.{unknown}` names values of a key that `grid` lacks")


def enter_world(fields: dict[str, Any], folder: Path, source: str) -> None:
    """Replace `world` by its file under `folder`, which judge and optimizer then read.

    Raises ConfigError for a knob that is none, or for draws without a world.
    """
    given = fields.pop("world", None)
    if given is None:
        return
    world = parse_config(GradedWorld, given, f"{source}, world")
    text = world.model_dump_json(indent=2) + "\n"
    path = folder / world_file_name(text.encode())
    if not path.exists():
        with atomic_path(path) as temporary:
            temporary.write_text(text, "utf-8")
    _set(fields, "judge.model", str(path))
    _set(fields, "optimizer.engine.model", str(path))


def _set(fields: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key without touching the groups that other cells share."""
    name, _, rest = key.partition(".")
    if not rest:
        fields[name] = value
        return
    group = dict(cast("dict[str, Any]", fields.get(name) or {}))
    _set(group, rest, value)
    fields[name] = group
