"""OPRO: a scored history goes in, better ones are to come out."""

from blpo.pipeline.baselines.opro import OproConfig, search
from blpo.pipeline.search.budget import until_spent
from blpo.pipeline.search.step import Step
from scripted_roles import TRAIN, ScriptedRoles


def run(roles: ScriptedRoles, judge_prompt: str = "p3", **config: object) -> list[Step]:
    defaults = {"steps": len(roles.proposals), "proposals": len(roles.proposals[0])}
    parameters = OproConfig.model_validate(defaults | config)
    return list(search(roles, TRAIN, judge_prompt, "q0", parameters, seed=0))


def test_the_meta_prompt_has_the_best_prompts_in_ascending_order_of_whole_percent_scores() -> None:
    roles = ScriptedRoles([["p5", "p1"], ["p2", "p8"], ["p0", "p0'"]])
    run(roles, history_size=3)
    seen = [[(tried.judge_prompt, tried.score) for tried in h] for h in roles.histories]
    assert seen == [
        [("p3", 25)],
        [("p1", 8), ("p3", 25), ("p5", 42)],
        [("p3", 25), ("p5", 42), ("p8", 67)],
    ]


def test_every_step_leads_to_the_best_prompt_so_far_and_a_tie_to_the_earlier_one() -> None:
    steps = run(ScriptedRoles([["p5", "p4"], ["p2", "p5'"]]))
    assert [(s.judge_prompt, s.next_judge_prompt) for s in steps] == [("p3", "p5"), ("p5", "p5")]
    assert [[t.is_chosen for t in step.tried] for step in steps] == [[True, False], [False, False]]


def test_all_new_prompts_are_judged_on_all_training_examples_and_none_twice() -> None:
    roles = ScriptedRoles([["p5", "p5"], ["p3", "p6"]])
    run(roles)
    assert [(prompt, len(ids)) for prompt, ids in roles.judged] == [
        ("p3", 12),
        ("p5", 12),
        ("p6", 12),
    ]


def test_exemplars_are_drawn_anew_and_described_under_q0() -> None:
    roles = ScriptedRoles([["p4"], ["p5"], ["p6"]])
    run(roles, exemplars=3)
    assert [prompt for prompt, _ in roles.described] == ["q0"] * 3
    assert len({tuple(ids) for _, ids in roles.described}) == 3
    for cases in roles.exemplars:
        assert len(cases) == 3
        assert all("q0 of e" in case.verbalization.text for case in cases)


def test_failed_proposals_are_recorded_and_the_best_prompt_stays() -> None:
    [step] = run(ScriptedRoles([[None, "p1"]]))
    assert step.next_judge_prompt == "p3"
    assert step.details["proposal_failures"] == [["unparsable"]]
    assert [tried.note for tried in step.tried] == ["", "no usable judge prompt (unparsable)"]


def test_a_budget_that_ends_within_a_step_leaves_the_prompts_scored_so_far() -> None:
    roles = ScriptedRoles([["p5", "p7", "p9"], ["p1", "p1", "p1"]], judge_calls=3 * 12)
    steps = until_spent(search(roles, TRAIN, "p3", "q0", OproConfig(steps=2, proposals=3), seed=0))
    assert roles.is_spent
    assert [step.next_judge_prompt for step in steps] == ["p7"]
    assert [tried.prompt for tried in steps[0].tried] == ["p5", "p7"]


def test_without_steps_nothing_is_asked_but_the_first_score() -> None:
    roles = ScriptedRoles([["p5"]])
    assert run(roles, steps=0) == []
    assert roles.num_verdicts == 12
