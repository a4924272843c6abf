"""The records of a search's steps against themselves, and the report's trajectory against them."""

import html
from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from ..metrics.agreement import Agreement
from ..metrics.intervals import wilson
from ..report.html import OnTrain, on_train_plot
from ..report.page import call_macro
from ..report.prompt_diff import PromptDiff
from ..runs.directory import REPORT_FILE
from .findings import Findings
from .kept import Kept
from .page_differences import first_plot, plots_agree


def check_steps(kept: Kept, findings: Findings) -> Mapping[int, OnTrain]:
    """Compare each record's figures on train with its confusion counts; those, by step."""
    found: dict[int, OnTrain] = {}
    for index, step in kept.steps.items():
        if step.get("train") is not None:
            try:
                train = Agreement.model_validate(step["train"])
                found[index] = _check_train(index, train, findings)
            except ValueError:
                told = str(step["train"])[:80]
                findings.differ(f"steps/step-{index}.json", "train", told, "an agreement")
    return found


def check_trajectory(
    kept: Kept, trajectory: str, on_train: Mapping[int, OnTrain], findings: Findings
) -> None:
    """Compare the report's trajectory with the records."""
    plot = first_plot(on_train_plot(on_train))
    if not plots_agree(first_plot(trajectory), plot):
        findings.differ(REPORT_FILE, "trajectory: plot", "other figures", "those of the steps")
    for index, step in kept.steps.items():
        _, _, part = trajectory.partition(f"<h3>Step {index} ")
        part = part.partition("<h3>")[0]
        told = on_train[index].text if index in on_train else ""
        if "num_shown" in step:
            told += f"{step['num_shown']} shown to the optimizer"
        _expect(findings, f"step {index}", part, f"<small>{told}")
        _check_tried(findings, index, part, step.get("tried"))
        _check_change(findings, index, part, step)


def _check_train(index: int, train: Agreement, findings: Findings) -> OnTrain:
    """Raises ValueError for counts that are none."""
    confusion = np.array(train.confusion, dtype=np.int64)
    found = OnTrain.make(confusion)
    num_right = found.num_examples - found.num_misjudged
    recomputed = {
        "n": found.num_examples,
        "accuracy": found.accuracy,
        "macro_f1": found.macro_f1,
        "unparsable_share": float(confusion[:, -1].sum() / found.num_examples),
    }
    for name, value in recomputed.items():
        findings.compare(f"steps/step-{index}.json", f"train.{name}", getattr(train, name), value)
    interval = wilson(num_right, found.num_examples)
    kept = train.ci95.get("accuracy", ())
    findings.compare_all(
        f"steps/step-{index}.json", "train.ci95.accuracy", list(kept), list(interval)
    )
    return found


def _check_tried(findings: Findings, index: int, part: str, tried: object) -> None:
    if not isinstance(tried, list):
        findings.not_checked.append(
            f"{REPORT_FILE}: scores of step {index}: not kept by the version that wrote it"
        )
        return
    for one in cast("list[Mapping[str, Any]]", tried):
        badge = ' <span class="badge">chosen</span>' if one.get("is_chosen") else ""
        name = html.escape(str(one.get("name")))
        figures = call_macro("trajectory_figures", "tried_score", one)
        line = f'<div class="name"><bdi>{name}</bdi></div>\n<div>{figures}{badge}</div>'
        _, is_there, part = part.partition(line)
        if not is_there:
            told = f"{one.get('num_right')} of {one.get('num_judged')} right, {one.get('score')}"
            findings.differ(REPORT_FILE, f"step {index}, {name}", "other figures", told)
            return
        findings.num_figures += 3


def _check_change(findings: Findings, index: int, part: str, step: Mapping[str, Any]) -> None:
    """What the step changed in the judge prompt."""
    prompts = [step.get(name) for name in ("judge_prompt", "next_judge_prompt")]
    diff = PromptDiff.make(*(str(prompt) for prompt in prompts))
    if call_macro("trajectory_figures", "step_diff", diff).strip() not in part:
        findings.differ(REPORT_FILE, f"step {index}: change of the judge prompt", "another", "this")


def _expect(findings: Findings, what: str, part: str, told: str) -> None:
    findings.num_figures += 1
    if told not in part:
        kept = part.partition("<small>")[2].partition("</small>")[0]
        findings.differ(REPORT_FILE, f"{what} on train", kept, told.removeprefix("<small>"))
