"""What tells a model that runs in this process from any other: known without importing torch."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from ...data.errors import LayoutError
from ..engine import SHIPPED, EngineIdentity
from ..requests import chat_template
from ..requests.layout import layout_id
from ..requests.turn_texts import turn_texts
from .checkpoint import find_folder, hub_revision, loaded_dtype, read_model_config
from .files import hub_file
from .kv_blocks import reuse_grain
from .settings import EngineSettings

READING = "2"
"""Version of how replies are read: label tokens, ends of a turn, markup in texts. Not told of the
shipped models, which read as in version 1: their labels are single tokens, their turn has one end,
and all their markup is special."""

_IDENTITY_SUFFIXES = (".json", ".safetensors", ".jinja", ".txt", ".model", ".bin")
_HASH_CHUNK_BYTES = 1 << 22


def local_identity(engine: str, settings: EngineSettings) -> EngineIdentity:
    """Identity of an engine that runs `settings.model` in this process.

    Raises EngineError if the model is a path that holds no checkpoint.
    """
    folder, config = find_folder(settings.model), read_model_config(settings)
    shaping = _shaping_settings(settings, config)
    return EngineIdentity(
        engine=engine,
        model=folder.name if folder and settings.model not in SHIPPED else settings.model,
        revision=folder_revision(folder) if folder else hub_revision(settings),
        layout=layout_id(reuse_grain(settings, config)),
        settings=",".join(f"{name}={value}" for name, value in shaping),
    )


def _shaping_settings(settings: EngineSettings, config: dict[str, Any]) -> list[tuple[str, str]]:
    """Settings on which replies depend, and what else of a model they do not tell."""
    shaping = [
        ("dtype", loaded_dtype(settings, config)),
        ("quantization", settings.quantization or "none"),
        ("kv_cache_dtype", settings.kv_cache_dtype),
    ]
    if settings.load_format != "auto":
        shaping.append(("weights", "random"))
    chosen = settings.reading
    shaping += chosen.items()
    if chosen or settings.model not in SHIPPED:
        shaping += [("reading", READING), ("template", template_digest(settings))]
    return shaping


def template_digest(settings: EngineSettings) -> str:
    """Hash of what the chat template puts around a text; "unknown" without a template.

    A template may have been edited in the cache, under the name of the same commit.
    """
    folder = find_folder(settings.model)
    commit = None if folder else hub_revision(settings)

    def find(name: str) -> Path | None:
        if folder is not None:
            return path if (path := folder / name).is_file() else None
        return hub_file(settings.model, commit or "main", name)

    try:
        template = chat_template.stored_template(find, settings.chat_template_kwargs)
        return turn_texts(template, settings.thinking).digest if template else "unknown"
    except LayoutError:
        return "unknown"  # the engine says why when it starts


def folder_revision(folder: Path) -> str:
    """sha256 over names and contents of the files that make up a checkpoint, 16 hex digits.

    Cached for the life of the process as long as the files keep their sizes and times.
    """
    files = sorted(p for p in folder.iterdir() if p.suffix in _IDENTITY_SUFFIXES and p.is_file())
    stamps = tuple((str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in files)
    return _hash_files(stamps)


@cache
def _hash_files(stamps: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for name, size, _ in stamps:
        digest.update(f"{Path(name).name}:{size}:".encode())
        with Path(name).open("rb") as file:
            while chunk := file.read(_HASH_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()[:16]
