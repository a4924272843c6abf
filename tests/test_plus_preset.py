"""`preset: plus`: every switch alone and all together, on the ideal engine."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from blpo.data.errors import ConfigError
from blpo.data.examples import Dataset, Example
from blpo.data.tasks import load_task
from blpo.models.lexicon.engine import LexiconEngine
from blpo.models.roles.briefing import Briefing, SideBySide
from blpo.models.roles.judge import Judge, Verdict
from blpo.models.roles.optimizer import Case, Proposal, ScoredPrompt
from blpo.models.roles.reflection import Reflection
from blpo.models.roles.verbalizer import Verbalization
from blpo.models.wrappers.budget import BudgetSpentError
from blpo.pipeline.blpo.algorithm import optimize, sample_error_minibatch
from blpo.pipeline.blpo.config import PLUS, BlpoConfig
from blpo.pipeline.blpo.policies.plus import Plus, choices_of
from blpo.pipeline.blpo.records import (
    Candidate,
    Decision,
    FinalChoice,
    I2TSearch,
    InnerProblem,
    Misjudgment,
    OuterStep,
    Scored,
)
from blpo.pipeline.blpo.to_steps import make_final_step, make_step
from blpo.pipeline.config import RunConfig, parse_config
from blpo.pipeline.runs.roles import RunRoles
from ideal_engine import IdealEngine, ideal_world

FIELDS: dict[str, Any] = {"task": "micro-agin", "dataset": "data.parquet", "output": "run"}


class CountedRoles(RunRoles):
    """The roles of a run on the ideal engine; judge calls are counted and can be limited."""

    def __init__(self, task: str, engine: IdealEngine, limit: int | None = None) -> None:
        config = parse_config(RunConfig, FIELDS | {"task": task}, "test")
        engines = {"judge": engine, "verbalizer": engine, "optimizer": LexiconEngine()}
        super().__init__(config, load_task(task), engines)  # pyright: ignore[reportArgumentType]
        self.asked: list[tuple[str, str]] = []
        self._limit = limit

    def judge_pairs(self, pairs: Sequence[tuple[str, Example]]) -> list[Verdict]:
        if self._limit is not None and len(self.asked) + len(pairs) > self._limit:
            raise BudgetSpentError(f"{self._limit} judge calls")
        self.asked += [(prompt, example.example_id) for prompt, example in pairs]
        return super().judge_pairs(pairs)


class World:
    """A micro task on the ideal engine and a search on it."""

    def __init__(self, task: str, num_train: int = 60, limit: int | None = None) -> None:
        self.task = load_task(task)
        self.dataset: Dataset
        self.dataset, engine = ideal_world(task, num_train=num_train, num_test=120)
        self.roles = CountedRoles(task, engine, limit)
        self._judge = Judge(engine, self.task)

    def search(self, switches: Mapping[str, Any], **config: Any) -> list[OuterStep | FinalChoice]:
        parameters = BlpoConfig.model_validate({"outer_steps": 3, **switches, **config})
        task = self.task
        train = self.dataset.train
        choices = choices_of(self.roles, train, task.judge_prompt, parameters, seed=0)
        return list(optimize(choices, task.judge_prompt, task.i2t_prompt))

    def accuracy(self, judge_prompt: str) -> float:
        test = self.dataset.test
        verdicts = self._judge(judge_prompt, test)
        return sum(v.label == e.label for v, e in zip(verdicts, test, strict=True)) / len(test)


def outer_steps(steps: Sequence[OuterStep | FinalChoice]) -> list[OuterStep]:
    return [step for step in steps if isinstance(step, OuterStep)]


def final_prompt(steps: Sequence[OuterStep | FinalChoice]) -> str:
    last = steps[-1]
    return last.final_judge_prompt if isinstance(last, FinalChoice) else last.next_judge_prompt


ALONE: list[dict[str, Any]] = [
    {key: value} if key != "inner_width" else {"inner_steps": 6, "inner_width": 3}
    for key, value in PLUS.items()
] + [
    {"loss": "nll"},
    {"loss": "brier"},
    {"selection": "holdout", "score_on": "probe"},
    {"update_p": "informed"},
    {"second_look": True, "accept": "paired"},
]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, []),
        (PLUS, []),
        ({"second_look": True}, ["second_look has no effect without algorithm.accept: paired"]),
        (
            {**PLUS, "accept": "always"},
            [
                "more_right has no effect without algorithm.accept: paired",
                "second_look has no effect without algorithm.accept: paired",
            ],
        ),
        (
            {**PLUS, "selection": "holdout"},
            ["second_look has no effect without algorithm.selection: out_of_batch"],
        ),
        ({"max_prompt_words": 90}, ["max_prompt_words has no effect without algorithm.lint: true"]),
        ({"max_prompt_words": 90, "lint": True}, []),
    ],
)
def test_keys_that_nothing_makes_use_of_are_told(given: dict[str, Any], told: list[str]) -> None:
    found = BlpoConfig.model_validate(given).without_effect
    assert found == [f"algorithm.{reason}" for reason in told]
    fields = FIELDS | {"algorithm": given}
    assert parse_config(RunConfig, fields, "test").without_effect == found
    of_opro = parse_config(RunConfig, fields | {"method": "opro"}, "test")
    assert not of_opro.without_effect


@pytest.mark.parametrize("switch", ALONE, ids=json.dumps)
def test_every_switch_works_alone(switch: dict[str, Any]) -> None:
    world = World("micro-agin", num_train=40)
    steps = world.search(switch, outer_steps=2)
    assert len(outer_steps(steps)) == 2
    for step in steps:
        of_step = isinstance(step, OuterStep)
        made = make_step(step, world.dataset.train) if of_step else make_final_step(step)
        assert json.loads(json.dumps(made.details)) == made.details
    tried = {c.judge_prompt for s in outer_steps(steps) if s.search for c in s.search.tried}
    assert final_prompt(steps) in {world.task.judge_prompt, *tried}


@pytest.mark.parametrize("switch", PLUS)
def test_plus_works_without_any_one_of_its_switches(switch: str) -> None:
    world = World("micro-unsafebench", num_train=40)
    faithful = {key: value for key, value in PLUS.items() if key != switch}
    if switch == "inner_steps":
        faithful["inner_width"] = 1
    steps = world.search(faithful, outer_steps=2)
    assert world.accuracy(final_prompt(steps)) >= world.accuracy(world.task.judge_prompt)


@pytest.mark.parametrize("task", ["micro-agin", "micro-seetrue", "micro-unsafebench"])
def test_plus_finds_what_people_mind(task: str) -> None:
    world = World(task, num_train=100)
    steps = world.search(PLUS)
    gain = world.accuracy(final_prompt(steps)) - world.accuracy(world.task.judge_prompt)
    assert gain > 0.1


def test_no_proposal_is_ranked_on_an_item_that_its_lineage_has_seen() -> None:
    steps = outer_steps(World("micro-agin").search(PLUS, outer_steps=4))
    lineages: dict[str, frozenset[str]] = {steps[0].judge_prompt: frozenset()}
    for step in steps:
        assert step.search is not None
        minibatch = {wrong.example.example_id for wrong in step.misjudgments}
        for candidate in step.search.tried:
            seen = candidate.judged.seen
            assert seen >= lineages[step.judge_prompt] | minibatch
            assert not seen & {example.example_id for example in candidate.judged.examples}
            lineages.setdefault(candidate.judge_prompt, seen)
        after_reflection = step.search.candidates[-1].judged.seen
        assert after_reflection >= step.search.shown


def test_a_held_out_item_is_never_shown() -> None:
    steps = outer_steps(World("micro-agin").search({**PLUS, "selection": "holdout"}))
    scored, shown = set[str](), set[str]()
    for step in steps:
        assert step.search is not None
        shown |= {wrong.example.example_id for wrong in step.misjudgments} | step.search.shown
        scored |= {e.example_id for c in step.search.tried for e in c.judged.examples}
    assert scored
    assert shown
    assert not scored & shown


def test_no_verdict_is_asked_for_twice() -> None:
    world = World("micro-agin")
    world.search(PLUS)
    assert len(world.roles.asked) == len(set(world.roles.asked))


def test_a_step_that_is_not_accepted_keeps_the_prompt_and_patience_ends_the_loop() -> None:
    world = World("micro-unsafebench", num_train=100)
    steps = outer_steps(world.search(PLUS, outer_steps=30))
    kept = [step.next_judge_prompt == step.judge_prompt for step in steps]
    assert kept[-3:] == [True, True, True]
    assert len(steps) < 30
    for step in steps:
        assert step.decision is None or step.decision.accepted or step.decision.reason


def test_a_prompt_is_accepted_once() -> None:
    world = World("micro-unsafebench")
    train, first = world.dataset.train, world.task.judge_prompt
    better = f"{first} Look for any blade, any pill, any skull and any chain."
    config = BlpoConfig.model_validate({**PLUS, "controls": "off"})
    plus = Plus(world.roles, train, first, config, seed=0)
    verdicts = plus.judge_train(first)
    problem = InnerProblem(0, first, verdicts, sample_error_minibatch(plus, verdicts, 0))
    q_star = Candidate("q", [], Proposal(better), better, Scored(0.5))
    once, again = (plus.decide(problem, I2TSearch(), q_star) for _ in range(2))
    assert once.accepted
    assert again == Decision(False, reason="it was accepted in an earlier step")
    no_better = Candidate("q", [], Proposal("p"), "p", Scored(0.0))
    assert plus.decide(problem, I2TSearch(), no_better) == Decision(False, reason="no gain")


@pytest.mark.parametrize("competes", [True, False])
def test_without_q0_competes_the_last_chosen_i2t_prompt_opens_the_history_alone(
    competes: bool,
) -> None:
    world = World("micro-agin", num_train=20)
    train, first = world.dataset.train, world.task.judge_prompt
    config = BlpoConfig.model_validate({**PLUS, "q0_competes": competes})
    plus = Plus(world.roles, train, first, config, seed=0)
    problem = InnerProblem(0, first, plus.judge_train(first), [])
    chosen = Candidate("q*", [], Proposal(first), first, Scored(0.5))
    rivals = ["q_0", first] if competes else []
    assert plus.openers(problem, "q_0", []) == (rivals or ["q_0"])
    before = [problem.end(I2TSearch(), chosen)]
    assert plus.openers(problem, "q_0", before) == ["q*", *rivals]


def test_a_proposal_that_lint_sends_back_keeps_what_failed_before() -> None:
    world = World("micro-agin", num_train=20)
    train, first = world.dataset.train, world.task.judge_prompt
    failed = ("no text between the tags",)
    proposals = {
        "on another scale": Proposal("Rate it from 1 to 90.", failed),
        "fine": Proposal("Look at the color.", failed),
        "none": Proposal(None, failed),
    }

    def update(*_: object) -> list[Proposal]:
        return list(proposals.values())

    world.roles.update_judge_prompts = update  # pyright: ignore[reportAttributeAccessIssue]
    plus = Plus(world.roles, train, first, BlpoConfig.model_validate(PLUS), seed=0)
    problem = InnerProblem(0, first, plus.judge_train(first), [])
    sent_back, *others = plus.update_p(problem, ["q"] * 3, [()] * 3)
    reason = "lint: the scale 1 to 90 is not that of the labels"
    assert sent_back == Proposal(None, (*failed, reason))
    assert others == [proposals["fine"], proposals["none"]]


@pytest.mark.parametrize("parent", ["best_first", "pareto"])
def test_from_a_prompt_that_was_not_accepted_a_gain_is_one_over_the_one_that_was(
    parent: str,
) -> None:
    world = World("micro-unsafebench")
    train, first = world.dataset.train, world.task.judge_prompt
    best = f"{first} Look for any blade, any pill, any skull and any chain."
    config = BlpoConfig.model_validate({**PLUS, "parent": parent, "controls": "off"})
    plus = Plus(world.roles, train, first, config, seed=0)
    of_first = plus.judge_train(first)
    minibatch = sample_error_minibatch(plus, of_first, 0)
    accepted = Candidate("q", [], Proposal(best), best, Scored(0.5))
    assert plus.decide(InnerProblem(0, first, of_first, minibatch), I2TSearch(), accepted).accepted
    plus.judge_train(best)
    poor = f"{first} Look at the border."
    problem = InnerProblem(1, poor, plus.judge_train(poor), minibatch)
    half = f"{first} Look for any blade and any pill."
    better = Candidate("q", [], Proposal(half), half, Scored(0.5))
    decision = plus.decide(problem, I2TSearch(), better)
    assert decision.gain is not None
    assert decision.accepted is (parent == "pareto")
    assert (decision.gain.mean < 0) is (parent == "best_first")


def test_a_search_without_a_final_choice_ends_with_what_was_accepted_last() -> None:
    switches = {**PLUS, "final": "last", "patience": None}
    steps = World("micro-unsafebench", num_train=80).search(switches, outer_steps=6)
    taken = [s for s in outer_steps(steps) if s.next_judge_prompt != s.judge_prompt]
    assert outer_steps(steps)[-1].judge_prompt != taken[-1].next_judge_prompt
    choice = steps[-1]
    assert isinstance(choice, FinalChoice)
    assert choice.final_judge_prompt == taken[-1].next_judge_prompt
    assert make_final_step(choice).notes[0].startswith("What was accepted last")


class SurerRoles(CountedRoles):
    """Under a prompt that ends in a blank, the labels stay but the human one is likelier."""

    def judge_pairs(self, pairs: Sequence[tuple[str, Example]]) -> list[Verdict]:
        verdicts = super().judge_pairs(pairs)
        return [
            replace(verdict, probabilities={verdict.label or "": 0.51, example.label: 0.49})
            if prompt.endswith(" ") and verdict.label != example.label
            else verdict
            for (prompt, example), verdict in zip(pairs, verdicts, strict=True)
        ]


@pytest.mark.parametrize("more_right", [True, False])
def test_a_loss_that_falls_is_no_reason_to_accept_while_no_more_verdicts_are_right(
    more_right: bool,
) -> None:
    dataset, engine = ideal_world("micro-agin", num_train=60)
    first = load_task("micro-agin").judge_prompt
    config = BlpoConfig.model_validate({**PLUS, "more_right": more_right, "controls": "off"})
    plus = Plus(SurerRoles("micro-agin", engine), dataset.train, first, config, seed=0)
    verdicts = plus.judge_train(first)
    problem = InnerProblem(0, first, verdicts, sample_error_minibatch(plus, verdicts, 0))
    surer = Candidate("q", [], Proposal(f"{first} "), f"{first} ", Scored(0.5))
    decision = plus.decide(problem, I2TSearch(), surer)
    assert decision.gain is not None
    assert decision.gain.mean > 0
    assert decision.accepted == (not more_right)
    assert (decision.reason == "no more verdicts are right") is more_right


class RightOn(CountedRoles):
    """Each judge prompt is right on the examples that `right` tells."""

    right: Mapping[str, set[str]]

    def judge_pairs(self, pairs: Sequence[tuple[str, Example]]) -> list[Verdict]:
        return [
            Verdict(
                next(
                    label
                    for label in self.task.labels
                    if (label == example.label) == (example.example_id in self.right[prompt])
                )
            )
            for prompt, example in pairs
        ]


@pytest.mark.parametrize("second_look", [True, False])
@pytest.mark.parametrize("keeps", [True, False])
def test_the_second_look_finds_what_a_proposal_breaks_of_cases_that_earlier_steps_were_shown(
    second_look: bool, keeps: bool
) -> None:
    dataset, engine = ideal_world("micro-unsafebench", num_train=80)
    roles, ids = RightOn("micro-unsafebench", engine), [e.example_id for e in dataset.train]
    earlier, others = ids[:20], ids[20:]
    roles.right = {
        "p_0": set(others[30:]),
        "p_1": {*earlier, *others[10:]},
        "p_2": {*others, *(earlier if keeps else [])},
    }
    config = BlpoConfig.model_validate({**PLUS, "second_look": second_look, "controls": "off"})
    plus = Plus(roles, dataset.train, "p_0", config, seed=0)

    def decided(index: int, start: str, shown: Sequence[str], proposed: str) -> Decision:
        verdicts = plus.judge_train(start)
        judged = zip(dataset.train, verdicts, strict=True)
        minibatch = [Misjudgment(e, verdict) for e, verdict in judged if e.example_id in shown]
        problem, search = InnerProblem(index, start, verdicts, minibatch), I2TSearch()
        scored = plus.score(problem, [proposed], search)[proposed]
        candidate = Candidate("q", [], Proposal(proposed), proposed, scored)
        return plus.decide(problem, search, candidate)

    assert decided(0, "p_0", earlier, "p_1").accepted
    decision = decided(1, "p_1", others[:5], "p_2")
    assert decision.accepted is (keeps or not second_look)
    assert (decision.reason == "no gain at 90% confidence at the second look") is (
        not decision.accepted
    )


def test_a_proposal_is_scored_on_all_that_is_known_of_it() -> None:
    steps = outer_steps(World("micro-agin", num_train=100).search(PLUS, outer_steps=4))
    judged = [c.judged for step in steps if step.search for c in step.search.tried]
    for of_one in judged:
        assert of_one.losses.keys() >= {e.example_id for e in of_one.examples}
        assert not of_one.losses.keys() & of_one.seen
    assert any(len(of_one.losses) > len(of_one.examples) for of_one in judged)


def test_a_spent_budget_ends_the_loop_but_not_the_choice() -> None:
    world = World("micro-agin", num_train=100, limit=300)
    steps = world.search(PLUS, outer_steps=30)
    assert isinstance(steps[-1], FinalChoice)
    assert len(world.roles.asked) <= 300
    assert world.accuracy(final_prompt(steps)) > world.accuracy(world.task.judge_prompt)


def test_what_update_p_is_told_of_right_cases_is_shown_and_not_scored_on() -> None:
    world = World("micro-unsafebench", num_train=40)
    told: list[Briefing] = []
    update = world.roles.update_judge_prompts

    def listen(
        judge_prompt: str, cases: Sequence[Sequence[Case]], briefings: Sequence[Briefing] = ()
    ) -> list[Proposal]:
        told.extend(briefings)
        return update(judge_prompt, cases, briefings)

    world.roles.update_judge_prompts = listen  # pyright: ignore[reportAttributeAccessIssue]
    informed = {**PLUS, "update_p": "informed", "kept_cases": 3}
    steps = outer_steps(world.search(informed, outer_steps=2))
    first = steps[0]
    verdicts = {
        e.example_id: v.label for e, v in zip(world.dataset.train, first.verdicts, strict=True)
    }
    num_right = sum(verdicts[e.example_id] == e.label for e in world.dataset.train)
    briefing = told[0]
    assert (briefing.num_images, briefing.num_right) == (40, num_right)
    assert briefing.earlier == []
    assert [case.human_label == case.verdict for case in briefing.kept] == [True] * 3
    assert {case.human_label for case in briefing.kept} == set(world.task.labels)
    assert first.search is not None
    right = {e.example_id for e in world.dataset.train if verdicts[e.example_id] == e.label}
    for tried in first.search.tried:
        assert len(tried.judged.seen & right) >= 3
        assert not tried.judged.seen & {e.example_id for e in tried.judged.examples}
    later = next(briefing for briefing in reversed(told) if briefing.earlier)
    standings = [earlier.standing for earlier in later.earlier]
    assert standings == sorted(standings)
    assert all(earlier.num_closer or earlier.num_further for earlier in later.earlier)


def test_update_q_is_shown_images_side_by_side_and_the_verbalizer_is_asked_for_none() -> None:
    world = World("micro-unsafebench", num_train=40)
    told: list[tuple[Sequence[ScoredPrompt], Sequence[SideBySide] | None]] = []
    asked: list[tuple[str, str]] = []
    update, verbalize = world.roles.update_i2t_prompts, world.roles.verbalize_each

    def listen(
        judge_prompt: str,
        history: Sequence[ScoredPrompt],
        reflections: Sequence[Reflection],
        count: int,
        draw: int = 0,
        compared: Sequence[SideBySide] | None = None,
    ) -> list[Proposal]:
        told.append((history, compared))
        return update(judge_prompt, history, reflections, count, draw, compared)

    def count(i2t_prompts: Sequence[str], examples: Sequence[Example]) -> list[list[Verbalization]]:
        asked.extend((q, example.example_id) for q in i2t_prompts for example in examples)
        return verbalize(i2t_prompts, examples)

    world.roles.update_i2t_prompts = listen  # pyright: ignore[reportAttributeAccessIssue]
    world.roles.verbalize_each = count  # pyright: ignore[reportAttributeAccessIssue]
    switches = {
        **PLUS,
        "update_p": "informed",
        "kept_cases": 2,
        "update_q": "history",
        "controls": "off",
    }
    steps = outer_steps(world.search(switches, outer_steps=3))
    tried = [len(step.search.tried) * (len(step.misjudgments) + 2) for step in steps if step.search]
    assert len(asked) == sum(tried)
    assert len(told) == 2 * len(steps)
    for history, compared in told:
        assert compared is not None
        wrong, right = compared
        assert wrong.human_label != wrong.verdict
        assert right.human_label == right.verdict
        assert all(scored.standard_error is not None for scored in history)
        for shown in compared:
            told_by = [history[place - 1].i2t_prompt for place, _ in shown.descriptions]
            descriptions = tuple(description for _, description in shown.descriptions)
            labelled = [e for e in world.dataset.train if e.label == shown.human_label]
            assert descriptions in zip(*verbalize(told_by, labelled), strict=True)


def test_the_final_choice_is_not_worse_than_the_first_prompt_on_what_it_is_chosen_by() -> None:
    steps = World("micro-agin").search(PLUS)
    choice = steps[-1]
    assert isinstance(choice, FinalChoice)
    [chosen] = [r for r in choice.ranked if r.entry.judge_prompt == choice.final_judge_prompt]
    assert chosen.gain.lower(0.9) > 0
    assert len(choice.ranked) > 3


# -------------------------------------------------------------------------------------- config


def test_preset_plus_fills_in_what_is_not_given(tmp_path: Path) -> None:
    assert parse_config(RunConfig, dict(FIELDS), "test").algorithm == BlpoConfig()
    plus = parse_config(RunConfig, FIELDS | {"preset": "plus"}, "test").algorithm
    assert {key: getattr(plus, key) for key in PLUS} == PLUS
    given = RunConfig(
        task="micro-agin",
        dataset=tmp_path,
        output=tmp_path,
        preset="plus",
        algorithm=BlpoConfig(outer_steps=2, accept="always"),
    ).algorithm
    assert (given.outer_steps, given.accept, given.selector) == (2, "always", "racing")


@pytest.mark.parametrize("switch", PLUS)
def test_the_faithful_value_of_every_switch_is_within_reach_of_the_command_line(
    switch: str,
) -> None:
    faithful = getattr(BlpoConfig(), switch)
    value = "null" if faithful is None else str(faithful)
    overrides = ["preset=plus", f"algorithm.{switch}={value}"]
    if switch == "inner_steps":
        overrides.append("algorithm.inner_width=1")
    config = parse_config(RunConfig, dict(FIELDS), "test", overrides)
    assert getattr(config.algorithm, switch) == faithful


def test_off_is_off_although_yaml_reads_it_as_false() -> None:
    overrides = ["preset=plus", "algorithm.controls=off", "algorithm.lint=off"]
    algorithm = parse_config(RunConfig, dict(FIELDS), "test", overrides).algorithm
    assert (algorithm.controls, algorithm.lint) == ("off", False)


def test_a_number_of_i2t_prompts_that_is_no_number_of_rounds_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"`inner_steps` \(5\) is not a multiple"):
        parse_config(RunConfig, dict(FIELDS), "test", ["algorithm.inner_width=2"])
