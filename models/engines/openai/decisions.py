"""Decision models: a typed question about an image in, the probability of each label out.

Two interfaces ask the same. `/v1/decisions` is OpenAI's, which vLLM 0.33 and gateways have too;
`/v1/systemone` came before it, and vLLM tells there how much probability lies on the labels at all.
The judge prompt is the question's instructions, so that it can be optimized like any other.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from ....data.errors import EngineError
from ....data.images import decode_image
from ...engine import Reply, Request
from ...requests.layout import naming_sentences
from ..settings import EngineSettings
from .chat import demanded_fields, png_url
from .completions import read_usage
from .failures import RefusedError, failure_in, failure_of
from .top_logprobs import are_probabilities
from .wire import Response, TransientError, Wire

DECISIONS_LAYOUT = "decisions-1"

_SYSTEMONE = "/systemone"
_DECISIONS = "/decisions"
_NAME = "verdict"


class DecisionsAsker:
    """Asks decision models, by the interface that the endpoint ends in; `/decisions` is added."""

    def __init__(self, settings: EngineSettings, wire: Wire) -> None:
        self._settings = settings
        self._wire = wire

    def ask(self, server: str, request: Request) -> Reply:
        """One label read.

        Raises TransientError, RefusedError, EngineError; DataError for an image that is none.
        """
        if not request.labels or request.reply_start:
            raise EngineError(
                "a decision model writes no text: set verdict: direct, and give verbalizer.engine "
                "and optimizer.engine models that do"
            )
        is_systemone = server.endswith(_SYSTEMONE)
        url = server if server.endswith((_SYSTEMONE, _DECISIONS)) else server + _DECISIONS
        question = _systemone_body(request) if is_systemone else _decisions_body(request)
        body = {"model": self._settings.model, **question, **demanded_fields(self._settings)}
        response = self._wire.post(url, body)
        if not response.is_success:
            raise failure_of(response, server)
        read = _read_systemone if is_systemone else _read_decisions
        return _reply(request.labels, *read(response, server))


class _Probability(BaseModel):
    value: str | bool
    probability: float


class _Answer(BaseModel):
    type: str
    probabilities: list[_Probability] = []


class _Decision(BaseModel):
    answers: list[_Answer] = Field(min_length=1, max_length=1)
    usage: Any = None


class _Choice(BaseModel):
    probabilities: dict[str, float]


class _Diagnostics(BaseModel):
    label_mass: float = Field(ge=0, le=1)


class _SystemOne(BaseModel):
    answers: dict[str, _Choice]
    diagnostics: dict[str, _Diagnostics] = {}
    usage: Any = None


_Read = tuple[Mapping[str, float], Any]
"""Probability of each label, and the usage object."""


def _decisions_body(request: Request) -> dict[str, Any]:
    images = [{"type": "input_image", "image_url": url} for url in _urls(request)]
    texts = [{"type": "input_text", "text": text} for text in _texts(request)]
    choices = [{"value": label} for label in request.labels]
    question = {"type": "choice", "name": _NAME, "instructions": request.prompt}
    return {
        "input": [{"type": "message", "role": "user", "content": [*images, *texts]}],
        "questions": [question | {"choices": choices}],
    }


def _systemone_body(request: Request) -> dict[str, Any]:
    question = {
        "type": "choice",
        "instructions": request.prompt,
        "criteria": dict.fromkeys(request.labels),
    }
    images = _urls(request)
    return {
        "state": "\n".join(_texts(request)),
        "questions": {_NAME: question},
        **({"images": images} if images else {}),
    }


def _urls(request: Request) -> list[str]:
    return [png_url(decode_image(image)) for image in request.images]


def _texts(request: Request) -> list[str]:
    naming = naming_sentences(len(request.images), request.image_roles)
    named = [" ".join(naming)] if request.image_roles else []
    return named if request.text is None else [*named, f"Text: {request.text}"]


def _read_decisions(response: Response, server: str) -> _Read:
    try:
        decision = _Decision.model_validate_json(response.payload)
    except ValidationError:
        raise _no_decision(response, server) from None
    [answer] = decision.answers
    if answer.type == "refusal":
        raise RefusedError("the model declined to answer")
    shares = {str(entry.value): entry.probability for entry in answer.probabilities}
    return shares, decision.usage


def _read_systemone(response: Response, server: str) -> _Read:
    try:
        decision = _SystemOne.model_validate_json(response.payload)
    except ValidationError:
        raise _no_decision(response, server) from None
    if _NAME not in decision.answers:
        raise RefusedError("the model declined to answer")
    diagnostics = decision.diagnostics.get(_NAME)
    mass = diagnostics.label_mass if diagnostics else 1.0
    shares = decision.answers[_NAME].probabilities
    return {label: share * mass for label, share in shares.items()}, decision.usage


def _no_decision(response: Response, server: str) -> Exception:
    if response.error:
        return failure_in(response, server)
    return TransientError(f"the answer is no decision: {response.message[:80]!r}")


def _reply(labels: Sequence[str], shares: Mapping[str, float], usage: Any) -> Reply:
    if any(label not in shares for label in labels):
        raise RefusedError(f"no probability for each label, only for {sorted(shares)}")
    logprobs = {label: _log(shares[label]) for label in labels}
    if not are_probabilities(list(logprobs.items())):
        raise RefusedError("the server's probabilities are none: NaN, or more than 1 in all")
    return Reply.of_labels(logprobs, **asdict(read_usage(usage)))


def _log(share: float) -> float:
    """NaN for what is no probability."""
    if share == 0:
        return -math.inf
    return math.log(share) if share > 0 else math.nan
