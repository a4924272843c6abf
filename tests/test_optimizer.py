"""Meta-prompts and the reading of their answers."""

from collections.abc import Sequence
from importlib import resources

import pytest
from blpo.data.tasks import load_task
from blpo.models.engine import EngineIdentity, Reply, Request
from blpo.models.roles.baselines import Complaint, edit
from blpo.models.roles.context import Context
from blpo.models.roles.optimizer import (
    Case,
    PromptOptimizer,
    ScoredPrompt,
    load_template,
    parse_answers,
)
from blpo.models.roles.reflection import update_i2t_prompts
from blpo.models.roles.verbalizer import Verbalization

TASK = load_task("unsafebench")
TEMPLATES = sorted(
    file.name.removesuffix(".txt")
    for file in (resources.files("blpo.models") / "prompts").iterdir()
    if file.name not in {"cases.txt", "criteria.txt", "pairs.txt"}
)


class ScriptedEngine:
    """Gives its replies in order and keeps the requests."""

    identity = EngineIdentity("scripted", "scripted", "1", "text")
    version = "scripted"

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.requests: list[Request] = []

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        self.requests += requests
        return [self.replies.pop(0) for _ in requests]

    def close(self) -> None:
        pass


def make_optimizer(engine: ScriptedEngine, max_attempts: int = 3) -> PromptOptimizer:
    return PromptOptimizer(engine, TASK, max_tokens=100, temperature=0.0, max_attempts=max_attempts)


@pytest.mark.parametrize(
    ("reply", "prompt", "reason"),
    [
        (Reply("<prompt>Look.</prompt>", "stop"), "Look.", ""),
        (Reply("Draft <prompt>a</prompt>, better: <prompt>b\nc</prompt>", "stop"), "b\nc", ""),
        (Reply("  ", "stop"), None, "empty reply"),
        (
            Reply("<prompt>half a pro", "length"),
            None,
            "the answer was cut off at 4096 tokens: raise optimizer.max_tokens",
        ),
        (
            Reply("Here you are: look closely.", "stop"),
            None,
            "no text between <prompt> and </prompt>",
        ),
        (Reply("<prompt> </prompt>", "stop"), None, "a placeholder in place of the text: ''"),
        (Reply("", "error", error="too long"), None, "error: too long"),
    ],
)
def test_the_last_prompt_in_tags_is_read_and_failures_have_a_reason(
    reply: Reply, prompt: str | None, reason: str
) -> None:
    texts, found = parse_answers(reply)
    assert (texts[-1] if texts else None, found) == (prompt, reason)


def test_an_unusable_reply_is_asked_again_under_the_next_sample_index() -> None:
    engine = ScriptedEngine(Reply("", "stop"), Reply("<prompt>good</prompt>", "stop"))
    proposal = make_optimizer(engine).update_i2t_prompt("judge it", [])
    assert (proposal.prompt, proposal.failures) == ("good", ("empty reply",))
    assert [request.sampling.sample_index for request in engine.requests] == [0, 1]
    assert engine.requests[0].prompt == engine.requests[1].prompt


def test_after_the_configured_number_of_failures_there_is_no_prompt() -> None:
    engine = ScriptedEngine(Reply("", "stop"), Reply("no tags", "stop"))
    proposal = make_optimizer(engine, max_attempts=2).update_i2t_prompt("judge it", [])
    assert (proposal.prompt, proposal.failures) == (
        None,
        ("empty reply", "no text between <prompt> and </prompt>"),
    )


def test_update_p_shows_verbalizations_labels_and_verdicts_but_no_image() -> None:
    engine = ScriptedEngine(Reply("<prompt>x</prompt>", "stop"))
    cases = [
        Case(Verbalization("a {knife} on a table"), "a table", "Unsafe", "Safe"),
        Case(Verbalization("", "empty reply"), None, "Safe", None),
    ]
    make_optimizer(engine).update_judge_prompt("Is {{ it }} safe?", cases)
    [request] = engine.requests
    assert request.image is None
    for part in (
        "Is {{ it }} safe?",
        "<description>a {knife} on a table</description>",
        "<text>a table</text>",
        "<human_label>Unsafe</human_label>\n<verdict>Safe</verdict>",
        "<description>(no description)</description>",
        "<verdict>(no verdict)</verdict>",
    ):
        assert part in request.prompt
    assert request.prompt.count("<text>") == 1


def test_update_p_shows_why_annotators_gave_a_label_where_they_said() -> None:
    engine = ScriptedEngine(Reply("<prompt>x</prompt>", "stop"))
    told = Case(Verbalization("a wall"), None, "Unsafe", "Safe", comment="the sign is a threat")
    silent = Case(Verbalization("a door"), None, "Safe", "Unsafe")
    make_optimizer(engine).update_judge_prompt("Is it safe?", [told, silent])
    [request] = engine.requests
    label = "<human_label>Unsafe</human_label>"
    assert f"{label}\n<human_comment>the sign is a threat</human_comment>\n" in request.prompt
    assert request.prompt.count("<human_comment>") == 1


def test_update_q_shows_the_judge_prompt_and_the_scored_history_and_nothing_else() -> None:
    engine = ScriptedEngine(Reply("<prompt>x</prompt>", "stop"))
    history = [ScoredPrompt("Describe it.", 0.0), ScoredPrompt("Name the knife.", -0.25)]
    make_optimizer(engine).update_i2t_prompt("Is it safe?", history)
    prompt = engine.requests[0].prompt
    assert '<i2t_prompt score="-0.250">\nName the knife.\n</i2t_prompt>' in prompt
    assert "<case>" not in prompt


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_shipped_templates_ask_for_known_placeholders_only(name: str) -> None:
    assert load_template(name) is load_template(name)


