"""Model text in one plain form: width, dashes and markup aside, the words stay as they are."""

import html
import re
import unicodedata

_DROPPED = dict.fromkeys(
    [
        *range(0x200B, 0x2010),  # zero-width characters and marks of direction
        0x2060,
        0xFEFF,
        0x20E3,  # the key around a digit
        0xFE0E,
        0xFE0F,  # text or emoji form of the character before
        *range(0x1F3FB, 0x1F400),  # skin tones
    ]
)
_SAME = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "‐": "-", "‑": "-", "−": "-", "﹣": "-"})
_DASH_OF_A_NUMBER = re.compile(r"[‒–—](?=[\d.])")
_LATEX = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mathit)\s*\{([^{}]*)\}")
_FENCE = re.compile(r"```[ \t]*\w*[ \t]*(?:\n|$)|```")
_HTML = re.compile(
    r"</?(?P<name>b|i|em|strong|p|br|span|div|code|u|mark|center|small|big|font|li|ul|ol|h[1-6])"
    r"(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_ALONE = frozenset({"br", "p", "li"})
"""Tags that need no other one to close them; "<B>" without one is an answer in brackets."""
_LINE_MARKUP = re.compile(
    r"^[ \t]*(?:#{1,6}[ \t]+|>[ \t]*(?![ \t\d=])|[-+*•●▪][ \t]+)+", re.MULTILINE
)
_EMPHASIS = re.compile(r"\*+|`+|(?<!\w)_+(?=\w)|(?<=[^\W_])_+(?!\w)")
_TABLE_RULE = re.compile(r"^(?=[^\n]*--)[ \t:|-]+$", re.MULTILINE)
_TABLE_ROW = re.compile(r"^[ \t]*\|(.*?)\|?[ \t]*$", re.MULTILINE)

_EDGE = " \t\r\n.,:;!\"'()[]{}<>«»“”„‹›「」『』【】《》〈〉。，、！：；…·|—–"
_NO_SPACES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3040, 0x30FF),  # kana
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)


def plain(text: str) -> str:
    """The text without markup, full-width forms narrow, dashes before a digit as minus signs."""
    text = "".join(map(_narrow, html.unescape(text))).translate(_DROPPED).translate(_SAME)
    text = _DASH_OF_A_NUMBER.sub("-", text)
    text = _LATEX.sub(r"\1", text)
    text = _without_tags(_FENCE.sub("\n", text))
    text = _TABLE_ROW.sub(_cells, _TABLE_RULE.sub("", text))
    text = _EMPHASIS.sub("", _LINE_MARKUP.sub("", text)).replace("$", "")
    return "\n".join(" ".join(line.split()) for line in text.splitlines()).strip()


def bare(text: str) -> str:
    """Without the punctuation, quotes and brackets around it."""
    return text.rstrip(_EDGE).lstrip(_EDGE.replace("!", ""))  # "!safe" is the contrary


def folded(text: str) -> str:
    """The form under which spellings of one label are the same: case, spaces, hyphens."""
    return re.sub(r"(?<=\w)[\s_-]+(?=\w)", " ", bare(text).casefold())


def has_no_spaces(text: str) -> bool:
    """Whether the text holds a character of a script that is written without spaces."""
    return any(low <= ord(char) <= high for char in text for low, high in _NO_SPACES)


def is_hangul(char: str) -> bool:
    """Whether a character is a Korean syllable: words end in particles there, without a space."""
    return "\uac00" <= char <= "\ud7a3"


def _without_tags(text: str) -> str:
    closed = {found["name"].lower() for found in _HTML.finditer(text) if found[0][1] == "/"}
    known = closed | _ALONE
    return _HTML.sub(lambda tag: " " if tag["name"].lower() in known else tag[0], text)


def _narrow(char: str) -> str:
    """A full-width or bold character as the usual one, a digit of any script in ASCII."""
    if char.isascii():
        return char
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    kind, _, code = unicodedata.decomposition(char).partition(" ")
    if kind in ("<wide>", "<narrow>", "<font>"):
        return "".join(chr(int(part, 16)) for part in code.split())
    return " " if char.isspace() and char not in "\u2028\u2029\x85" else char


def _cells(row: re.Match[str]) -> str:
    """A row of a table as its first cell, a colon and the others."""
    first, *others = (cell.strip() for cell in row[1].split("|"))
    return f"{first}: {' | '.join(others)}" if others else first
