"""Ask one engine everything about one family, and record what comes back."""
# ruff: noqa: PLC0415

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from blpo.data.errors import EngineError
from blpo.models.engine import Engine, Request, Sampling
from blpo.models.engines.factory import make_engine
from blpo.models.engines.settings import EngineKind, EngineSettings

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
from .watching import Watch, counting_encodings, watch_transformers, watch_vllm

_KV_CACHE_GIB = 0.25
_NEW_IMAGES = range(8, 12)


def ask_all(family: Family, folder: Path, engine: EngineKind, file: Path) -> None:
    """Ask an engine with a family's checkpoint; the record is written after every answer."""
    markup = markup_of(load_processor(folder).tokenizer)
    record = Record(failure="the engine's process ended in the middle")
    settings = EngineSettings(
        kind=engine, model=str(folder), kv_cache_gib=_KV_CACHE_GIB, images_per_request=2, engines=1
    )
    watch = watch_transformers() if engine == "transformers" else None
    plain = questions(markup)
    watch = _ask(settings, plain, watch, record, file)
    if family.thought is not None:
        thinking = thinking_questions(hostile_text(markup))
        _ask(settings.model_copy(update={"thinking": "on"}), thinking, watch, record, file)
    record.failure = None
    record.write(file)


def _ask(
    settings: EngineSettings,
    asked: Sequence[Question],
    watch: Watch | None,
    record: Record,
    file: Path,
) -> Watch:
    engine = make_engine(settings)
    start = Request("Start.", picture(0), sampling=Sampling(max_tokens=1))
    started = _answer(engine, start, watch)
    watch = watch or watch_vllm()
    for question in asked:
        answered = started if started.error else _answer(engine, question.request, watch)
        record.answers[question.name] = answered
        record.write(file)
    if settings.kind == "vllm" and settings.thinking == "off" and not started.error:
        record.num_encoded = _encode(engine, watch)
        record.num_images = len(_NEW_IMAGES)
    engine.close()
    return watch


def _answer(engine: Engine, request: Request, watch: Watch | None) -> Answered:
    if watch is not None:
        watch.clear()
    try:
        (reply,) = engine.ask([request])
    except EngineError as error:
        return Answered(error=f"{type(error).__name__}: {error}")
    return Answered.of(reply, watch.prompt if watch else [])


def _encode(engine: Engine, watch: Watch) -> list[int]:
    """Images encoded under each of several prompts over the same new ones."""
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
