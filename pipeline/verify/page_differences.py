"""Where two versions of a section of a report differ, by the texts that a reader sees."""

import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from html.parser import HTMLParser

_PLOT = re.compile(r"<svg\b.*?</svg>", re.DOTALL)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
_CLOSE = 0.01
"""In points: what another build of matplotlib may differ by."""

Difference = tuple[str, str, str]
"""What it is about, and the text here and there; empty where there is none."""


def page_differences(kept: str, drawn: str) -> Iterator[Difference]:
    """Differences of two sections, `kept` first."""
    yield from _text_differences(_texts(kept), _texts(drawn))
    plots = [_PLOT.findall(section) for section in (kept, drawn)]
    if len(plots[0]) != len(plots[1]):
        yield "plots", str(len(plots[0])), str(len(plots[1]))
    for one, other in zip(*plots, strict=False):
        if not plots_agree(one, other):
            yield "plot", "other figures", "these"


def first_plot(section: str) -> str:
    """The first plot of a section; empty without one."""
    found = _PLOT.search(section)
    return found[0] if found else ""


def plots_agree(one: str, other: str) -> bool:
    """Whether two plots show the same."""
    first, second = _NUMBER.split(one), _NUMBER.split(other)
    if first != second:
        return False
    pairs = zip(_NUMBER.findall(one), _NUMBER.findall(other), strict=True)
    # Names of parts, which are hashes, may hold what is infinite as a number.
    return all(a == b or abs(float(a) - float(b)) <= _CLOSE for a, b in pairs)


def _text_differences(kept: list[str], drawn: list[str]) -> Iterator[Difference]:
    matcher = SequenceMatcher(None, kept, drawn, autojunk=False)
    for kind, from_kept, to_kept, from_drawn, to_drawn in matcher.get_opcodes():
        if kind != "equal":
            before = " ".join(drawn[max(0, from_drawn - 1) : from_drawn])
            there = " ".join(drawn[from_drawn:to_drawn])
            yield before, " ".join(kept[from_kept:to_kept]), there


class _Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(" ".join(data.split()))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Bars and shades are figures, too, and so are pictures."""
        shown = {"style", "src"} if tag != "svg" else set[str]()
        self.texts += [f"{name} {value}" for name, value in attrs if name in shown]


def _texts(section: str) -> list[str]:
    parser = _Texts()
    parser.feed(_PLOT.sub("", section))
    parser.close()
    return parser.texts
