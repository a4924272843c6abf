"""The formats by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...data.arrow import atomic_path, refuse_ending
from ...data.errors import ConfigError, DataError
from ..bulk.bundle import Bundle, bundle_text
from ..report.plots import METRICS
from ..runs.finished_run import PastRun
from . import inspect, mlflow, plain, promptfoo
from .messages import lost_reading


@dataclass(frozen=True, slots=True)
class Format:
    """A format: the end of its default name, and its text, or its texts by name for a folder.

    endings: of other names; none for a folder. holds_rules: whether it holds what is done with the
    judge's answer; else the prompt alone.
    """

    suffix: str
    write: Callable[[Bundle], str | Mapping[str, str]]
    endings: tuple[str, ...] = (".json",)
    holds_rules: bool = False


FORMATS: Mapping[str, Format] = {
    "bundle": Format(".bundle.json", bundle_text, holds_rules=True),
    "text": Format(".prompt.txt", plain.prompt_text, (".txt", ".md")),
    "openai": Format(".openai.json", plain.openai_body),
    "vllm": Format(".vllm.json", plain.vllm_body),
    "promptfoo": Format(".promptfoo.yaml", promptfoo.promptfoo_config, (".yaml", ".yml")),
    "inspect": Format("_inspect.py", inspect.inspect_task, (".py",)),
    "mlflow": Format(".mlflow", mlflow.mlflow_model, (), holds_rules=True),
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
        with atomic_path(file, overwrite=overwrite) as temporary:
            temporary.write_text(text, "utf-8")
    return path


def refuse_lost_reading(run: PastRun, bundle: Bundle, name: str) -> None:
    """Raise ConfigError for a format without the reading that the run fitted, where it may change
    labels: how many it changed, what it is worth, and both ways on."""
    task, effect, raw = bundle.task, run.result.test.reading, run.raw
    reading = None if FORMATS[name].holds_rules else lost_reading(bundle)
    if reading is None or effect is None or raw is None:
        return
    if task.criteria or task.compare == "scores":
        return
    changed = sum(a.label != b.label for a, b in zip(raw.final, run.final, strict=True))
    metric = task.primary_metric
    before, after = getattr(effect.final_raw, metric), getattr(run.result.test.final, metric)
    raise ConfigError(
        f"{run.path}: its probabilities are read as fitted (reading: {reading.family}), which no "
        f"prompt holds. On the test images that changed {changed:,} of {len(run.final):,} labels; "
        f"{METRICS[metric]} is {before:.3f} without it, {after:.3f} with it. Export a bundle (or "
        f"mlflow), which reads them so, or pass --without-reading for the prompt alone"
    )


def _inside(folder: Path, texts: Mapping[str, str]) -> dict[Path, str]:
    return {folder / name: text for name, text in texts.items()}
