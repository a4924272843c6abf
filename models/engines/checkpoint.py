"""Where a model's files are, and what is loaded of them: known without importing torch."""

import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ...data.errors import EngineError, LayoutError
from ..engine import SHIPPED
from ..requests.layout import Layout, make_layout
from .files import (
    cached_file,
    hub_file,
    read_config,
    refuse_adapter,
    refuse_broken,
    text_config,
)
from .kv_blocks import reuse_grain
from .settings import DEFAULT_MAX_MODEL_LEN, Dtype, EngineSettings, installed_version

MICRO = "micro"

MIN_PIXELS = 28 * 28
MAX_PIXELS = 2048 * 2048
"""Bounds of every processor's own resizing. Images come already resized into the bounds of their
`ImageRef`; a processor only rounds them to its patch grid."""

_WEIGHT_SUFFIXES = (".safetensors", ".bin")
_MAX_CHARS = 500
_MISSING_PACKAGE = re.compile(r"pip install (\w[\w.-]*\w)|No module named '(\w+)'")
_UNKNOWN = "does not recognize this architecture"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a model's files are.

    path, revision: what from_pretrained takes. config: contents of config.json. folder: where the
    files are if they are local. end_ids: tokens that end a reply.
    """

    path: str
    revision: str | None
    config: dict[str, Any]
    folder: Path | None
    end_ids: tuple[int, ...] = ()


def find_folder(model: str) -> Path | None:
    """The local folder of a model; None for a Hugging Face id.

    Raises EngineError if `model` is a path without a checkpoint.
    """
    if model in SHIPPED:
        folder = Path(str(resources.files("blpo.models") / SHIPPED[model]))
        remedy = "the installation is incomplete; reinstall blpo"
    else:
        folder = Path(model).expanduser()
        remedy = "give a folder with config.json, a Hugging Face id, 'micro' or 'micro-meaning'"
        if not folder.exists() and _looks_like_hub_id(model):
            return None
    if not folder.is_dir():
        raise EngineError(f"model folder {folder} does not exist: {remedy}")
    refuse_adapter(folder)
    if not (folder / "config.json").is_file():
        raise EngineError(f"model folder {folder} has no config.json: {remedy}")
    return folder.resolve()


def hub_revision(settings: EngineSettings) -> str:
    """The commit of a Hugging Face id: as pinned, else as cached here, else the newest one."""
    revision = settings.revision or "main"
    if re.fullmatch(r"[0-9a-f]{40}", revision):
        return revision
    return _hub_config(settings.model, revision).parent.name


def is_available_offline(settings: EngineSettings) -> bool:
    """Whether a model is a local folder, or in the Hugging Face cache with its weights.

    Raises EngineError if the model is a path that holds no checkpoint.
    """
    if find_folder(settings.model) is not None:
        return True
    config = cached_file(settings.model, settings.revision or "main", "config.json")
    return config is not None and any(
        next(config.parent.glob(f"*{suffix}"), None) for suffix in _WEIGHT_SUFFIXES
    )


def locate(settings: EngineSettings) -> Checkpoint:
    """The files that an engine loads. Raises EngineError if there are none, or broken ones."""
    folder = find_folder(settings.model)
    if folder is not None:
        refuse_broken(folder)
        config = read_config(folder / "config.json")
        end_ids = _end_ids(folder / "generation_config.json", config)
        return Checkpoint(str(folder), None, config, folder, end_ids)
    commit = hub_revision(settings)
    config = read_config(_hub_config(settings.model, commit))
    end_ids = _end_ids(hub_file(settings.model, commit, "generation_config.json"), config)
    return Checkpoint(settings.model, commit, config, None, end_ids)


def _end_ids(generation_config: Path | None, config: dict[str, Any]) -> tuple[int, ...]:
    """The tokens that end a reply: as the checkpoint says for generation, else in its config."""
    texts: list[dict[str, Any]] = [config.get("text_config") or {}, config]
    if generation_config is not None and generation_config.is_file():
        texts.insert(0, read_config(generation_config))
    named: list[int | list[int] | None] = [text.get("eos_token_id") for text in texts]
    found = next((ids for ids in named if ids is not None), ())
    return (found,) if isinstance(found, int) else tuple(found)


def make_model_layout(processor: Any, settings: EngineSettings, checkpoint: Checkpoint) -> Layout:
    """The layout of requests to a model.

    Raises LayoutError as `make_layout` does, and for a chat template that takes fewer images in
    one request than the settings name.
    """
    try:
        layout = make_layout(
            processor,
            reuse_grain(settings, checkpoint.config),
            thinking=settings.thinking,
            template_kwargs=settings.chat_template_kwargs,
            end_ids=checkpoint.end_ids,
            num_images=settings.images_per_request,
        )
        layout.prefix(settings.images_per_request)
    except LayoutError as error:
        raise LayoutError(f"model {settings.model}: {error}") from error
    return layout


def snapshot_folder(checkpoint: Checkpoint) -> Path | None:
    """Where the Hugging Face cache has a model's files; None if it has none."""
    config = cached_file(checkpoint.path, checkpoint.revision, "config.json")
    return None if config is None else config.parent


