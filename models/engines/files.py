"""The files of a checkpoint, local or in the Hugging Face cache, and what is wrong with them."""

import json
from pathlib import Path
from typing import Any

from ...data.errors import EngineError

_POINTER = b"version https://git-lfs"
_HEADER_BYTES = 8
_CHECKED_SUFFIXES = (".safetensors", ".bin", ".json", ".model", ".jinja")
WEIGHTS_INDEX = "model.safetensors.index.json"
_ADAPTER = "adapter_config.json"
_OWN_WEIGHTS = ("*.safetensors", "*.bin")
_ADAPTER_WEIGHTS = "adapter_"


def read_config(path: Path) -> dict[str, Any]:
    """The contents of a config.json."""
    _refuse_pointer(path)
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise EngineError(f"{path} is not JSON: {error}") from error


def text_config(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a config.json on the text model; all of it where there is no such part."""
    return config.get("text_config") or config


def cached_file(model: str, revision: str | None, name: str) -> Path | None:
    """A file of a Hugging Face id in the local cache; None if it is not there."""
    import huggingface_hub  # noqa: PLC0415

    hub: Any = huggingface_hub
    cached = hub.try_to_load_from_cache(model, name, revision=revision)
    return Path(cached) if isinstance(cached, str) else None


def hub_file(model: str, revision: str, name: str) -> Path | None:
    """A file of a Hugging Face id in the local cache, fetched there if it is missing.

    None if the model has no such file, or if it is not in the cache and the hub is out of reach.
    """
    import huggingface_hub  # noqa: PLC0415
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError  # noqa: PLC0415

    hub: Any = huggingface_hub
    cached = hub.try_to_load_from_cache(model, name, revision=revision)
    if isinstance(cached, str):
        return Path(cached)
    if cached is not None:  # known not to exist
        return None
    try:
        return Path(hub.hf_hub_download(model, name, revision=revision))
    except (EntryNotFoundError, LocalEntryNotFoundError, OSError):
        return None


def refuse_adapter(folder: Path) -> None:
    """Raise EngineError if a folder holds an adapter (LoRA) without the model under it."""
    config = folder / _ADAPTER
    if not config.is_file() or any(
        not path.name.startswith(_ADAPTER_WEIGHTS)
        for pattern in _OWN_WEIGHTS
        for path in folder.glob(pattern)
    ):
        return
    base = read_config(config).get("base_model_name_or_path") or "its base model"
    raise EngineError(
        f"{folder} is a LoRA adapter of {base}: merge it into that model (peft: "
        "merge_and_unload, save_pretrained) and give the folder of the merged model"
    )


def refuse_broken(folder: Path) -> None:
    """Raise EngineError for files that a checkpoint lacks, or of which only a part has come."""
    for path in sorted(folder.iterdir()):
        if path.suffix in _CHECKED_SUFFIXES and path.is_file():
            _refuse_pointer(path)
            if path.suffix == ".safetensors":
                _refuse_cut(path)
    _refuse_missing(folder)
    if (folder / "tekken.json").is_file() and not (folder / "tokenizer.json").is_file():
        raise EngineError(
            f"{folder} has its tokenizer as tekken.json alone: use a repository of the model with "
            "tokenizer.json, or put that of the same family's transformers release into the folder"
        )


def _refuse_pointer(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(len(_POINTER)) == _POINTER:
            raise EngineError(
                f"{path} is a Git LFS pointer, not the file itself: run `git lfs pull` in its "
                "folder, or download the model again"
            )


def _refuse_cut(path: Path) -> None:
    """By the header of a safetensors file, which says where the last tensor ends."""
    size = path.stat().st_size
    with path.open("rb") as file:
        header_bytes = int.from_bytes(file.read(_HEADER_BYTES), "little")
        if _HEADER_BYTES + header_bytes > size:
            raise _cut(path, size, None)
        try:
            header: dict[str, Any] = json.loads(file.read(header_bytes))
        except ValueError:
            return  # no file of weights at all: what loads it says so
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    expected = _HEADER_BYTES + header_bytes + max(ends, default=0)
    if size < expected:
        raise _cut(path, size, expected)


def _cut(path: Path, size: int, expected: int | None) -> EngineError:
    of = f" of {expected}" if expected else ""
    return EngineError(f"{path} is cut off: it has {size}{of} bytes; download the model again")


def _refuse_missing(folder: Path) -> None:
    index = folder / WEIGHTS_INDEX
    if not index.is_file():
        return
    named = set(read_config(index).get("weight_map", {}).values())
    missing = sorted(name for name in named if not (folder / name).is_file())
    if missing:
        raise EngineError(
            f"{folder} lacks {len(missing)} of {len(named)} weight files ({missing[0]}): download "
            "the model again"
        )
