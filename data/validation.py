"""What pydantic finds wrong with a settings file: a line for each key, in the words of YAML."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, TypeVar, cast, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from .errors import BlpoError
from .near_words import did_you_mean
from .redaction import redacted

Model = TypeVar("Model", bound=BaseModel)

_Location = Sequence[str | int]
Sources = Mapping[tuple[str, ...], str]
"""Where values come from, by the parts of their dotted keys."""

_QUOTES = "'\""

_GROUP, _LIST, _TEXT, _PATH = "a group of keys", "a list", "text", "a path"
_EXPECTED: Mapping[str, str] = {
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type", "mapping_type"), _GROUP),
    **dict.fromkeys(("tuple_type", "list_type", "set_type", "frozen_set_type"), _LIST),
    "string_type": _TEXT,
    **dict.fromkeys(
        ("int_type", "int_parsing", "int_from_float", "int_parsing_size"), "a whole number"
    ),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    "finite_number": "a finite number",
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    "path_type": _PATH,
}
"""What should stand there, by the type of the problem."""

_BRANCH = re.compile(r"(literal|function-\w+|nullable|list|tuple|dict)\[.*|constrained-\w+|\[key\]")
"""What pydantic puts behind a key to say which of several types a problem is about."""


def validated(
    model: type[Model],
    fields: Mapping[str, Any],
    source: str,
    error: type[BlpoError],
    sources: Sources = MappingProxyType({}),
) -> Model:
    """The model of plain values, as YAML and JSON hold them.

    sources: where the values of a key and those under it come from, if not from `source`.

    Raises `error` with a line for each key: source, key, value, what is wrong. A value of another
    type that could be read as a number or as true or false is wrong, too.
    """
    try:
        found = model.model_validate(fields)
    except ValidationError as problem:
        raise error(validation_message(problem, source, model, sources)) from None
    converted = [
        f"{_source_of(location, source, sources)}: {told}"
        for location, told in _converted(fields, found.model_dump())
    ]
    if converted:
        raise error("\n".join(converted))
    return found


def _source_of(location: _Location, source: str, sources: Sources) -> str:
    """Where the value at a location comes from: what is named for the longest part of it."""
    parts = (tuple(map(str, location[:length])) for length in range(len(location), 0, -1))
    return next((sources[part] for part in parts if part in sources), source)


def _converted(
    given: object, taken: object, location: _Location = ()
) -> Iterator[tuple[_Location, str]]:
    """Each value, however deep, that was taken for one of another type, and what is said of it."""
    if problem := _conversion(given, taken):
        quotes = ", without quotes" if isinstance(given, str) else ""
        key = ".".join(map(str, location))
        told = f"`{key}` is {redacted(_written(given))}: should be {_EXPECTED[problem]}{quotes}"
        yield location, told
    elif isinstance(given, Mapping) and isinstance(taken, Mapping):
        values, others = cast("Mapping[str, object]", given), cast("Mapping[str, object]", taken)
        for key in values:
            if key in others:
                yield from _converted(values[key], others[key], (*location, key))
    elif isinstance(given, list | tuple) and isinstance(taken, list | tuple):
        entries, others = cast("Sequence[object]", given), cast("Sequence[object]", taken)
        for place, (entry, other) in enumerate(zip(entries, others, strict=False)):
            yield from _converted(entry, other, (*location, place))


def _conversion(given: object, taken: object) -> str:
    """The type of the problem; empty where the value is what was given.

    Numbers with a point may be in quotes: YAML reads 1e-1 as text.
    """
    match taken:
        case bool():
            return "" if isinstance(given, bool) else "bool_type"
        case int():
            return "int_type" if isinstance(given, bool | str | float) else ""
        case float():
            return "float_type" if isinstance(given, bool) else ""
        case _:
            return ""


def validation_message(
    error: ValidationError,
    source: str,
    model: type[BaseModel],
    sources: Sources = MappingProxyType({}),
) -> str:
    """One line per key: source, key, value, what is wrong; a close known key for a typo.

    sources: as of `validated`.
    """
    by_location: dict[tuple[str | int, ...], list[dict[str, Any]]] = {}
    for problem in error.errors(include_url=False):
        location = tuple(part for part in problem["loc"] if not _BRANCH.fullmatch(str(part)))
        by_location.setdefault(location, []).append(dict(problem))
    return "\n".join(
        f"{_source_of(location, source, sources)}: {_told(location, problems, model)}"
        for location, problems in by_location.items()
    )


def _told(location: _Location, problems: Sequence[dict[str, Any]], model: type[BaseModel]) -> str:
    """What is wrong with one key. problems: one for each type that the key may have."""
    key = ".".join(map(str, location))
    first = problems[0]
    if first["type"] in ("extra_forbidden", "invalid_key"):
        return f"unknown key `{key}`{_suggestion(str(location[-1]), _known_keys(model, location))}"
    if first["type"] == "missing":
        return f"key `{key}` is missing"
    message = _alternatives(problems) if len(problems) > 1 else _message(first)
    message += _meant(problems)
    if not key:
        return message
    if first["input"] is None:
        field = _field(model, location)
        dropped = "" if field is not None and field.is_required() else ", or drop the key"
        return f"`{key}` is empty: {message}{dropped}"
    return f"`{key}` is {redacted(_written(first['input']))}: {message}"


def _alternatives(problems: Sequence[dict[str, Any]]) -> str:
    """All that may stand there."""
    expected = [part for problem in problems for part in _choices(problem)]
    return f"should be {', '.join(expected[:-1])} or {expected[-1]}"


def _meant(problems: Sequence[dict[str, Any]]) -> str:
    """The word that a misspelt one is like; empty for any other value."""
    of_words = [problem for problem in problems if problem["type"] == "literal_error"]
    words = [word.strip(_QUOTES) for problem in of_words for word in _choices(problem)]
    return did_you_mean(str(problems[0]["input"]), words)


def _choices(problem: dict[str, Any]) -> list[str]:
    if problem["type"] == "literal_error":
        return re.findall("'[^']*'", problem["ctx"]["expected"])
    return [_EXPECTED.get(problem["type"]) or _message(problem).removeprefix("should be ")]


def _message(problem: dict[str, Any]) -> str:
    value, context = problem["input"], problem.get("ctx", {})
    if problem["type"] in ("too_short", "string_too_short"):
        least = context["min_length"]
        return "should not be empty" if least == 1 else f"needs {least} or more"
    expected = _EXPECTED.get(problem["type"])
    if expected is None:
        return str(problem["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    is_one = isinstance(value, str | int | float) and value != ""
    if expected == _LIST and is_one:
        return f"should be a list, such as [{_written(value).strip(_QUOTES)}]"
    if expected in (_TEXT, _PATH) and is_one:
        return f"should be {expected}: put it in quotes"
    return f"should be {expected}"


def _written(value: object) -> str:
    """A value as YAML has it, with its texts in quotes."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, list | tuple):
        entries = cast("Sequence[object]", value)
        return f"[{', '.join(map(_written, entries))}]"
    if isinstance(value, Mapping):
        items = cast("Mapping[object, object]", value).items()
        return f"{{{', '.join(f'{key}: {_written(entry)}' for key, entry in items)}}}"
    return repr(str(value) if isinstance(value, PurePath) else value)


def _suggestion(key: str, known: Sequence[str]) -> str:
    all_known = f"; known keys: {', '.join(known)}" if known else ""
    return did_you_mean(key, known, "`{}`".format) or all_known


def _known_keys(model: type[BaseModel], location: _Location) -> list[str]:
    """Keys of the (nested) model that holds the last key of `location`."""
    holder = _holder(model, location)
    return [] if holder is None else list(holder.model_fields)


def _field(model: type[BaseModel], location: _Location) -> FieldInfo | None:
    holder = _holder(model, location)
    return None if holder is None else holder.model_fields.get(str(location[-1]))


def _holder(model: type[BaseModel], location: _Location) -> type[BaseModel] | None:
    """The (nested) model that holds the last key of `location`."""
    for part in location[:-1]:
        field = model.model_fields.get(str(part))
        nested = _model_in(field.annotation) if field else None
        if nested is None:
            return None
        model = nested
    return model


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(argument) for argument in get_args(annotation))
    return next((model for model in found if model is not None), None)