def test_no_two_attempts_at_a_question_are_the_same_request_at_temperature_0() -> None:
    engine = ScriptedEngine(*[Reply("I can't help.", "stop")] * 4)
    make_optimizer(engine, max_attempts=4).update_judge_prompt("judge it", [])
    asked = [(request.prompt, request.sampling.temperature) for request in engine.requests]
    assert len(set(asked)) == 4
    assert [temperature for _, temperature in asked] == [0.0, 0.7, 0.7, 0.7]
    assert asked[2][0] == (
        f"{asked[0][0]}\n\nYou have answered this 2 times before, and no answer can be used:\n"
        "1. no text between <prompt> and </prompt>\n2. no text between <prompt> and </prompt>\n"
        "Answer in another way this time."
    )


def test_a_refused_request_is_not_asked_again_and_one_that_failed_is() -> None:
    engine = ScriptedEngine(Reply("", "error", error="flagged", error_kind="request"))
    assert make_optimizer(engine).update_judge_prompt("p", []).failures == ("error: flagged",)
    busy = Reply("", "error", error="busy", error_kind="transient")
    engine = ScriptedEngine(busy, busy, Reply("<prompt>x</prompt>", "stop"))
    assert make_optimizer(engine).update_judge_prompt("p", []).prompt == "x"
    assert "busy" not in engine.requests[2].prompt


@pytest.mark.parametrize(
    ("text", "is_repeat"),
    [
        ("Look closely.", True),
        ('"Look  closely"', True),
        ("look\nCLOSELY!", True),
        ("**Look closely.**", True),
        ("Look very closely.", False),
        ("Look.", False),
    ],
)
def test_a_prompt_of_the_same_words_is_a_repeat(text: str, *, is_repeat: bool) -> None:
    replies = [Reply(f"<prompt>{text}</prompt>", "stop")] * 2
    engine = ScriptedEngine(*replies)
    proposal = make_optimizer(engine).update_i2t_prompt("p", [ScoredPrompt("Look closely.", 0.5)])
    assert proposal.is_repeat is is_repeat
    assert proposal.repeats == len(engine.requests) * is_repeat == 2 * is_repeat
    assert proposal.prompt == ("Look closely." if is_repeat else text)


def test_of_several_proposals_only_those_tried_before_are_repeats() -> None:
    texts = "<prompt>Look.</prompt><prompt>New.</prompt>"
    engine = ScriptedEngine(Reply(texts, "stop"))
    optimizer = make_optimizer(engine)
    found = update_i2t_prompts(optimizer, "p", [ScoredPrompt("look", 0.0)], [], 2)
    assert [(p.prompt, p.is_repeat) for p in found] == [("look", True), ("New.", False)]
    assert [p.repeats for p in found] == [1, 1]
    assert (optimizer.num_repeats, optimizer.num_repeated) == (1, 0)


def test_each_prompt_of_an_answer_that_was_tried_before_counts() -> None:
    answers = (("Look.", "SEE!"), ("x", "see"))
    texts = ["".join(f"<prompt>{prompt}</prompt>" for prompt in answer) for answer in answers]
    engine = ScriptedEngine(*[Reply(text, "stop") for text in texts])
    optimizer = make_optimizer(engine)
    history = [ScoredPrompt("look", 0.0), ScoredPrompt("See.", 0.0)]
    found = update_i2t_prompts(optimizer, "p", history, [], 2)
    # The first answer holds nothing else and is asked for once more; of the second, one is new.
    assert [(p.prompt, p.is_repeat) for p in found] == [("x", False), ("See.", True)]
    assert (optimizer.num_repeats, optimizer.num_repeated) == (3, 0)


def test_prompts_of_one_answer_in_the_same_words_are_one() -> None:
    engine = ScriptedEngine(Reply("<prompt>New.</prompt><prompt>new!</prompt>", "stop"))
    found = update_i2t_prompts(make_optimizer(engine), "p", [ScoredPrompt("look", 0.0)], [], 2)
    assert [p.prompt for p in found] == ["New.", None]
    assert found[1].failures == ("1 of 2 prompts in the answer",)


def test_an_edit_that_repeats_the_parent_is_asked_for_once_more() -> None:
    engine = ScriptedEngine(*[Reply(f"<prompt>{t}</prompt>", "stop") for t in ("p", "better")])
    [proposal] = edit(make_optimizer(engine), Context(9999, 28), [Complaint("P.", (), ["bad"])])
    assert (proposal.prompt, proposal.repeats) == ("better", 1)


def test_optimizers_told_apart_by_their_first_draw_share_no_request() -> None:
    requests = list[Request]()
    for first_draw in (0, 10_000):
        engine = ScriptedEngine(Reply("", "stop"), Reply("<prompt>Look.</prompt>", "stop"))
        optimizer = PromptOptimizer(
            engine, TASK, max_tokens=100, temperature=0.0, max_attempts=3, first_draw=first_draw
        )
        optimizer.update_i2t_prompt("judge it", [])
        requests += engine.requests
    assert [r.sampling.sample_index for r in requests] == [0, 1, 30_000, 30_001]
