"""Errors as a Python program reads them: parameters in place of options of the command line."""

import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import ParamSpec, TypeVar

from ...data.errors import BlpoError

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_PAIR = re.compile(r"--(column|label|criterion) ([\w.]+)=([\w.]*)")
_OPTION = re.compile(r"--([a-z]+(?:-[a-z]+)*)( (?=[A-Z]{2,}\b))?")
_NAMES: Mapping[str, str] = {
    "column": "columns",
    "label": "label_map",
    "criterion": "criteria",
    "download": "downloads",
    "set": "the key",
}
"""Parameters with another name than their option."""
_SWITCHES = (
    "allow-outside",
    "overwrite",
    "several-raters",
    "shuffle-pairs",
    "skip-faulty",
    "start-over",
)


def with_parameters(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """The function, whose errors name parameters."""

    @wraps(function)
    def called(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        try:
            return function(*args, **kwargs)
        except BlpoError as error:
            error.args = (in_parameters(str(error)), *error.args[1:])
            raise

    return called


def in_parameters(message: str) -> str:
    """A message with parameters in place of options. Commands in it stay commands."""
    parts = message.split("`")
    parts[::2] = map(_translated, parts[::2])
    return "`".join(parts)


def _translated(text: str) -> str:
    text = _PAIR.sub(lambda found: f"{_NAMES[found[1]]}={{{found[2]!r}: {found[3]!r}}}", text)
    return _OPTION.sub(lambda f: _parameter(f[1]) + ("=" if f[2] else ""), text)


def _parameter(option: str) -> str:
    name = _NAMES.get(option) or option.replace("-", "_")
    return f"{name}=True" if option in _SWITCHES else name
