"""The comparison of several runs as one HTML file that needs nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from ...data.arrow import atomic_path, refuse_output
from ..metrics.agreement import Agreement
from ..report.conclusion import Tone
from ..report.page import environment_of, fill_page
from ..report.plots import (
    METRICS,
    NUM_RUN_COLORS,
    Differences,
    Learning,
    differences_plot,
    learning_plot,
)
from ..report.prompt_diff import PromptDiff
from ..runs.directory import run_task, step_records
from ..runs.finished_run import PastRun
from ..sweeps.compare import Comparisons, RunComparison, gain_in_words
from ..sweeps.tables_text import p_text
from .disagreements import SIDES, find_disagreements

_SECTIONS = {
    "differences": "Differences",
    "side_by_side": "Prompts",
    "disagreements": "Disagreements",
    "learning": "Learning curves",
    "settings": "Settings",
}


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as the page shows it. number: from 1, the reference. name: as short as tells it from
    the others. compared: with the reference; None for the reference itself."""

    number: int
    name: str
    past: PastRun
    compared: RunComparison | None

    @property
    def color(self) -> str:
        """As CSS."""
        return f"var(--run-{(self.number - 1) % NUM_RUN_COLORS + 1})"

    @property
    def test(self) -> Agreement:
        return self.past.result.test.final

    @property
    def tone(self) -> Tone:
        return "better" if self.compared and self.compared.is_gain else "unclear"

    @property
    def sentence(self) -> str:
        return gain_in_words(self.compared) if self.compared else ""

    def p(self, metric: str) -> str:
        """Of the difference in a metric, adjusted for all runs compared: "= 0.031"."""
        if self.compared is None:
            return ""
        text = p_text(getattr(self.compared, metric).p_holm)
        return text if text.startswith("<") else f"= {text}"

    def diff(self, reference: PastRun, which: str) -> PromptDiff:
        """From the reference's prompt to this run's. which: a field of the results."""
        return PromptDiff.make(getattr(reference.result, which), getattr(self.past.result, which))


def write_comparison(
    path: Path, found: Comparisons, runs: Sequence[PastRun], *, overwrite: bool = False
) -> None:
    """Write the page. runs: those of the comparison, the reference first.

    Raises DataError if the file is there and is not to be replaced.
    """
    refuse_output(path, runs[0].path, ".html", overwrite=overwrite)
    text = render_comparison(found, runs)
    with atomic_path(path, overwrite=overwrite) as temporary:
        temporary.write_text(text, "utf-8")


def render_comparison(found: Comparisons, runs: Sequence[PastRun]) -> str:
    """The whole page as HTML text; the same runs give the same bytes."""
    view = _view(found, runs)
    sections = {
        name: Markup(_environment().get_template(f"{name}.html.j2").render(view))
        for name in _SECTIONS
    }
    template = _environment().get_template("comparison.html.j2")
    return fill_page(template, _SECTIONS, sections, view, css=_css())


def _view(found: Comparisons, runs: Sequence[PastRun]) -> dict[str, Any]:
    reference, *others = runs
    names = short_names([run.path for run in runs])
    views = [
        RunView(number, name, past, compared)
        for number, (name, past, compared) in enumerate(
            zip(names, runs, [None, *found.runs], strict=True), 1
        )
    ]
    curves = {view.number: _curve(view.past) for view in views}
    return {
        "found": found,
        "reference": reference,
        "runs": views,
        "others": views[1:],
        "task": run_task(reference.config),
        "metrics": METRICS,
        "sides": SIDES,
        "disagreements": find_disagreements(runs),
        "differences_plot": differences_plot(
            {view.number: _differences(view.compared) for view in views if view.compared}
        ),
        "curves": curves,
        "learning_plot": learning_plot(curves),
        "num_others": len(others),
        "version": metadata.version("blpo"),
    }


def _differences(compared: RunComparison) -> Differences:
    """From the reference, by metric as the plot names it, with their intervals."""
    parts = {
        "accuracy": compared.accuracy,
        "macro F1": compared.macro_f1,
        "kappa": compared.kappa,
    }
    return {name: (part.difference, part.ci95) for name, part in parts.items()}


def _curve(run: PastRun) -> Learning:
    """Macro F1 on train of the prompt that each step started from, by step."""
    records = step_records(run.path)
    return [(r["step"], r["train"]["macro_f1"]) for r in records if r.get("train")]


def short_names(paths: Sequence[Path]) -> list[str]:
    """The last parts of each path, as many as tell them apart."""
    resolved = [path.resolve() for path in paths]
    for length in range(1, max(len(path.parts) for path in resolved)):
        names = ["/".join(path.parts[-length:]) for path in resolved]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]


@cache
def _environment() -> Environment:
    return environment_of(__package__ or "")


def _css() -> str:
    return (files(__package__ or "") / "templates" / "comparison.css").read_text("utf-8")
