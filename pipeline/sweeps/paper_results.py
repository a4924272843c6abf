"""The paper's own figures, to stand beside ours where the setting is the same.

Source of paper_results.csv: Pan et al., arXiv 2602.11340, tables 1 and 2 (macro F1 and
accuracy of the optimized prompt on the test split).
"""

import csv
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..config import OptimizerConfig, RunConfig
from ..search.budget import BudgetConfig

_O3 = re.compile(r"o3(-\d{4}-\d\d-\d\d)?")
_OTHER_SCALE = frozenset({"agin"})
"""The paper asks for 1-7 where labels are 1-5; the shipped task asks for 1-5."""


@dataclass(frozen=True, slots=True)
class PaperResult:
    """A cell of the paper's table 1 or 2."""

    table: int
    judge: str
    method: str
    task: str
    macro_f1: float
    accuracy: float


def paper_results(config: RunConfig) -> list[PaperResult]:
    """What the paper reports for a run's setting: nothing, one figure, or one of each table.

    The setting is the same if task and label scale, judge checkpoint, verbalizer, optimizer,
    budget and method are, with the paper's parameters and prompts that are not the user's own. The
    test items are others: the paper's sample is not published.
    """
    if not _is_papers_own(config) or config.task in _OTHER_SCALE:
        return []
    return [
        result
        for result in _all_results()
        if (result.task, result.method) == (config.task, config.method)
        and Path(result.judge).name == Path(config.judge.model).name
    ]


def _is_papers_own(config: RunConfig) -> bool:
    return (
        config.preset == "paper"
        and config.resolved_algorithm == _own_settings(config)
        and _is_papers_optimizer(config.optimizer)
        and config.verbalizer.engine is None
        and config.budget == BudgetConfig()
        and config.judge.quantization is None
        and config.verdict == "direct"
        and (config.judge_prompt, config.i2t_prompt) == (None, None)
    )


def _own_settings(config: RunConfig) -> Any:
    """The settings of the run's method where nothing else is said."""
    return RunConfig(
        task=config.task, dataset=config.dataset, output=config.output, method=config.method
    ).resolved_algorithm


def _is_papers_optimizer(optimizer: OptimizerConfig) -> bool:
    """Whether proposals come from o3, at whatever date of it."""
    engine = optimizer.engine
    return (
        engine is not None and engine.kind == "openai" and _O3.fullmatch(engine.model) is not None
    )


@cache
def _all_results() -> tuple[PaperResult, ...]:
    file = files("blpo.pipeline.sweeps") / "paper_results.csv"
    with file.open(encoding="utf-8") as rows:
        return tuple(
            PaperResult(
                int(row["table"]),
                row["judge"],
                row["method"],
                row["task"],
                float(row["macro_f1"]),
                float(row["accuracy"]),
            )
            for row in csv.DictReader(rows)
        )