def loaded_dtype(settings: EngineSettings, config: dict[str, Any]) -> Dtype:
    """What the weights are loaded as.

    config: contents of config.json. vLLM has its gated delta attention on CPU in bfloat16 alone.
    """
    if settings.dtype == "auto" and settings.kind == "vllm" and has_linear_attention(config):
        return "bfloat16"
    return settings.resolved_dtype


def has_linear_attention(config: dict[str, Any]) -> bool:
    """Whether a model has layers of linear attention, which keep a state, not keys and values."""
    return "linear_attention" in (text_config(config).get("layer_types") or ())


def read_model_config(settings: EngineSettings) -> dict[str, Any]:
    """Contents of config.json. Raises EngineError if there is none."""
    folder = find_folder(settings.model)
    return read_config(
        folder / "config.json" if folder else _hub_config(settings.model, hub_revision(settings))
    )


def max_model_len(settings: EngineSettings, config: dict[str, Any]) -> int:
    """Tokens of prompt and reply: as configured, else the model's own bound within reason."""
    if settings.max_model_len is not None:
        return settings.max_model_len
    own: int | None = text_config(config).get("max_position_embeddings")
    return min(own or DEFAULT_MAX_MODEL_LEN, DEFAULT_MAX_MODEL_LEN)


def load_processor(checkpoint: Checkpoint) -> Any:
    """The transformers processor of a model; imports transformers.

    Raises EngineError if the model has none (a text-only model, missing files).
    """
    from transformers import AutoProcessor  # noqa: PLC0415

    auto: Any = AutoProcessor
    try:
        processor: Any = auto.from_pretrained(
            checkpoint.path, revision=checkpoint.revision, trust_remote_code=False
        )
    except (OSError, ValueError, ImportError) as error:
        raise EngineError(
            f"no processor for model {checkpoint.path}: {load_failure(error)}"
        ) from error
    if not hasattr(processor, "tokenizer"):
        raise EngineError(
            f"model {checkpoint.path} has a tokenizer but no image processor: "
            "use a vision-language model"
        )
    return processor


def load_failure(error: BaseException) -> str:
    """One line on why a model does not load, with the remedy where it is known."""
    text = str(error)
    if "trust_remote_code" in text or "custom code" in text:
        return (
            "it brings Python code of its own, which blpo does not run; use a version of the model "
            "in transformers' own format (often named -hf)"
        )
    if _UNKNOWN in text:
        return (
            f"transformers {installed_version('transformers')} does not know its architecture; use "
            "a model of an older family, or a version of blpo with a newer transformers"
        )
    missing = _MISSING_PACKAGE.search(text)
    if missing is not None:
        return f"a package is missing: pip install {missing.group(1) or missing.group(2)}"
    return " ".join(text.split())[:_MAX_CHARS] or type(error).__name__


def processor_options(processor: Any) -> dict[str, Any]:
    """Options that widen a processor's own pixel bounds; empty for a processor without such."""
    image_processor = processor.image_processor
    size: Any = getattr(image_processor, "size", None) or {}
    if "longest_edge" in size and hasattr(image_processor, "merge_size"):
        return {"size": {"shortest_edge": MIN_PIXELS, "longest_edge": MAX_PIXELS}}
    return {}


def weights_bytes(folder: Path) -> int:
    """Bytes of a checkpoint's safetensors files."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def _looks_like_hub_id(model: str) -> bool:
    parts = model.split("/")
    return len(parts) <= 2 and all(parts) and not model.startswith((".", "~", "/"))


def _hub_config(model: str, revision: str) -> Path:
    """config.json of a Hugging Face id in the local cache, fetched there if it is missing."""
    if (cached := cached_file(model, revision, "config.json")) is not None:
        return cached
    import huggingface_hub  # noqa: PLC0415

    hub: Any = huggingface_hub
    try:
        return Path(hub.hf_hub_download(model, "config.json", revision=revision))
    except (OSError, ValueError) as error:
        raise EngineError(
            f"model {model} is not a local folder, and its revision {revision} cannot be had "
            f"from the Hugging Face hub: {error}"
        ) from error
