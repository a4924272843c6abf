"""The formats by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...data.arrow import atomic_path, refuse_ending
from ...data.errors import ConfigError, DataError
from ...data.tasks import Task
from ...models.roles.judge import Verdict
from ..bulk.bundle import Bundle, Rules, bundle_text, lost_decision
from ..metrics.agreement import Agreement
from ..readings.choose import Reading
from ..report.plots import METRICS
from ..runs.directory import TRAIN_PREDICTIONS_FILE
from ..runs.finished_run import PastRun
from ..runs.predictions import read_predictions
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


def for_format(run: PastRun, bundle: Bundle, name: str) -> Bundle:
    """The bundle as a format can hold it: without rules where it holds the prompt alone.

    Raises ConfigError where the reading that the format would lose changed labels of the run: how
    many, what it is worth, and both ways on.
    """
    rules = bundle.rules
    if FORMATS[name].holds_rules or (rules.reading is None and rules.decision is None):
        return bundle
    if bundle.task.criteria or bundle.task.compare == "scores":
        return bundle
    told = [bundle.left_out] if bundle.left_out else []
    lost = lost_reading(bundle)
    if lost is not None:
        effect, raw = run.result.test.reading, run.raw
        if raw is None or effect is None:
            return bundle
        told.append(_unchanged(run, bundle.task, lost, raw.final, effect.final_raw))
    elif rules.reading is not None:
        told.append(
            f"Left out: the reading {rules.reading.family}, which corrects the judge's "
            "probabilities and changes no label."
        )
    if rules.decision is not None:
        told.append(lost_decision(rules))
    return bundle.model_copy(update={"rules": Rules(), "left_out": " ".join(told)})


def _unchanged(
    run: PastRun, task: Task, reading: Reading, raw: Sequence[Verdict], without: Agreement
) -> str:
    """That a reading changed no label of a run; raises ConfigError if it did.

    raw, without: verdicts of the final prompt on test without the reading, and their agreement.
    """
    on_train = read_predictions(run.path / TRAIN_PREDICTIONS_FILE).final
    changed = _num_changed(reading, raw)
    changed_on_train = _num_changed(reading, on_train)
    if not changed and not changed_on_train:
        return (
            f"Left out: the reading {reading.family}, which corrects the judge's probabilities. "
            f"It changed no label of {len(on_train):,} training and {len(run.final):,} test "
            "images; of other images it may change one that the judge is unsure of."
        )
    metric = task.primary_metric
    before, after = getattr(without, metric), getattr(run.result.test.final, metric)
    raise ConfigError(
        f"{run.path}: its probabilities are read as fitted (reading: {reading.family}), which no "
        f"prompt holds. That changed {changed:,} of {len(run.final):,} labels of the test images "
        f"and {changed_on_train:,} of {len(on_train):,} in training; {METRICS[metric]} on the test "
        f"is {before:.3f} without it, {after:.3f} with it. Export a bundle (or mlflow), which "
        "reads them so, or pass --without-reading for the prompt alone"
    )


def _num_changed(reading: Reading, verdicts: Sequence[Verdict]) -> int:
    """How many labels a reading changes. verdicts: by the likeliest label."""
    return sum(reading(verdict).label != verdict.label for verdict in verdicts)


def _inside(folder: Path, texts: Mapping[str, str]) -> dict[Path, str]:
    return {folder / name: text for name, text in texts.items()}
