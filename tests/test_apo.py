"""APO: textual gradients and paraphrases expand a beam, a bandit narrows it."""

import math
from collections import Counter
from typing import Any

import pytest
from blpo.pipeline.baselines.apo import ApoConfig, Arm, search
from blpo.pipeline.search.step import Step
from scripted_roles import TRAIN, ScriptedRoles, number_of

SMALL: dict[str, Any] = {
    "rounds": 1,
    "beam_size": 2,
    "minibatch_size": 8,
    "gradients": 2,
    "errors_per_gradient": 3,
    "paraphrases": 1,
    "bandit_rounds": 3,
    "prompts_per_round": 4,
    "examples_per_pull": 12,
}


def run(roles: ScriptedRoles, judge_prompt: str = "p3", **config: object) -> list[Step]:
    parameters = ApoConfig.model_validate(SMALL | config)
    return list(search(roles, TRAIN, judge_prompt, "q0", parameters, seed=0))


def test_critiques_see_only_misjudged_examples_of_the_minibatch_in_groups() -> None:
    roles = ScriptedRoles(edits={"p3": ["p5", "p6"]})
    [step] = run(roles)
    _, minibatch = roles.judged[0]
    wrong = {e.example_id for e in TRAIN if number_of(e) >= 3}
    assert len(minibatch) == 8
    assert len(roles.criticized) == 2
    [expansion] = step.details["expansions"]
    for group in expansion["errors"]:
        assert len(group) == 3
        assert set(group) <= wrong & set(minibatch)
    assert expansion["errors"][0] != expansion["errors"][1]


def test_every_critique_is_applied_to_the_cases_it_is_about() -> None:
    roles = ScriptedRoles(edits={"p3": ["p5", "p6"]})
    run(roles)
    assert [c.critiques for c in roles.edited] == [("critique of p3",)] * 2
    assert [c.cases for c in roles.edited] == [c.cases for c in roles.criticized]


def test_edits_and_the_parent_are_paraphrased() -> None:
    roles = ScriptedRoles(edits={"p3": ["p5", None]})
    [step] = run(roles)
    assert roles.paraphrased == ["p5", "p3"]
    assert set(step.details["expansions"][0]["successors"]) == {"p5", "p5'", "p3'"}


def test_the_beam_keeps_the_best_and_expands_all_of_them_in_the_next_round() -> None:
    roles = ScriptedRoles(
        edits={"p3": ["p5", "p8"], "p8": ["p9", "p9"], "p8'": ["p1", "p1"]},
    )
    first, second = run(roles, rounds=2, paraphrases=1, bandit_rounds=4)
    assert first.details["beam"][0] in {"p8", "p8'"}
    assert set(first.details["beam"]) == {"p8", "p8'"}
    assert [e["parent"] for e in second.details["expansions"]] == first.details["beam"]
    assert second.next_judge_prompt.startswith("p9")


def test_a_parent_better_than_its_successors_stays() -> None:
    [step] = run(ScriptedRoles(edits={"p6": ["p2", "p1"]}), "p6", paraphrases=0)
    assert step.next_judge_prompt == "p6"
    assert step.notes == ["The judge prompt was kept."]


def test_pulls_are_counted_and_every_bandit_round_pulls_as_many_prompts_as_set() -> None:
    roles = ScriptedRoles(edits={"p3": ["p5", "p6"]})
    [step] = run(roles, prompts_per_round=2, examples_per_pull=5)
    arms = step.details["arms"]
    assert sum(arm["pulls"] for arm in arms) == 3 * 2
    assert all(arm["examples"] == 5 * arm["pulls"] for arm in arms)
    pulled = Counter(prompt for prompt, ids in roles.judged if len(ids) == 5)
    assert pulled == {arm["judge_prompt"]: arm["pulls"] for arm in arms if arm["pulls"]}


def test_prompts_of_a_bandit_round_judge_the_same_examples() -> None:
    roles = ScriptedRoles(edits={"p3": ["p5", "p6"]})
    run(roles, bandit_rounds=2, prompts_per_round=3, examples_per_pull=5)
    samples = [tuple(ids) for _, ids in roles.judged[1:]]
    assert len(samples) == 6
    assert len(set(samples[:3])) == len(set(samples[3:])) == 1
    assert samples[0] != samples[3]


def test_the_upper_confidence_bound_prefers_the_unseen_then_mean_and_few_looks() -> None:
    assert Arm("p").ucb(1, 1.0) == math.inf
    arm = Arm("p", num_pulls=2, num_seen=16, num_right=8)
    assert arm.ucb(1, 1.0) == 0.5
    assert arm.ucb(3, 2.0) == pytest.approx(0.5 + 2 * math.sqrt(math.log(3) / 16))


def test_at_most_the_set_number_of_successors_of_a_parent_compete() -> None:
    roles = ScriptedRoles(edits={"p3": ["p5", "p6"]})
    [step] = run(roles, successors=2)
    assert len(step.details["expansions"][0]["successors"]) == 2
    assert len(step.details["arms"]) == 3


def test_in_words_every_error_is_described_once_under_q0() -> None:
    roles = ScriptedRoles(edits={"p3": ["p5", "p6"]})
    run(roles)
    [(i2t_prompt, ids)] = roles.described
    assert i2t_prompt == "q0"
    assert len(ids) == len(set(ids))
    assert all(not case.images for c in roles.criticized for case in c.cases)


def test_in_images_nothing_is_described_and_the_cases_carry_the_images() -> None:
    roles = ScriptedRoles(edits={"p3": ["p5", "p6"]})
    run(roles, evidence="images")
    assert roles.described == []
    cases = [case for complaint in roles.criticized for case in complaint.cases]
    assert all(case.images and case.verbalization.text == "" for case in cases)


def test_without_errors_only_paraphrases_are_tried() -> None:
    roles = ScriptedRoles()
    [step] = run(roles, "p12", paraphrases=2)
    assert roles.criticized == roles.edited == []
    assert {arm["judge_prompt"] for arm in step.details["arms"]} == {"p12", "p12'", "p12''"}
    assert step.next_judge_prompt == "p12"


def test_a_budget_that_ends_in_the_bandit_ranks_by_the_pulls_that_were_made() -> None:
    roles = ScriptedRoles(edits={"p3": ["p5", "p6"]}, judge_calls=8 + 4 * 12)
    [step] = run(roles)
    assert sum(arm["pulls"] for arm in step.details["arms"]) == 4
    best = max(step.details["arms"], key=lambda arm: arm["mean"])
    assert step.details["beam"][0] == best["judge_prompt"] == step.next_judge_prompt


def test_a_budget_that_ends_before_the_bandit_keeps_the_prompt() -> None:
    [step] = run(ScriptedRoles(edits={"p3": ["p5", "p6"]}, judge_calls=8))
    assert step.next_judge_prompt == "p3"
