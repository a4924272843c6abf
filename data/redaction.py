"""Keys in texts: one place that takes them out of messages, logs, tracebacks and stored replies.

A key is what a server is given (`learn_key`), and the value of any environment variable that is
named like one (OPENAI_API_KEY, HF_TOKEN, AWS_SECRET_ACCESS_KEY). It is found as it is, character by
character escaped (URL, JSON, HTML), in hex, and inside base64 at any offset.
"""

import base64
import html
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote

REDACTED = "***"

_NAME = re.compile(r"(^|_)(API_?KEY|KEY|TOKEN|SECRET|PASSWORD|PASSWD)$")
_PATH = re.compile(r"[~.]?/")
_SHORTEST = 4
_SHORTEST_IN_DATA = 8
_SHOWN_CHARS = 8
"""Of a key, as much as servers show when they say that it is wrong."""
_WORDS = re.compile(r"(?!sk-)[a-z]+([-_ ][a-z]+)*|EMPTY")
"""What is given to servers that take no key ("not-needed"), and may stand in any reply."""
_USER_IN_URL = re.compile(r"://[^/\s'\"@]*@")
_USER_OF_ADDRESS = re.compile(r"(?i)(https?://)[^/?#]*@")
_KEY_NAME = r"[\w-]*(?:key|token|secret|passw|sig)[\w-]*"
_KEY_IN_URL = re.compile(rf"(?i)([?&]{_KEY_NAME}=)[^&\s'\"]+")
_KEY_PARAMETER = re.compile(rf"(?i){_KEY_NAME}=")

_ALNUM_CODE = "(?:3[0-9]|[46][1-9a-f]|[57][0-9a])"
_ESCAPED_ALNUM = re.compile(rf"(?i)%{_ALNUM_CODE}|\\u00{_ALNUM_CODE}|\\x{_ALNUM_CODE}|&#")
"""Escapes of letters and digits, which nobody has to escape."""


@dataclass(frozen=True, slots=True)
class _Known:
    """The keys, and the environment and learned keys of which they were found."""

    variables: Mapping[Any, Any]
    learned: set[str]
    keys: Sequence[str]


_known = _Known({}, set(), ())
_learned: set[str] = set()


def learn_key(key: str) -> None:
    """Take this key out of all texts from now on, unless it is too short or a word for none."""
    if len(key) >= _SHORTEST and not (len(key) < _SHORTEST_IN_DATA and _WORDS.fullmatch(key)):
        _learned.add(key)


def redacted(text: str) -> str:
    """A message without keys, what a server shows of them included, and without those of URLs."""
    for pattern in map(_in_messages, _keys()):
        text = pattern.sub(REDACTED, text)
    text = _USER_IN_URL.sub(f"://{REDACTED}@", text)
    return _KEY_IN_URL.sub(rf"\1{REDACTED}", text)


def public_address(url: str) -> str:
    """An http or https URL as files may keep it: without user, password, keys and signatures.

    Any other text is left as it is.
    """
    if not url.lower().startswith(("http://", "https://")):
        return url
    path, _, query = _USER_OF_ADDRESS.sub(r"\1", url, count=1).partition("?")
    kept = [part for part in query.split("&") if not _KEY_PARAMETER.match(unquote(part))]
    return f"{path}?{'&'.join(kept)}" if any(kept) else path


def redacted_data(text: str) -> str:
    """What a server has sent without whole keys; anything else is left as it is."""
    has_escapes = any(mark in text for mark in "%&\\")
    has_escaped_letters = has_escapes and _ESCAPED_ALNUM.search(text) is not None
    traces = _runs if has_escapes else _forms
    for key in filter(_is_random, _keys()):
        if has_escaped_letters or any(trace in text for trace in traces(key)):
            text = _whole(key).sub(REDACTED, text)
    return text


def _keys() -> Sequence[str]:
    """The longest first: one may begin with another."""
    global _known  # noqa: PLW0603
    known, held = _known, _held_variables()
    if known.variables != held or known.learned != _learned:
        _known = known = _Known(dict(held), set(_learned), _found_keys())
    return known.keys


def _held_variables() -> Mapping[Any, Any]:
    """The environment as Python holds it, to compare: to read it takes fifty times as long."""
    return getattr(os.environ, "_data", None) or dict(os.environ)


def _found_keys() -> Sequence[str]:
    named = {
        value.strip()
        for name, value in os.environ.items()
        if _NAME.search(name.upper()) and _is_random(value.strip())
    }
    return sorted(named | _learned, key=len, reverse=True)


@cache
def _is_random(key: str) -> bool:
    """Whether it is long enough for a key, and no word or path that may stand in any text."""
    is_common = _WORDS.fullmatch(key) or _PATH.match(key)
    return len(key) >= _SHORTEST_IN_DATA and not is_common


@cache
def _in_messages(key: str) -> re.Pattern[str]:
    if len(key) < _SHORTEST_IN_DATA:
        return re.compile(rf"(?<![\w-]){re.escape(key)}(?![\w-])")
    begun = "".join(map(_escaped, key[:_SHOWN_CHARS]))
    return re.compile(rf"{_whole(key).pattern}|{begun}[^\s\"'<>,;)]*")


@cache
def _whole(key: str) -> re.Pattern[str]:
    as_is = "".join(map(_escaped, key))
    encoded = ["".join(map(_in_any_base64, form)) for form in _in_base64(key)]
    rest = "[A-Za-z0-9+/_=-]*"
    return re.compile("|".join([as_is, *_in_hex(key), f"(?:{'|'.join(encoded)}){rest}"]))


@cache
def _forms(key: str) -> list[str]:
    """What a text holds, one of them, that holds the key without an escape."""
    encoded = list(_in_base64(key))
    url_safe = [form.replace("+", "-").replace("/", "_") for form in encoded]
    return [key, *_in_hex(key), *encoded, *url_safe]


@cache
def _runs(key: str) -> list[str]:
    """What a text holds, one of them, that holds the key without an escape of letter or digit."""
    return [max(re.findall("[A-Za-z0-9]*", form), key=len) for form in _forms(key)]


def _in_hex(key: str) -> tuple[str, str]:
    digits = key.encode().hex()
    return digits, digits.upper()


def _escaped(character: str) -> str:
    """One character, as it is or as an escape of any of the usual kinds."""
    code = ord(character)
    # JSON within JSON escapes the escapes.
    slashes = "" if character.isalnum() else r"\\*"
    ways = {
        slashes + re.escape(character),
        re.escape(html.escape(character)),
        rf"(?i:%{code:02x}|\\+u{code:04x}|\\+x{code:02x}|&\#x0*{code:x};)",
        rf"&\#0*{code};",
    }
    return f"(?:{'|'.join(sorted(ways, key=len))})"


def _in_any_base64(character: str) -> str:
    """One character of base64, in either alphabet."""
    for_urls = {"+": "-", "/": "_"}.get(character)
    return f"(?:{_escaped(character)}|{for_urls})" if for_urls else character


def _in_base64(key: str) -> Iterator[str]:
    """The characters that the key alone decides, behind 0, 1 or 2 bytes of something else."""
    for num_before in range(3):
        encoded = base64.b64encode(b"\0" * num_before + key.encode()).decode().rstrip("=")
        first = 0 if num_before == 0 else num_before + 1
        is_whole = (num_before + len(key.encode())) % 3 == 0
        yield encoded[first : None if is_whole else -1]
