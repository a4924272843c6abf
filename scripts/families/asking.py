"""Ask one engine everything about one family, and record what comes back."""
# ruff: noqa: PLC0415

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from blpo.data.errors import EngineError
from blpo.models.engine import Engine, Request, Sampling
from blpo.models.engines.factory import make_engine
from blpo.models.engines.settings import EngineKind, EngineSettings

from . import gated_delta
from .questions import (
    LATER_PROMPTS,
    Question,
    hostile_text,
    picture,
    questions,
    thinking_questions,
)
from .records import Answered, Record
from .registry import Family
from .watching import Watch, counting_encodings, watching_transformers, watching_vllm

_KV_CACHE_GIB = 0.25
_NEW_IMAGES = range(8, 12)


def ask_all(family: Family, folder: Path, engine: EngineKind, file: Path) -> None:
    """Ask an engine with a family's checkpoint; the record is written after every answer."""
    markup = markup_of(load_processor(folder).tokenizer)
    settings = EngineSettings(
        kind=engine, model=str(folder), kv_cache_gib=_KV_CACHE_GIB, images_per_request=2, engines=1
    )
    asking = _Asking(settings, file)
    if family.computes_in_bfloat16 and engine == "vllm":
        gated_delta.install()
    plain = questions(markup)
    asking.ask(plain, asking.record.answers, encode=True)
    if family.thought is not None:
        thinking = thinking_questions(hostile_text(markup))
        asking.ask(thinking, asking.record.answers, thinking="on")
    exact, verdicts = asking.record.exact, [q for q in plain if q.request.labels]
    if family.computes_in_bfloat16 and engine == "vllm":
        asking.ask(verdicts, exact, dtype="float32")
    if family.attends_causally and engine == "transformers":
        asking.ask(verdicts, exact, causal=True)
    asking.record.failure = None
    asking.record.write(file)


class _Asking:
    """An engine's record while it is made."""

    def __init__(self, settings: EngineSettings, file: Path) -> None:
        self.record = Record(failure="the engine's process ended in the middle")
        self._settings = settings
        self._file = file

    def ask(
        self,
        asked: Sequence[Question],
        answers: dict[str, Answered],
        *,
        encode: bool = False,
        causal: bool = False,
        **settings: Any,
    ) -> None:
        """Start an engine with these settings and put its answers down.

        encode: count encoded images, too. causal: with images that are attended in one direction.
        """
        engine = make_engine(self._settings.model_copy(update=settings))
        start = Request("Start.", picture(0), sampling=Sampling(max_tokens=1))
        with ExitStack() as stack:
            stack.callback(engine.close)
            in_transformers = self._settings.kind == "transformers"
            watch = None
            if in_transformers:
                watch = stack.enter_context(watching_transformers(causal=causal))
            started = _answer(engine, start, watch)
            watch = watch or stack.enter_context(watching_vllm())
            for question in asked:
                answered = started if started.error else _answer(engine, question.request, watch)
                answers[question.name] = answered
                self.record.write(self._file)
            if encode and not in_transformers and not started.error:
                self.record.num_encoded = _encode(engine, watch)
                self.record.num_images = len(_NEW_IMAGES)


def _answer(engine: Engine, request: Request, watch: Watch | None) -> Answered:
    if watch is not None:
        watch.clear()
    try:
        (reply,) = engine.ask([request])
    except EngineError as error:
        return Answered(error=f"{type(error).__name__}: {error}")
    return Answered.of(reply, watch.prompt if watch else [])


def _encode(engine: Engine, watch: Watch) -> list[int]:
    """Images encoded under each of several prompts over the same new ones.

    What vLLM keeps of encoded images beside its KV blocks is dropped before each: it has room for
    all of these few, and for few of a real run's.
    """
    images = [picture(seed) for seed in _NEW_IMAGES]
    labels = ("Safe", "Unsafe")
    passes = [
        [Request(prompt, image, labels=labels) for image in images]
        for prompt in ("Is it safe?", *LATER_PROMPTS)
    ]
    passes.append([Request("Describe it.", image, sampling=Sampling(4)) for image in images])
    counts: list[int] = []
    with counting_encodings(watch):
        for requests in passes:
            watch.clear()
            watch.core.reset_encoder_cache()
            engine.ask(requests)
            counts.append(watch.num_encoded)
    return counts


def load_processor(folder: Path) -> Any:
    from transformers import AutoProcessor

    auto: Any = AutoProcessor
    return auto.from_pretrained(folder)


def markup_of(tokenizer: Any) -> list[str]:
    """Added tokens that structure a chat, by their ids; nameless ones last."""
    added: dict[str, int] = tokenizer.get_added_vocab()
    written = [text for text in sorted(added, key=added.__getitem__) if set(text) & set("<[|")]
    return sorted(written, key=lambda text: "unused" in text or "SPECIAL_" in text)
