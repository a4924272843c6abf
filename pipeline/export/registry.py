"""The formats by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...data.arrow import atomic_path, refuse_ending
from ...data.errors import DataError
from ..bulk.bundle import Bundle, bundle_text
from . import inspect, mlflow, plain, promptfoo


@dataclass(frozen=True, slots=True)
class Format:
    """A format: the end of its default name, and its text, or its texts by name for a folder.

    endings: of other names; none for a folder.
    """

    suffix: str
    write: Callable[[Bundle], str | Mapping[str, str]]
    endings: tuple[str, ...] = (".json",)


FORMATS: Mapping[str, Format] = {
    "bundle": Format(".bundle.json", bundle_text),
    "text": Format(".prompt.txt", plain.prompt_text, (".txt", ".md")),
    "openai": Format(".openai.json", plain.openai_body),
    "vllm": Format(".vllm.json", plain.vllm_body),
    "promptfoo": Format(".promptfoo.yaml", promptfoo.promptfoo_config, (".yaml", ".yml")),
    "inspect": Format("_inspect.py", inspect.inspect_task, (".py",)),
    "mlflow": Format(".mlflow", mlflow.mlflow_model, ()),
}


def export(bundle: Bundle, name: str, out: Path | None = None, *, overwrite: bool = False) -> Path:
    """Write a bundle in a format; where it is.

    out: file or folder; named after the run, in the working directory, if not given. Raises
    ConfigError for a judge that the format cannot hold, DataError for an output that is there or
    has the ending of another format.
    """
    chosen = FORMATS[name]
    path = out or Path(f"{bundle.name}{chosen.suffix}")
    if chosen.endings:
        refuse_ending(path, *chosen.endings)
    if path.exists() and not overwrite:
        raise DataError(f"{path}: already there: name another one with --out or pass --overwrite")
    written = chosen.write(bundle)
    texts = {path: written} if isinstance(written, str) else _inside(path, written)
    for file, text in texts.items():
        with atomic_path(file) as temporary:
            temporary.write_text(text, "utf-8")
    return path


def _inside(folder: Path, texts: Mapping[str, str]) -> dict[Path, str]:
    return {folder / name: text for name, text in texts.items()}
