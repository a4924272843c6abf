"""The paper's own figures, to stand beside ours where the setting is the same.

Source of paper_results.csv: Pan et al., arXiv 2602.11340, tables 1 and 2 (macro F1 and
accuracy of the optimized prompt on the test split).
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from ..blpo.config import BlpoConfig
from ..config import RunConfig


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

    The setting is the same if task, judge checkpoint and method are, with the paper's parameters
    and prompts that are not the user's own. The test items are others: the paper's sample is not
    published.
    """
    is_papers_own = (
        config.preset == "paper"
        and config.algorithm == BlpoConfig()
        and config.judge.quantization is None
        and config.verdict == "direct"
        and (config.judge_prompt, config.i2t_prompt) == (None, None)
    )
    if not is_papers_own:
        return []
    return [
        result
        for result in _all_results()
        if (result.task, result.method) == (config.task, config.method)
        and Path(result.judge).name == Path(config.judge.model).name
    ]


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
