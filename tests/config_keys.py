"""The keys of configuration models as tables of the documentation give them."""

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

_KINDS: Mapping[Any, str] = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true, false",
    Path: "path",
    Any: "any",
}
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def key_rows(model: type[BaseModel]) -> dict[str, tuple[str, str]]:
    """What a model's own keys take, and their defaults, as cells of Markdown.

    Keys that are models themselves are left out: they are tables of their own.
    """
    return {
        f"`{name}`": (_values(field), _default(field))
        for name, field in model.model_fields.items()
        if section_of(field) is None
    }


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model behind a key that is a group of keys."""
    for part in (field.annotation, *get_args(field.annotation)):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None


def yaml_text(value: Any) -> str:
    """A value as a run file spells it."""
    if isinstance(value, Path | str):
        return f"`{value}`" if str(value) else '`""`'
    return f"`{json.dumps(value)}`"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    return yaml_text(field.get_default(call_default_factory=True))


def _values(field: FieldInfo) -> str:
    bounds = [
        f"{word} {getattr(bound, name):g}"
        for bound in field.metadata
        for name, word in _BOUNDS.items()
        if hasattr(bound, name)
    ]
    return ", ".join([_kind(field.annotation), *bounds])


def _kind(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(arguments[0])
    if origin is Literal:
        return ", ".join(yaml_text(value) for value in arguments)
    if origin in {Union, UnionType}:
        parts = [_kind(part) for part in arguments if part is not NoneType]
        return ", ".join(parts)
    if origin is not None:
        inner = [_kind(part) for part in arguments if part is not Ellipsis]
        return f"{'map' if origin is dict else 'list'} of {inner[-1]}"
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return ", ".join(yaml_text(str(member)) for member in annotation)
    return _KINDS[annotation]
