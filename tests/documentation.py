"""The project's Markdown pages: their fenced blocks, commands, tables and links.

A block of commands that cannot run in a test is marked in the source of its page, on the line
before it: `<!-- parsed only: needs a GPU -->`. One that ends otherwise than with 0 is marked
`<!-- exits with 1 -->`. A block of `text` behind one is what it prints; `...` stands for the rest
of a line, and alone on a line for any lines.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path

ROOT = Path(__file__).parents[1]
_FOLDERS = ("docs/*.md", "scripts/README.md", "slurm/*.md")
_PATTERNS = ("README.md", "CONTRIBUTING.md", "AGENTS.md", *_FOLDERS)
PAGES = tuple(
    str(path.relative_to(ROOT)) for pattern in _PATTERNS for path in sorted(ROOT.glob(pattern))
)

_FENCE = re.compile(r"^```(.*)$")
_MARKER = re.compile(r"^<!-- parsed only: (.+) -->$")
_EXIT = re.compile(r"^<!-- exits with (\d+) -->$")
_ASSIGNMENT = re.compile(r"^[A-Z_]+=")
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. line: of its fence, from 1. parsed_only: why it is not run; None if it is.
    exit_code: of each of its commands.
    """

    page: str
    line: int
    language: str
    text: str
    parsed_only: str | None
    exit_code: int = 0

    @property
    def where(self) -> str:
        return f"{self.page}, line {self.line}"

    @property
    def file_name(self) -> str | None:
        """The name of a YAML block that is a whole file: its first line is `# NAME.yaml`."""
        first = self.text.partition("\n")[0]
        is_named = re.fullmatch(r"# [\w.-]+\.yaml", first) is not None
        return first.removeprefix("# ") if is_named else None

    @property
    def commands(self) -> list[list[str]]:
        """The words of every command line, without comments and leading assignments.

        A block of Python is one command.
        """
        if self.language == "python":
            return [["python", "-c", self.text]]
        lines = self.text.replace("\\\n", " ").splitlines()
        split = [shlex.split(line, comments=True) for line in lines]
        return [_without_assignments(words) for words in split if words]


@cache
def page_text(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def blocks(page: str, *languages: str) -> list[Block]:
    """The fenced blocks of a page in order; only of some languages, where they are given."""
    return [b for b in _blocks(page) if not languages or b.language in languages]


def prints(expected: str, printed: str) -> bool:
    """Whether a block of `text` tells what was printed; blanks at ends of lines do not count."""
    lines = [line.rstrip() for line in expected.splitlines()]
    patterns = [r"(?:.*\n)*?" if line == "..." else _line_pattern(line) for line in lines]
    text = "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
    return re.fullmatch("".join(patterns), text) is not None


def _line_pattern(line: str) -> str:
    return ".*".join(map(re.escape, line.split("..."))) + "\n"


def inline_code(page: str) -> list[str]:
    """The code spans of a page's prose, those of tables included."""
    return _INLINE.findall(_prose(page))


def links(page: str) -> list[str]:
    return _LINK.findall(_prose(page))


def anchors(page: str) -> set[str]:
    """What links into a page can name: its headings as GitHub spells them in addresses."""
    headings = re.findall(r"^#+ (.+)$", _prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def table_under(page: str, heading: str) -> list[list[str]]:
    """Cells of the rows of the first table under a heading, without its two lines of head."""
    _, found, rest = f"\n{page_text(page)}".partition(f"\n{heading}\n")
    assert found, f"{page} has no heading {heading!r}"
    table = re.search(r"(?:^\|.*\n)+", rest, re.MULTILINE)
    assert table is not None, f"{page} has no table under {heading!r}"
    rows = table.group().splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


def _without_assignments(words: list[str]) -> list[str]:
    start = next(i for i, word in enumerate([*words, ""]) if not _ASSIGNMENT.match(word))
    return words[start:]


def _blocks(page: str) -> Iterator[Block]:
    lines = iter(enumerate(page_text(page).splitlines(), 1))
    before = ""
    for number, line in lines:
        fence = _FENCE.match(line)
        if fence is None:
            before = line or before
            continue
        content = [text for _, text in takewhile(_is_inside, lines)]
        marker = _MARKER.match(before)
        yield Block(
            page,
            number,
            fence.group(1),
            "\n".join(content) + "\n",
            marker.group(1) if marker else None,
            int(ends.group(1)) if (ends := _EXIT.match(before)) else 0,
        )
        before = ""


def _is_inside(numbered: tuple[int, str]) -> bool:
    return _FENCE.match(numbered[1]) is None


def _prose(page: str) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page_text(page), flags=re.MULTILINE | re.DOTALL)
