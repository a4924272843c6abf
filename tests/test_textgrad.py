"""TextGrad: criticism, a rewrite, and the way back if validation says so."""

from collections import Counter

from blpo.pipeline.baselines.textgrad import TextGradConfig, search, split_validation
from blpo.pipeline.search.step import Step
from scripted_roles import TRAIN, ScriptedRoles, number_of

VALIDATION, TRAINING = split_validation(TRAIN, 0.5, seed=0)


def run(roles: ScriptedRoles, judge_prompt: str = "p3", **config: object) -> list[Step]:
    parameters = TextGradConfig.model_validate({"steps": 1} | config)
    return list(search(roles, TRAIN, judge_prompt, "q0", parameters, seed=0))


def test_a_rewrite_with_a_lower_validation_accuracy_is_taken_back() -> None:
    steps = run(ScriptedRoles(edits={"p6": ["p0", "p12"], "p12": ["p0"]}), "p6", steps=3)
    assert [step.details["accepted"] for step in steps] == [False, True, False]
    assert [step.next_judge_prompt for step in steps] == ["p6", "p12", "p12"]


def test_a_rewrite_with_an_equal_validation_accuracy_is_kept() -> None:
    [step] = run(ScriptedRoles(edits={"p6": ["p6'"]}), "p6")
    assert step.next_judge_prompt == "p6'"


def test_a_rewrite_is_compared_with_the_last_accepted_one_without_judging_that_again() -> None:
    roles = ScriptedRoles(edits={"p6": ["p0", "p12"]})
    run(roles, "p6", steps=2)
    validated = [prompt for prompt, ids in roles.judged if len(ids) == len(VALIDATION)]
    assert validated == ["p6", "p0", "p12"]


def test_every_example_of_the_batch_right_or_wrong_is_criticized_and_all_goes_into_one_edit() -> (
    None
):
    roles = ScriptedRoles(edits={"p6": ["p7"]}, critiques=["one", None, "three"])
    [step] = run(roles, "p6", batch_size=3)
    assert [len(complaint.cases) for complaint in roles.criticized] == [1, 1, 1]
    [edited] = roles.edited
    assert (edited.critiques, edited.cases) == (["one", "three"], ())
    assert step.details["criticism"][1]["failures"] == ["empty"]


def test_without_any_criticism_the_prompt_is_kept_and_nothing_is_validated() -> None:
    roles = ScriptedRoles(critiques=[None, None, None])
    [step] = run(roles)
    assert step.next_judge_prompt == "p3"
    assert roles.edited == []
    assert len(roles.judged) == 2


def test_a_failed_rewrite_keeps_the_prompt() -> None:
    [step] = run(ScriptedRoles(edits={"p3": [None]}))
    assert step.next_judge_prompt == "p3"
    assert step.details["proposal_failures"] == ["unparsable"]


def test_validation_takes_half_of_every_label_and_batches_come_from_the_rest() -> None:
    assert Counter(e.label for e in VALIDATION) == {"Safe": 3, "Unsafe": 3}
    assert not {e.example_id for e in VALIDATION} & {e.example_id for e in TRAINING}
    roles = ScriptedRoles(edits={"p6": ["p0"] * 6}, judge_calls=10**6)
    run(roles, "p6", steps=6)
    batches = [ids for _, ids in roles.judged if len(ids) == 3]
    assert {i for ids in batches for i in ids} <= {e.example_id for e in TRAINING}
    assert len({tuple(ids) for ids in batches}) > 1


def test_the_trajectory_is_told_by_the_validation_examples() -> None:
    [step] = run(ScriptedRoles(edits={"p6": ["p7"]}), "p6")
    assert [e.example_id for e in step.examples] == [e.example_id for e in VALIDATION]
    right = [v.label == e.label for e, v in zip(step.examples, step.verdicts, strict=True)]
    assert right == [number_of(e) < 6 for e in VALIDATION]
