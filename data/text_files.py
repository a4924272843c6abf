"""Text files: read and parsed with errors that name the file, the line and the remedy."""

import json
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, cast

import yaml

from .errors import BlpoError, DataError
from .near_paths import did_you_mean

_NO_VALUE = (ValueError, OverflowError, LookupError, AttributeError, TypeError)
"""What PyYAML's constructors raise on a scalar that is no value of its tag's type."""


def read_text(path: Path | Traversable, error: type[BlpoError], what: str = "file") -> str:
    """A UTF-8 file's text, without a byte order mark; raises `error` where it is not one."""
    try:
        content = path.read_bytes()
    except OSError as problem:
        is_missing = isinstance(problem, FileNotFoundError)
        meant = did_you_mean(path) if is_missing and isinstance(path, Path) else ""
        raise error(f"{path}: cannot read the {what}: {problem.strerror}{meant}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content[: problem.start].count(b"\n") + 1
        raise error(
            f"{path}: line {line}: not UTF-8 text (byte {problem.start}): save the {what} as UTF-8"
        ) from None


def parse_yaml(content: str, source: str, error: type[BlpoError]) -> dict[str, Any]:
    """The mapping that YAML text holds; raises `error`, naming source and line, when it is none.

    A key that a mapping has twice is an error: YAML would keep the last one in silence.
    """
    loaded = parse_yaml_value(content, source, error)
    if not isinstance(loaded, dict):
        one = "nothing" if loaded is None else "one value"
        held = "a list" if isinstance(loaded, list) else one
        raise error(f"{source}: holds {held}, must hold `key: value` lines")
    return {str(key): value for key, value in cast("dict[object, Any]", loaded).items()}


def parse_yaml_value(content: str, source: str, error: type[BlpoError]) -> object:
    """The value that YAML text holds; raises `error`, naming source and line, for none."""
    try:
        return cast("object", yaml.load(content, Loader=_StrictLoader))
    except yaml.YAMLError as problem:
        raise error(f"{source}: not valid YAML: {_yaml_problem(problem, content)}") from problem
    except (*_NO_VALUE, RecursionError) as problem:
        raise error(f"{source}: not valid YAML: {problem}") from problem


def parse_json(content: str, source: str) -> object:
    """The value that JSON text holds; raises DataError, naming the source, when it holds none.

    A key that an object has twice is an error: Python would keep the last one in silence.
    """
    try:
        value = cast("object", json.loads(content, object_pairs_hook=_without_repeats))
        if "\\u" in content:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise DataError(
            f"{source}: holds half of a character (a surrogate): write the whole one"
        ) from None
    except (ValueError, RecursionError) as problem:
        raise DataError(f"{source}: not valid JSON: {problem}") from None
    return value


def read_own_json(path: Path, remedy: str, error: type[BlpoError] = DataError) -> dict[str, Any]:
    """The JSON object that blpo has written; raises `error` with the remedy for anything else."""
    try:
        found: object = json.loads(read_text(path, error))
    except (ValueError, RecursionError) as problem:
        raise error(f"{path}: not the JSON that was written ({problem}): {remedy}") from None
    if not isinstance(found, dict):
        raise error(f"{path}: not the JSON that was written (no object): {remedy}")
    return cast("dict[str, Any]", found)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"an object has the key {twice!r} twice: drop one of them")
    return found


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses a repeated key and a scalar that is no value of its type."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: dict[object, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key: Any = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if isinstance(key, str | int | float | bool | None):
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        None,
                        None,
                        f"key `{key}` stands in line {seen[key]} already: drop one of them",
                        key_node.start_mark,
                    )
                seen[key] = line
        return super().construct_mapping(node, deep)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            construct: Any = super().construct_object  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
            value: Any = construct(node, deep)
            return _with_whole_characters(value) if isinstance(value, str) else value
        except _NO_VALUE as problem:
            raise yaml.constructor.ConstructorError(
                None, None, f"{node.value!r}: {_what_is_wrong(problem)}", node.start_mark
            ) from problem


def _what_is_wrong(problem: Exception) -> str:
    if isinstance(problem, UnicodeDecodeError):
        return "holds half of a character (a surrogate): write the whole one"
    return f"{problem}; put it in quotes"


def _with_whole_characters(text: str) -> str:
    """Escapes of both halves of a character as the character, as JSON has them.

    Raises UnicodeDecodeError, a ValueError, for half of one: no file could hold it.
    """
    if not any("\ud800" <= character <= "\udfff" for character in text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")


def _yaml_problem(error: yaml.YAMLError, content: str) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        is_unquoted = error.problem == "mapping values are not allowed here"
        remedy = ": put the text in quotes" if is_unquoted else ""
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}{remedy}"
    if isinstance(error, yaml.reader.ReaderError):
        line = content[: error.position].count("\n") + 1
        return f"line {line}: the character {chr(error.character)!r} is not allowed: take it out"
    return str(error)
