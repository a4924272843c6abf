"""A reply split into thought and answer, and whether it is complete.

Families mark a thought in their own ways. Whatever marks it, what stands before the last closing
marker is thought, and so is all that follows an opening marker that is never closed. A chat
template may open the thought itself, so that the reply holds the closing marker alone. A tag with
another name of a thought (<analysis>, <|thinking|>) marks one where the reply begins with it.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ..engine import FinishReason

_MARKERS = (
    ("<think>", "</think>"),  # Qwen3, GLM, DeepSeek-R1, Hunyuan, InternVL3.5, MiMo, ERNIE
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),  # EXAONE Deep
    ("<reasoning>", "</reasoning>"),
    ("<seed:think>", "</seed:think>"),  # Seed-OSS
    ("[THINK]", "[/THINK]"),  # Magistral
    ("◁think▷", "◁/think▷"),  # Kimi-VL
    ("<|begin_of_thought|>", "<|end_of_thought|>"),  # OpenThinker
    ("<|START_THINKING|>", "<|END_THINKING|>"),  # Command A
    ("<|channel>thought", "<channel|>"),  # Gemma 4
    ("<unused94>thought", "<unused95>"),  # MedGemma
    ("[Start thinking]", "[End thinking]"),  # llama.cpp
    ("", "[BEGIN FINAL RESPONSE]"),  # Apriel, whose thought begins with a plain sentence
)
_OPENED = tuple(pair for pair in _MARKERS if pair[0])
_NAMED = re.compile(
    r"\s*(?P<left><\|?|\[|◁)\s*(?P<name>(?:\w+:)?(?:think(?:ing)?(?:_\w+)?|thoughts?|reason(?:ing)?"
    r"|analysis|reflection|scratchpad|rationale|inner_monologue))(?:\s[^<>\[\]]*)?(?P<right>\|?>|\]|▷)",
    re.IGNORECASE,
)


def _any_of(markers: Iterable[str]) -> re.Pattern[str]:
    """Finds the markers in any case, a group for each; tags also with spaces and attributes."""
    patterns: list[str] = []
    for marker in markers:
        tag = re.fullmatch(r"<(/?)([a-z:]+)>", marker)
        spaced = tag and rf"<\s*{tag[1]}\s*{tag[2]}(?:\s[^<>]*)?>"
        patterns.append(f"({spaced or re.escape(marker)})")
    return re.compile("|".join(patterns), re.IGNORECASE)


_ANY_OPENER = _any_of(opener for opener, _ in _OPENED)
_ANY_CLOSER = _any_of(closer for _, closer in _MARKERS)

_WRAPPERS = (
    ("<answer>", "</answer>"),
    ("<response>", "</response>"),
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
    ("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
    ("", "[END FINAL RESPONSE]"),
)
_ENDS_OF_TURN = (
    *("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end|>", "<|eom_id|>", "<|return|>"),
    *("<|user|>", "<|end_of_text|>", "</s>", "<end_of_turn>", "<turn|>", "<eos>", "[EOS]"),
)

_CHANNEL = re.compile(
    r"(?:<\|start\|>[^<]*)?<\|channel\|>\s*(?P<name>\w+)[^<]*(?:<\|constrain\|>[^<]*)?"
    r"<\|message\|>"
)
_CHANNEL_END = re.compile(r"<\|(?:end|return|call)\|>")
_BARE_CHANNELS = re.compile(r"^\s*analysis(?=[A-Z\W])(?P<thought>.*?)assistantfinal", re.DOTALL)
_BARE_ANALYSIS = re.compile(r"^\s*analysis(?=[A-Z])")

DEFAULT_CLOSER = "</think>"
"""Closes a thought that the chat template opened: those that do open it in this way."""

Missing = Literal["", "thought", "answer"]


@dataclass(frozen=True, slots=True)
class ReadText:
    """A reply's text, taken apart.

    before: the text up to the answer as it was written, markers included. thought: that without
    markers. answer: what follows, stripped; empty where the reply ends within its thought.
    missing: what the reply leaves unfinished; empty for a complete one. is_at_limit: whether it
    ended at its limit of tokens. closer: what would close the unfinished thought, if that is known.
    """

    before: str
    thought: str
    answer: str
    missing: Missing
    is_at_limit: bool
    closer: str = ""

    @property
    def is_complete(self) -> bool:
        """Whether the model came to the end of what it had to say."""
        return self.missing == ""


def read(text: str, finish_reason: FinishReason, *, may_be_opened: bool = False) -> ReadText:
    """Take a reply's text apart.

    may_be_opened: the chat template may have opened a thought. A text without any marker that ran
    into its limit is then an unfinished thought: nothing says that it is an answer.
    """
    is_at_limit = finish_reason == "length"
    before, thought, answer, closer = _split(text)
    is_unmarked = closer is None and not before and text.strip() != ""
    if is_unmarked and may_be_opened and is_at_limit:
        before, thought, answer, closer = text, text, "", DEFAULT_CLOSER
    missing: Missing = "thought" if closer is not None else "answer" if is_at_limit else ""
    return ReadText(before, thought.strip(), _unwrapped(answer), missing, is_at_limit, closer or "")


def _split(text: str) -> tuple[str, str, str, str | None]:
    """before, thought, answer, and what closes the thought if the text ends within it, else None.

    Empty where a thought is closed by more than a marker.
    """
    if "<|channel|>" in text and _CHANNEL.search(text):
        return _split_channels(text)
    bare = _BARE_CHANNELS.match(text)
    if bare:
        return text[: bare.end()], bare["thought"], text[bare.end() :], None
    if _BARE_ANALYSIS.match(text):
        return text, text, "", ""
    named = _NAMED.match(text)
    if named and not _ANY_OPENER.match(text.lstrip()):
        return _split_named(text, named)
    return _split_markers(text)


def _split_named(text: str, opening: re.Match[str]) -> tuple[str, str, str, str | None]:
    """A reply that begins with a tag of another name."""
    left, name, right = opening.group("left", "name", "right")
    closer = rf"{re.escape(left)}\s*/\s*{re.escape(name)}\s*{re.escape(right)}"
    closing = list(re.finditer(closer, text, re.IGNORECASE))
    if not closing:
        return text, text[opening.end() :], "", f"{left}/{name}{right}"
    end = closing[-1].end()
    before, thought, answer, unclosed = _split_markers(text[end:])
    inside = text[opening.end() : closing[-1].start()]
    return text[:end] + before, f"{inside}\n{thought}", answer, unclosed


def _split_channels(text: str) -> tuple[str, str, str, str | None]:
    """The harmony format: the answer is the last message of the channel `final`."""
    found = list(_CHANNEL.finditer(text))
    ends = [*(match.start() for match in found[1:]), len(text)]
    bodies = [
        _CHANNEL_END.split(text[match.end() : end])[0]
        for match, end in zip(found, ends, strict=True)
    ]
    thought = "\n".join(
        body for match, body in zip(found, bodies, strict=True) if match["name"] != "final"
    )
    if found[-1]["name"] != "final":
        return text, thought, "", ""
    return text[: found[-1].end()], thought, bodies[-1], None


def _split_markers(text: str) -> tuple[str, str, str, str | None]:
    closing = _last_closing(text)
    before, answer = (text[: closing.end()], text[closing.end() :]) if closing else ("", text)
    opening = _ANY_OPENER.search(answer)
    if opening:
        thought = _without_markers(before + answer[opening.start() :])
        return text, thought, "", _marker(_OPENED, opening)[1]
    return before, _without_markers(before), answer, None


def _last_closing(text: str) -> re.Match[str] | None:
    """The last closing marker; of the kind that the text begins with, if it begins with one."""
    first = _ANY_OPENER.match(text.lstrip())
    found = list(_ANY_CLOSER.finditer(text))
    own = [m for m in found if first and _marker(_MARKERS, m) == _marker(_OPENED, first)]
    return (own or found or [None])[-1]


def _marker(markers: tuple[tuple[str, str], ...], match: re.Match[str]) -> tuple[str, str]:
    return markers[(match.lastindex or 1) - 1]


def _without_markers(text: str) -> str:
    return _ANY_CLOSER.sub("\n", _ANY_OPENER.sub("\n", text))


def _unwrapped(answer: str) -> str:
    """The answer without the pair of markers around the whole of it and without ends of turn."""
    answer = answer.strip()
    while answer.endswith(_ENDS_OF_TURN):
        end = next(end for end in _ENDS_OF_TURN if answer.endswith(end))
        answer = answer.removesuffix(end).rstrip()
    for opener, closer in _WRAPPERS:
        lowered = answer.lower()
        if lowered.startswith(opener.lower()) and lowered.endswith(closer.lower()):
            answer = answer[len(opener) : len(answer) - len(closer)].strip()
    return answer
