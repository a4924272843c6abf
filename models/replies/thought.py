"""A reply split into thought and answer, and whether it is complete.

Families mark a thought in their own ways. Whatever marks it, what stands before the last closing
marker is thought, and so is all that follows an opening marker that is never closed. A chat
template may open the thought itself, so that the reply holds the closing marker alone.
"""

import re
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
    ("", "[BEGIN FINAL RESPONSE]"),  # Apriel, whose thought begins with a plain sentence
)
_CLOSER = {opener.lower(): closer for opener, closer in _MARKERS}
_OPENER = {closer.lower(): opener.lower() for opener, closer in _MARKERS}
_ANY_CLOSER = re.compile("|".join(re.escape(closer) for _, closer in _MARKERS), re.IGNORECASE)
_ANY_OPENER = re.compile("|".join(re.escape(o) for o, _ in _MARKERS if o), re.IGNORECASE)

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
    return _split_markers(text)


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
        return text, thought, "", _CLOSER[opening[0].lower()]
    return before, _without_markers(before), answer, None


def _last_closing(text: str) -> re.Match[str] | None:
    """The last closing marker; of the kind that the text begins with, if it begins with one."""
    first = _ANY_OPENER.match(text.lstrip())
    found = list(_ANY_CLOSER.finditer(text))
    own = [m for m in found if first and _OPENER[m[0].lower()] == first[0].lower()]
    return (own or found or [None])[-1]


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
