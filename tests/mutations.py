"""Valid documents with bytes or values changed, for tests of what the readers make of anything."""

import copy
from typing import Any, cast

from hypothesis import strategies as st

_PIECES = (
    *(b"", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xe2\x80\xae", b"\x1b[31m", b"\r", b"\n"),
    *(b"\t", b"'", b'"', b"{", b"}", b"[", b"]", b":", b"- ", b"#", b"&a ", b"*a ", b"<<: *a"),
    *(b"!!python/name:os.system ", b"null", b"true", b"-1", b"1e999", b"NaN", b".inf", b"0x10"),
    *(
        b"1_000",
        b"2001-13-99",
        b"\\ud800",
        b"../../etc/passwd",
        b"/dev/zero",
        b"http://127.0.0.1:1/",
    ),
    *(b"a" * 300, b"[" * 300, b"9" * 300),
)


@st.composite
def mutated(draw: st.DrawFn, documents: tuple[bytes, ...]) -> bytes:
    """One of the documents after one to six edits: cut, dropped, doubled, replaced, inserted."""
    content = draw(st.sampled_from(documents))
    for _ in range(draw(st.integers(1, 6))):
        content = draw(_edited(content))
    return content


def _edited(content: bytes) -> st.SearchStrategy[bytes]:
    size = len(content)
    places = st.integers(0, size)
    spans = st.tuples(places, st.integers(0, 40)).map(lambda span: (span[0], sum(span)))
    pieces = st.one_of(
        st.sampled_from(_PIECES), st.binary(max_size=8), st.text(max_size=8).map(_utf8)
    )
    return st.one_of(
        places.map(lambda end: content[:end]),
        spans.map(lambda span: content[: span[0]] + content[span[1] :]),
        spans.map(lambda span: content[: span[1]] + content[span[0] :]),
        st.tuples(spans, pieces).map(lambda edit: _replaced(content, *edit)),
        st.tuples(places, pieces).map(lambda edit: _replaced(content, (edit[0], edit[0]), edit[1])),
    )


def _replaced(content: bytes, span: tuple[int, int], piece: bytes) -> bytes:
    return content[: span[0]] + piece + content[span[1] :]


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def json_values() -> st.SearchStrategy[Any]:
    """Anything that JSON can hold, and what Python's JSON holds beyond it (NaN, infinity)."""
    leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12))
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
        ),
        max_leaves=6,
    )


@st.composite
def with_other_values(draw: st.DrawFn, document: Any) -> Any:
    """The document with one to three of its values replaced, or fields added."""
    changed = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        parent = draw(st.sampled_from(_containers(changed)))
        names = cast("list[Any]", parent) if isinstance(parent, dict) else range(len(parent))
        places = list[Any](names)
        keys: st.SearchStrategy[Any] = st.sampled_from(places) if places else st.nothing()
        if isinstance(parent, dict):
            keys = st.one_of(keys, st.text(max_size=8))
        elif not places:
            continue
        parent[draw(keys)] = draw(json_values())
    return changed


def _containers(value: Any) -> list[Any]:
    """The objects and lists in a JSON value, itself included."""
    if isinstance(value, dict):
        children = list(cast("dict[Any, Any]", value).values())
    elif isinstance(value, list):
        children = cast("list[Any]", value)
    else:
        return []
    return [value, *(found for child in children for found in _containers(child))]
