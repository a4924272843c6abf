"""Chat completions as they are read: lenient in form, strict in what counts as a reply."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

from pydantic import BaseModel, Field, ValidationError

from ...engine import FinishReason, Reply
from ...replies.label import leading_label, read_label
from ...replies.thought import ReadText, read
from .failures import RefusedError, failure_in
from .top_logprobs import TopTokens, are_probabilities, label_logprobs_of
from .wire import Response, TransientError

_CUT_OFF = frozenset({"length", "max_tokens", "max_output_tokens", "model_length"})
_BLOCKED = frozenset({"safety", "prohibited_content", "blocklist", "recitation", "refusal"})
"""Names of servers for a reply at its limit of tokens, and for one that a filter has kept back."""
_MAX_COUNT = 1 << 31
_IN_AND_OUT = ("input", "output")
"""What decision models call prompt and completion."""


class _TopToken(BaseModel):
    token: str
    logprob: float | None = None


class Position(BaseModel):
    """One token of a reply, and the most probable ones in its place."""

    token: str
    top_logprobs: list[_TopToken] | None = None

    @property
    def top(self) -> TopTokens:
        """JSON has no infinity: a log-probability that is missing is that of probability 0."""
        return [
            (entry.token, -math.inf if entry.logprob is None else entry.logprob)
            for entry in self.top_logprobs or []
        ]


class _Logprobs(BaseModel):
    content: list[Position] | None = None


class _Message(BaseModel):
    content: str | list[Any] | None = None
    refusal: Any = None
    reasoning: Any = None
    reasoning_content: Any = None
    tool_calls: Any = None


class _Choice(BaseModel):
    message: _Message | None = None
    finish_reason: str | None = None
    logprobs: Any = None
    token_ids: list[int] | None = None


class _Body(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: Any = None
    prompt_token_ids: list[int] | None = None
    system_fingerprint: Any = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts as the server gives them, 0 where it does not; named as those of a reply."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int


@dataclass(frozen=True, slots=True)
class Completion:
    """What is read of a chat completion.

    text: the answer, with a thought where the server leaves it in. has_own_thought: the server has
    taken a thought out of it. positions: of the tokens of both, empty without log-probabilities.
    prompt_token_ids, token_ids: where the server was asked for them.
    """

    text: str
    has_own_thought: bool
    is_cut: bool
    positions: Sequence[Position]
    usage: Usage
    prompt_token_ids: Sequence[int] | None
    token_ids: Sequence[int] | None
    is_vllm: bool


def read_completion(response: Response, server: str) -> Completion:
    """What is read of a successful response.

    Raises RefusedError if the model was kept from answering, TransientError for what is no
    completion, and for an error body what the error means.
    """
    try:
        body = _Body.model_validate_json(response.payload)
    except ValidationError:
        if response.error:
            raise failure_in(response, server) from None
        raise TransientError(f"the answer is not a completion: {response.message[:80]!r}") from None
    choice = body.choices[0]
    message = choice.message or _Message()
    text = _text(message.content)
    has_thought = bool(message.reasoning or message.reasoning_content)
    _refuse_blocked(choice, message, text)
    return Completion(
        text=text,
        has_own_thought=has_thought or _is_in_parts(message.content),
        is_cut=(choice.finish_reason or "").lower() in _CUT_OFF,
        positions=_positions(choice.logprobs),
        usage=read_usage(body.usage),
        prompt_token_ids=body.prompt_token_ids,
        token_ids=choice.token_ids,
        is_vllm=str(body.system_fingerprint or "").startswith("vllm"),
    )


def read_usage(usage: Any) -> Usage:
    """Token counts of a usage object, whatever stands in it."""
    fields = _dict(usage)
    prompt, completion = ("prompt", "completion") if "prompt_tokens" in fields else _IN_AND_OUT
    details = _dict(fields.get(f"{prompt}_tokens_details"))
    return Usage(
        _count(fields.get(f"{prompt}_tokens")),
        _count(fields.get(f"{completion}_tokens")),
        _count(details.get("cached_tokens")),
    )


def reply_to(completion: Completion, labels: Sequence[str], departures: tuple[str, ...]) -> Reply:
    """The reply to a request. Raises RefusedError if its log-probabilities are no such."""
    logprobs = _label_logprobs(completion, labels) if labels else None
    counts = asdict(completion.usage)
    if logprobs is not None:
        return Reply.of_labels(logprobs, departures=departures, **counts)
    finish: FinishReason = "length" if completion.is_cut else "stop"
    return Reply(completion.text, finish, departures=departures, **counts)


def _label_logprobs(completion: Completion, labels: Sequence[str]) -> dict[str, float] | None:
    """Of the answer's first token; None where the text says another thing than they do."""
    text = read(completion.text, "length" if completion.is_cut else "stop")
    position = _first_of_answer(completion, text)
    if position is None:
        return None
    if not are_probabilities(position.top):
        raise RefusedError("the server's log-probabilities are none: NaN, or more than 1 in all")
    logprobs = label_logprobs_of(position.top, labels)
    if logprobs is None or not text.answer:
        return logprobs
    likeliest = max(logprobs, key=logprobs.__getitem__)
    said = read_label(text.answer, labels).label if text.is_complete else None
    agrees = likeliest == (said or leading_label(text.answer, labels))
    return logprobs if agrees else None


def _first_of_answer(completion: Completion, text: ReadText) -> Position | None:
    """The first token of the answer that is not white space; None if it is not to be found.

    A thought comes before it, whether the server has taken it out of the text or not.
    """
    if text.missing == "thought":
        return None
    is_first = not (completion.has_own_thought or text.before)
    is_first = is_first and completion.text.lstrip().startswith(text.answer)
    behind = 0 if is_first else _last_start(text.answer, completion.positions)
    return next((p for p in completion.positions[behind:] if p.token.strip()), None)


def _last_start(said: str, positions: Sequence[Position]) -> int:
    """The last place from which on the tokens say this; behind all of them if there is none."""
    behind = ""
    for i in reversed(range(len(positions))):
        behind = positions[i].token + behind
        if said and behind.lstrip().startswith(said):
            return i
    return len(positions)


def _refuse_blocked(choice: _Choice, message: _Message, text: str) -> None:
    finish = choice.finish_reason or ""
    if finish.startswith("content_filter") or (not text and finish.lower() in _BLOCKED):
        raise RefusedError("refused by the server's content filter")
    if finish == "error":
        raise TransientError("the server failed while it answered")
    if text:
        return
    if message.refusal:
        raise RefusedError(f"the model refused: {str(message.refusal)[:200]}")
    if message.tool_calls:
        raise RefusedError("the model called a tool in place of an answer")
    if choice.message is None:
        raise RefusedError(f"the server gave no message (finish_reason {finish[:80]!r})")


def _text(content: str | list[Any] | None) -> str:
    """The text of a message: a string, or the text among its parts."""
    if not isinstance(content, list):
        return content or ""
    parts = [_dict(part) for part in content]
    texts = [part.get("text") for part in parts if part.get("type") in ("text", "output_text")]
    return "".join(text for text in texts if isinstance(text, str))


def _is_in_parts(content: str | list[Any] | None) -> bool:
    return isinstance(content, list) and len(content) > 1


def _positions(logprobs: Any) -> Sequence[Position]:
    try:
        return _Logprobs.model_validate(logprobs).content or []
    except ValidationError:
        return []


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < _MAX_COUNT else 0


def _dict(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}
