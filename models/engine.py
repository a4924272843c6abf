"""The engine seam: a batch of requests in, the same number of replies out, in the same order.

Everything that answers a prompt stands behind `Engine`: a vLLM engine in this process, the
transformers reference, a server, the store in front of any of them, a fake in a test.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from ..data.images import ImageRef

FinishReason = Literal["stop", "length", "label", "error"]

ErrorKind = Literal["request", "refused", "transient", "departs"]
"""What an error reply's error lies in.

request: the request, which is too long or whose image is unusable: it fails whenever it is asked.
refused: the engine answered without a reply this time, as when content is moderated. transient: it
did not answer. departs: nothing was asked, as it could only have been asked otherwise than the
request says or allows. Only the first is permanent. What fails every request is an EngineError.
"""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a reply is drawn.

    `sample_index` tells apart draws of one request that would otherwise be the same; an engine
    derives its sampling seed from it. At temperature 0 it still makes a request of its own.
    """

    max_tokens: int = 256
    temperature: float = 0.0
    sample_index: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a model.

    prompt: the changing prompt (judge prompt with its answer instruction, I2T prompt, rendered
        meta-prompt). Untrusted text: special tokens in it never reach the tokenizer as such.
    image: the image it is about; None for text-only requests.
    text: the example's own text (the caption an image was generated from), if the task has one.
    labels: when not empty, the reply is a verdict: the log-probability of each label as the next
        token(s) of the assistant turn, in the order given, instead of generated text.
    further_images: more images after `image`, as many as the engine's settings name
        (`images_per_request`), or any number (`factory.takes_several_images`).
    image_roles: what each image is called; empty for images that are called A, B and so on.
    reply_start: text with which the assistant turn begins, which the reply continues. As untrusted
        as `prompt`.
    departures: in which points an engine may ask otherwise than this says (`Reply.departures`);
        None for any.
    """

    prompt: str
    image: ImageRef | None = None
    text: str | None = None
    labels: tuple[str, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    further_images: tuple[ImageRef, ...] = ()
    image_roles: tuple[str, ...] = ()
    reply_start: str = ""
    departures: tuple[str, ...] | None = field(default=None, compare=False)

    @property
    def images(self) -> tuple[ImageRef, ...]:
        """All images, in order."""
        return (self.image, *self.further_images) if self.image else ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for one request.

    text: generated text; for a label request the most probable label, or the raw text where the
        engine gives no log-probabilities.
    label_logprobs: log P(label | request), natural log over the full vocabulary with the surface
        variants of a label summed; None where the engine cannot give them.
    finish_reason: "stop", "length" (cut at max_tokens), "label" (a label read), "error".
    prompt_tokens, completion_tokens, cached_tokens: counts; cached_tokens of prompt_tokens were
        served from the engine's prefix cache.
    error: why the request failed; set exactly when finish_reason is "error".
    error_kind: what the error lies in; an engine that does not say so means the request.
    departures: in which points the engine was asked otherwise than the request says ("without
        temperature"), because it takes it in no other way. Of an error of kind "departs": in which
        it would have to be.
    """

    text: str
    finish_reason: FinishReason
    label_logprobs: Mapping[str, float] | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    error: str | None = None
    error_kind: ErrorKind | None = None
    departures: tuple[str, ...] = ()

    @classmethod
    def of_error(
        cls, reason: str, kind: ErrorKind = "request", departures: tuple[str, ...] = ()
    ) -> "Reply":
        """The reply to a request that failed for this reason, in words."""
        return cls("", "error", error=reason, error_kind=kind, departures=departures)

    @classmethod
    def of_labels(
        cls,
        logprobs: Mapping[str, float],
        *,
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
        cached_tokens: int = 0,
        departures: tuple[str, ...] = (),
    ) -> "Reply":
        """The reply to a label request: the most probable label, and what it was read off."""
        return cls(
            max(logprobs, key=logprobs.__getitem__),
            "label",
            logprobs,
            prompt_tokens,
            completion_tokens,
            cached_tokens,
            departures=departures,
        )


CHAT_PREFIX = "chat-"
"""Of the layouts of requests that are messages."""

UNPINNED = "unpinned"
"""The revision of a server's model that the settings do not name."""

SHIPPED = {"micro": "micro", "micro-meaning": "micro_meaning"}
"""Folder under `models/` by the name of each model that is shipped."""

SYNTHETIC_MODELS = frozenset({*SHIPPED, "lexicon", "ideal"})
"""Of the synthetic test bench."""


@dataclass(frozen=True, slots=True)
class EngineIdentity:
    """What, beside the request, shapes a reply. Known without starting the engine.

    engine: implementation ("vllm", "transformers", "openai", ...).
    model, revision: the checkpoint; for a local folder the revision is a hash of its files.
    layout: version of the request layout with all its parameters (see `layout.py`).
    settings: whatever else shapes replies (dtype, quantization), canonical text.
    """

    engine: str
    model: str
    revision: str
    layout: str
    settings: str = ""

    @property
    def name(self) -> str:
        """Engine, model and revision, shortened, in one word."""
        return f"{self.engine}:{self.model}@{self.revision[:12]}"

    @property
    def is_synthetic(self) -> bool:
        """Whether this is a model of the synthetic test bench."""
        return self.model in SYNTHETIC_MODELS

    @property
    def is_chat(self) -> bool:
        """Whether requests are messages, which a server lays out in its own way."""
        return self.layout.startswith(CHAT_PREFIX)


class Engine(Protocol):
    """Contract of everything that answers requests.

    `ask` returns exactly one reply per request, in the order of the requests. It may be called
    from many threads at once; their requests share the engine's batches. It raises only
    `EngineError`, for a systemic failure. A request that fails alone is a reply with
    finish_reason "error". An empty batch returns an empty list without starting anything.
    Engines start on the first request that needs them, not when constructed.
    """

    @property
    def identity(self) -> EngineIdentity: ...

    @property
    def version(self) -> str:
        """Version of the software that answers, recorded beside replies ("vllm 0.32.0")."""
        ...

    def ask(self, requests: Sequence[Request]) -> list[Reply]: ...

    def close(self) -> None: ...


Arrival = tuple[int, Reply]
"""A reply that has come: the place of its request in the batch, and the reply."""


@runtime_checkable
class Streaming(Protocol):
    """An engine that can also hand out replies as they come, and asks in an order of its own.

    `stream` yields what has been answered since, at least once a second, until each request has
    been answered once; the list may be empty. Raises what `ask` raises. Requests that are
    unanswered when the generator is closed are given up.
    """

    def stream(self, requests: Sequence[Request]) -> Generator[list[Arrival]]: ...


@runtime_checkable
class Windowed(Streaming, Protocol):
    """A streaming engine that has few requests under way at a time, each of them paid for.

    It reads a request when it is about to begin it. That may raise StoppedError, which `stream`
    raises when what is under way has been handed out. window: the most requests that a stream has
    begun and not handed out.
    """

    @property
    def window(self) -> int: ...


@runtime_checkable
class KeepsImages(Protocol):
    """An engine with a cache of images that it knows the size of.

    num_resident: how many images like the first one that it was asked about the cache holds; None
    before that, and of an engine that does not know it after all.
    """

    @property
    def num_resident(self) -> int | None: ...
