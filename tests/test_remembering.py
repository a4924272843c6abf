"""`remember_tried`: a step that led nowhere is not tried again."""

from test_blpo import ScriptedRoles, run


def histories(*, remember_tried: bool) -> tuple[list[list[str]], list[int]]:
    """The I2T prompts that each Update_q of two steps is shown, both of which lead nowhere."""
    roles = ScriptedRoles(["q1:0", "q2:0", "q3:0", "q4:0"])
    run(roles, outer_steps=2, accept="paired", remember_tried=remember_tried)
    return [[tried.i2t_prompt for tried in shown] for shown in roles.histories], roles.draws


def test_a_step_after_a_rejected_one_sees_what_that_one_tried() -> None:
    shown, draws = histories(remember_tried=True)
    assert shown == [
        ["q0:9"],
        ["q0:9", "q1:0"],
        ["q1:0", "q2:0", "q0:9"],
        ["q1:0", "q2:0", "q0:9", "q3:0"],
    ]
    assert draws == [0, 0, 1, 1]


def test_without_the_switch_it_starts_over() -> None:
    shown, draws = histories(remember_tried=False)
    assert shown[2:] == [*shown[:1], ["q0:9", "q3:0"]]
    assert draws == [0, 0, 0, 0]


def test_what_was_tried_from_another_judge_prompt_is_not_remembered() -> None:
    roles = ScriptedRoles(["q1:3", "q2:0", "q3:0", "q4:0"])
    run(roles, outer_steps=2, remember_tried=True)
    assert [tried.i2t_prompt for tried in roles.histories[2]] == ["q0:9"]
