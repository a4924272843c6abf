"""The outer steps of Algorithm 1 as steps of a search: their record and their report."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...data.examples import Example
from ...models.roles.judge import Verdict
from ...models.wrappers.ledger import Role
from ..search.paired_gain import PairedGain
from ..search.step import (
    ShownCase,
    Step,
    Tried,
    failure_note,
    num_right,
    verbalization_records,
    verdict_records,
)
from .algorithm import optimize
from .config import BlpoConfig
from .policies.plus import choices_of
from .records import Candidate, FinalChoice, OuterStep, named
from .roles import Roles


def search(
    roles: Roles,
    train: Sequence[Example],
    judge_prompt: str,
    i2t_prompt: str,
    config: BlpoConfig,
    seed: int,
) -> Iterator[Step]:
    """Contract: `methods.base.Search`."""
    choices = choices_of(roles, train, judge_prompt, config, seed)
    for step in optimize(choices, judge_prompt, i2t_prompt):
        match step:
            case OuterStep():
                yield make_step(step, train)
            case FinalChoice():
                yield make_final_step(step)


def expected_calls(config: BlpoConfig, num_train: int) -> dict[Role, int]:
    """Contract: `methods.base.Search`; races and what is asked for once make it fewer."""
    steps, tries, rounds = config.outer_steps, 1, 0
    if config.i2t == "learned":
        openers = 3 if config.q0_competes else 1
        tries, rounds = openers + config.inner_steps, config.inner_rounds
    scored = config.minibatch_size if config.score_on == "errors" else config.probe_size
    kept = config.kept_cases if config.update_p == "informed" else 0
    return {
        "judge": steps * (num_train + tries * scored),
        "verbalizer": steps * tries * (config.minibatch_size + kept),
        "optimizer": steps * (tries + rounds),
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


def make_final_step(choice: FinalChoice) -> Step:
    """The choice as a step of its own; it is shown nothing and tries nothing."""
    num_judged = sum(1 for ranked in choice.ranked if ranked.entry.losses)
    told = (
        f"Chosen among {num_judged} judge prompts by the lower bound of the gain over the initial."
        if choice.ranked
        else "What was accepted last; the step before started from a judge prompt that was not."
    )
    return Step(
        index=choice.index,
        judge_prompt=choice.judge_prompt,
        next_judge_prompt=choice.final_judge_prompt,
        examples=[],
        verdicts=[],
        details={
            "archive": [
                {
                    "judge_prompt": ranked.entry.judge_prompt,
                    "accepted": ranked.entry.accepted,
                    "num_judged": len(ranked.entry.losses),
                    "gain": _gain_record(ranked.gain),
                }
                for ranked in choice.ranked
            ],
        },
        notes=[told],
    )


def _details(step: OuterStep) -> dict[str, Any]:
    """Minibatch, every candidate with its score and verbalizations, and which one was chosen.

    chosen: place among the candidates; null where an opener was chosen, or nothing.
    """
    search, chosen = step.search, step.chosen
    openers, candidates = (search.openers, search.candidates) if search else ([], [])
    further = [_candidate_record(candidate) for candidate in openers[1:]]
    return {
        "error_minibatch": verdict_records(
            [wrong.example for wrong in step.misjudgments],
            [wrong.verdict for wrong in step.misjudgments],
        ),
        "baseline": _candidate_record(openers[0]) if openers else None,
        **({"further_openers": further} if further else {}),
        "candidates": [
            _candidate_record(candidate) | {"repeats_i2t_prompt": repeats}
            for candidate, repeats in zip(candidates, _repeats(openers, candidates), strict=True)
        ],
        "i2t_repeats": search.repeats if search else 0,
        "i2t_failures": [list(p.failures) for p in search.failures] if search else [],
        "chosen": next((i for i, c in enumerate(candidates) if c is chosen), None),
        **_decision_record(step),
    }


def _decision_record(step: OuterStep) -> dict[str, Any]:
    """What the policies beyond the paper decided; nothing where none was at work."""
    decision, search = step.decision, step.search
    if decision is None or search is None or (decision.gain is None and decision.accepted):
        return {}
    return {
        "chosen_i2t_prompt": step.chosen.i2t_prompt if step.chosen else None,
        "rejected_by_control": [candidate.i2t_prompt for candidate in search.rejected],
        "shown_to_update_q": sorted(search.shown),
        "accepted": decision.accepted,
        "reason": decision.reason,
        "gain": None if decision.gain is None else _gain_record(decision.gain),
    }


def _gain_record(gain: PairedGain) -> dict[str, Any]:
    """n: items. Both numbers are in units of the loss, null without items."""
    if gain.n == 0:
        return {"n": 0, "mean": None, "standard_error": None}
    return {"n": gain.n, "mean": gain.mean, "standard_error": gain.standard_error}


def _candidate_record(candidate: Candidate) -> dict[str, Any]:
    return {
        "i2t_prompt": candidate.i2t_prompt,
        "score": candidate.score,
        "judge_prompt": candidate.judge_prompt,
        "kept_current_prompt": candidate.proposal.prompt is None,
        "proposal_failures": list(candidate.proposal.failures),
        "proposal_repeats": candidate.proposal.repeats,
        "repeats_current_prompt": candidate.proposal.is_repeat,
        "verbalizations": verbalization_records(candidate.verbalizations),
        "verdicts": [verdict.label for verdict in candidate.judged.verdicts],
        "judged": [example.example_id for example in candidate.judged.examples],
    }


def _repeats(openers: Sequence[Candidate], candidates: Sequence[Candidate]) -> list[bool]:
    """Of each candidate, whether its I2T prompt had been tried in this step."""
    prompts = [tried.i2t_prompt for tried in (*openers, *candidates)]
    return [prompts[i] in prompts[:i] for i in range(len(openers), len(prompts))]


def _tried(step: OuterStep) -> list[Tried]:
    search = step.search
    if search is None:
        return []
    tried = [
        _tried_prompt(name, candidate, step)
        for name, candidate in named(search.openers, search.candidates)
    ]
    failed = [
        Tried("failed", "", note=failure_note(proposal, "I2T prompt"))
        for proposal in search.failures
    ]
    return [*tried, *failed]


def _tried_prompt(name: str, candidate: Candidate, step: OuterStep) -> Tried:
    proposal = candidate.proposal
    return Tried(
        name,
        candidate.i2t_prompt,
        candidate.score,
        num_right(candidate.judged.examples, candidate.judged.verdicts),
        len(candidate.judged.verdicts),
        is_chosen=candidate is step.chosen,
        led_to=None if proposal.prompt is None else candidate.judge_prompt,
        note=candidate.note,
    )


def _shown(step: OuterStep) -> list[ShownCase]:
    chosen = step.chosen
    opener = next(iter(step.search.openers), None) if step.search else None
    after = _by_example(chosen)
    return [
        ShownCase(
            wrong.example,
            wrong.verdict,
            after.get(wrong.example.example_id),
            opener.verbalizations[i] if opener else None,
            chosen.verbalizations[i] if chosen else None,
        )
        for i, wrong in enumerate(step.misjudgments)
    ]


def _by_example(candidate: Candidate | None) -> dict[str, Verdict]:
    if candidate is None:
        return {}
    judged = zip(candidate.judged.examples, candidate.judged.verdicts, strict=True)
    return {example.example_id: verdict for example, verdict in judged}


def _notes(step: OuterStep) -> list[str]:
    if step.search is None:
        refused = any(verdict.is_error for verdict in step.verdicts)
        others = " but those whose requests failed" if refused else ""
        return [f"No example was misjudged{others}: the loop ended here."]
    if step.chosen is None:
        return ["No I2T prompt to choose from: the judge prompt was kept."]
    kept = ["The judge prompt was kept."] if step.next_judge_prompt == step.judge_prompt else []
    decision = step.decision
    if decision and decision.reason:
        return [f"The proposal was not accepted: {decision.reason}.", *kept]
    return kept


class Blpo:
    """The method `blpo`, and those that fix some of its values. Contract: `methods.base.Search`."""

    section = "algorithm"
    length = "outer_steps"
    sees_images = False
    rewrites_criteria = False
    run = staticmethod(search)
    expected_calls = staticmethod(expected_calls)

    def __init__(self, **fixed: Any) -> None:
        self.fixed: Mapping[str, Any] = fixed
