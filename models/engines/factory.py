"""The engine that settings describe: the only module that knows every engine.

To add one: a folder or file here, a name in `EngineSettings.kind`, an entry in `_ENGINES`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from ...data.errors import ConfigError
from ..engine import Engine
from .settings import EngineKind, EngineSettings


def make_engine(settings: EngineSettings) -> Engine:
    """The engine that `settings` describe. It starts on its first request, not here."""
    return _ENGINES[settings.kind](settings)


def takes_several_images(settings: EngineSettings) -> bool:
    """Whether a request to this engine may have any number of images."""
    return settings.kind in ("openai", "decisions")


# Each is imported when it is wanted: the first two load heavy libraries.


def _vllm(settings: EngineSettings) -> Engine:
    if settings.num_engines > 1:
        from .group.group import EngineGroup  # noqa: PLC0415

        return EngineGroup(settings, make_engine)
    from .vllm.engine import VllmEngine  # noqa: PLC0415

    return VllmEngine(settings)


def _transformers(settings: EngineSettings) -> Engine:
    from .transformers import TransformersEngine  # noqa: PLC0415

    return TransformersEngine(settings)


def _openai(settings: EngineSettings) -> Engine:
    from .openai.engine import OpenAIEngine  # noqa: PLC0415

    return OpenAIEngine(settings)


def _lexicon(settings: EngineSettings) -> Engine:
    from ..lexicon.engine import LexiconEngine, lexicon_engine  # noqa: PLC0415

    world_file = _world_file(settings)
    return LexiconEngine() if world_file is None else lexicon_engine(world_file)


def _ideal(settings: EngineSettings) -> Engine:
    from ..ideal.engine import ideal_engine  # noqa: PLC0415

    world_file = _world_file(settings)
    if world_file is None:
        raise ConfigError(
            "an engine of kind ideal needs `model`, the world file of the graded bench, such as "
            "{kind: ideal, model: dev-0.yaml}"
        )
    return ideal_engine(world_file)


def _world_file(settings: EngineSettings) -> Path | None:
    """The file that `model` names; None where it names none."""
    is_named = settings.model != EngineSettings.model_fields["model"].default
    return Path(settings.model) if is_named else None


_ENGINES: Mapping[EngineKind, Callable[[EngineSettings], Engine]] = {
    "vllm": _vllm,
    "transformers": _transformers,
    "openai": _openai,
    "decisions": _openai,
    "lexicon": _lexicon,
    "ideal": _ideal,
}
