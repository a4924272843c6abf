"""The two forms of a request to a vLLM server, by its tokens and by a chat, and their answers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from ....data.errors import EngineError
from ...engine import FinishReason, Reply, Request
from ...requests.label_logprobs import Read
from ...requests.seeds import sampling_seed
from .completions import Usage, read_completion, read_usage
from .failures import failure_in
from .local_renderer import ChatTexts
from .wire import Response, TransientError

_NEUTRAL: Mapping[str, Any] = {
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
"""Explicit, so that the checkpoint's generation_config counts for nothing, as in this process."""


@dataclass(frozen=True, slots=True)
class Question:
    """One HTTP request to be.

    token_ids: with one placeholder for each image, what is read included. read: of label tokens;
    None for text. urls: of the images in their order, None for one that the server has. ends: any
    of these tokens ends a text.
    """

    request: Request
    token_ids: Sequence[int]
    read: Read | None
    urls: Sequence[str | None]
    ends: Sequence[int]

    @property
    def images(self) -> list[tuple[str, str | None]]:
        """Digest and URL of each."""
        return [(i.digest, url) for i, url in zip(self.request.images, self.urls, strict=True)]

    def sampling(self) -> dict[str, Any]:
        if self.read is not None:
            return {"max_tokens": 1, "temperature": 0.0}
        sampling = self.request.sampling
        drawn = {"seed": sampling_seed(self.request)} if sampling.temperature > 0 else {}
        return {
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "stop_token_ids": list(self.ends),
            **_NEUTRAL,
            **drawn,
        }


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """What a vLLM server answered.

    logprobs: log-probability of each candidate of a read, by token id; empty for text.
    prompt_token_ids: what it was asked, where it was asked to tell. token_ids: of the text.
    is_taken_apart: a reasoning parser has kept a thought out of the text.
    """

    text: str
    is_cut: bool
    logprobs: Mapping[int, float]
    usage: Usage
    prompt_token_ids: Sequence[int] | None = None
    token_ids: Sequence[int] | None = None
    is_taken_apart: bool = False

    def text_reply(self, departures: tuple[str, ...]) -> Reply:
        finish: FinishReason = "length" if self.is_cut else "stop"
        return Reply(self.text, finish, departures=departures, **asdict(self.usage))

    def label_reply(
        self, logprobs: Mapping[str, float], num_reads: int, departures: tuple[str, ...]
    ) -> Reply:
        """logprobs: of labels, from this answer and those to the further reads."""
        counts = asdict(replace(self.usage, completion_tokens=num_reads))
        return Reply.of_labels(logprobs, departures=departures, **counts)


class _Candidate(BaseModel):
    token_id: int
    logprob: float


class _TokensPosition(BaseModel):
    top_logprobs: list[_Candidate] = []


class _TokensLogprobs(BaseModel):
    content: list[_TokensPosition] | None = None


class _TokensChoice(BaseModel):
    text: str = ""
    finish_reason: str | None = None
    logprobs: Any = None
    token_ids: list[int] | None = None


class _TokensAnswer(BaseModel):
    choices: list[_TokensChoice] = Field(min_length=1)
    usage: Any = None


def tokens_body(model: str, question: Question) -> dict[str, Any]:
    sampling = question.sampling()
    if question.read is not None:
        # The sampled token is listed first and counts: it has to be a candidate.
        candidates = list(question.read.candidate_ids)
        sampling |= {"logprob_token_ids": candidates, "logprobs": len(candidates)}
        sampling["allowed_token_ids"] = candidates
    parts = [{"type": "image_url", "url": url, "uuid": uuid} for uuid, url in question.images]
    body = {"model": model, "token_ids": question.token_ids, "sampling_params": sampling}
    return {
        **body,
        "output_mode": "tokens" if question.read else "text",
        **({"content_parts": parts} if parts else {}),
    }


def read_tokens(response: Response, question: Question, server: str) -> ServerAnswer:
    """Raises TransientError, EngineError."""
    try:
        answer = _TokensAnswer.model_validate_json(response.payload)
        choice = answer.choices[0]
        # As text, their shape is another one, and nobody asked for them.
        logprobs = _TokensLogprobs.model_validate(choice.logprobs or {} if question.read else {})
    except ValidationError:
        if response.error:
            raise failure_in(response, server) from None
        raise TransientError(f"the answer is none: {response.message[:80]!r}") from None
    listed = {c.token_id: c.logprob for p in (logprobs.content or [])[:1] for c in p.top_logprobs}
    return ServerAnswer(
        choice.text,
        choice.finish_reason == "length",
        _candidates(listed, question.read, server),
        read_usage(answer.usage),
        token_ids=choice.token_ids,
    )


def chat_body(
    model: str, question: Question, texts: ChatTexts, demanded: Mapping[str, Any], *, tell: bool
) -> dict[str, Any]:
    """tell: the server is to say which tokens it was asked."""
    images = [
        {"type": "image_url", "image_url": {"url": url} if url else None, "uuid": uuid}
        for uuid, url in question.images
    ]
    content = [*images, {"type": "text", "text": texts.user}]
    messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
    body: dict[str, Any] = {"model": model, "messages": messages, **question.sampling()}
    if texts.start:
        messages.append({"role": "assistant", "content": texts.start})
        body |= {"continue_final_message": True, "add_generation_prompt": False}
    if question.read is not None:
        body |= {"logprobs": True, "logprob_token_ids": list(question.read.candidate_ids)}
        body["return_tokens_as_token_ids"] = True
    if tell or question.read is None:
        body["return_token_ids"] = True
    return {**body, **demanded}


def read_chat(response: Response, question: Question, server: str) -> ServerAnswer:
    """Raises TransientError, RefusedError, EngineError."""
    completion = read_completion(response, server)
    first = completion.positions[:1] if question.read else ()
    listed = {_token_id(token): logprob for position in first for token, logprob in position.top}
    return ServerAnswer(
        completion.text,
        completion.is_cut,
        _candidates(listed, question.read, server),
        completion.usage,
        completion.prompt_token_ids,
        completion.token_ids,
        completion.has_own_thought,
    )


def _candidates(listed: Mapping[int, float], read: Read | None, server: str) -> Mapping[int, float]:
    """The log-probabilities that a read asks for. Raises EngineError if some are missing."""
    wanted = read.candidate_ids if read else ()
    if any(token_id not in listed for token_id in wanted):
        raise EngineError(
            f"{server} does not give the log-probabilities of the tokens that are asked for: it "
            "takes vLLM 0.32 or later; with another server set layout: chat"
        )
    return {token_id: listed[token_id] for token_id in wanted}


def _token_id(token: str) -> int:
    """Of a token as vLLM names it by its id; -1 for any other."""
    number = token.removeprefix("token_id:")
    return int(number) if number != token and number.isdecimal() else -1
