"""The outer steps of Algorithm 1 as steps of a search: record and report of `blpo.py`."""

from collections.abc import Iterator, Sequence
from typing import Any

from ..data.examples import Example
from ..models.stored import Role
from .blpo import BlpoConfig, Candidate, OuterStep, Roles, optimize
from .steps import (
    ShownCase,
    Step,
    Tried,
    failure_note,
    num_right,
    verbalization_records,
    verdict_records,
)


def search(
    roles: Roles,
    train: Sequence[Example],
    judge_prompt: str,
    i2t_prompt: str,
    config: BlpoConfig,
    seed: int,
) -> Iterator[Step]:
    """Contract: `search.Search`."""
    for outer_step in optimize(roles, train, judge_prompt, i2t_prompt, config, seed):
        yield make_step(outer_step, train)


def expected_calls(config: BlpoConfig, num_train: int) -> dict[Role, int]:
    """Contract: `search.Search`."""
    steps = config.outer_steps
    tries = config.inner_steps + 1 if config.i2t == "learned" else 1
    tried = tries * config.minibatch_size
    return {
        "judge": steps * (num_train + tried),
        "verbalizer": steps * tried,
        "optimizer": steps * (2 * tries - 1),
    }


def make_step(outer_step: OuterStep, train: Sequence[Example]) -> Step:
    chosen = outer_step.chosen
    return Step(
        index=outer_step.index,
        judge_prompt=outer_step.judge_prompt,
        next_judge_prompt=outer_step.next_judge_prompt,
        examples=train,
        verdicts=outer_step.verdicts,
        details=_details(outer_step),
        tried=_tried(outer_step),
        shown=_shown(outer_step),
        i2t_prompt=chosen.i2t_prompt if chosen else None,
        notes=_notes(outer_step),
    )


def _details(step: OuterStep) -> dict[str, Any]:
    """Minibatch, every candidate with its score and verbalizations, and which one was chosen."""
    search = step.search
    return {
        "error_minibatch": verdict_records(
            [wrong.example for wrong in step.misjudgments],
            [wrong.verdict for wrong in step.misjudgments],
        ),
        "baseline": _candidate_record(search.baseline) if search and search.baseline else None,
        "candidates": [_candidate_record(c) for c in search.candidates] if search else [],
        "i2t_failures": [list(p.failures) for p in search.failures] if search else [],
        "chosen": search.candidates.index(step.chosen) if search and step.chosen else None,
    }


def _candidate_record(candidate: Candidate) -> dict[str, Any]:
    return {
        "i2t_prompt": candidate.i2t_prompt,
        "score": candidate.score,
        "judge_prompt": candidate.judge_prompt,
        "kept_current_prompt": candidate.proposal.prompt is None,
        "proposal_failures": list(candidate.proposal.failures),
        "verbalizations": verbalization_records(candidate.verbalizations),
        "verdicts": [verdict.label for verdict in candidate.verdicts],
    }


def _tried(step: OuterStep) -> list[Tried]:
    search = step.search
    if search is None:
        return []
    baseline = [_tried_prompt("initial", search.baseline, step)] if search.baseline else []
    candidates = [_tried_prompt(str(n), c, step) for n, c in enumerate(search.candidates, 1)]
    failed = [
        Tried("failed", "", note=failure_note(proposal, "I2T prompt"))
        for proposal in search.failures
    ]
    return [*baseline, *candidates, *failed]


def _tried_prompt(name: str, candidate: Candidate, step: OuterStep) -> Tried:
    proposal = candidate.proposal
    return Tried(
        name,
        candidate.i2t_prompt,
        candidate.score,
        num_right([wrong.example for wrong in step.misjudgments], candidate.verdicts),
        len(candidate.verdicts),
        is_chosen=candidate is step.chosen,
        led_to=None if proposal.prompt is None else candidate.judge_prompt,
        note=failure_note(proposal, "judge prompt", ", current one kept"),
    )


def _shown(step: OuterStep) -> list[ShownCase]:
    baseline, chosen = step.search and step.search.baseline, step.chosen
    return [
        ShownCase(
            wrong.example,
            wrong.verdict,
            chosen.verdicts[i] if chosen else None,
            baseline.verbalizations[i] if baseline else None,
            chosen.verbalizations[i] if chosen else None,
        )
        for i, wrong in enumerate(step.misjudgments)
    ]


def _notes(step: OuterStep) -> list[str]:
    if step.search is None:
        return ["No example was misjudged: the loop ended here."]
    if step.chosen is None:
        return ["No I2T prompt to choose from: the judge prompt was kept."]
    if step.next_judge_prompt == step.judge_prompt:
        return ["The judge prompt was kept."]
    return []
