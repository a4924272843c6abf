"""Meta-prompts and the reading of their answers."""

from collections.abc import Sequence
from importlib import resources

import pytest
from blpo.data.tasks import load_task
from blpo.models.engine import EngineIdentity, Reply, Request
from blpo.models.roles.optimizer import (
    Case,
    PromptOptimizer,
    ScoredPrompt,
    load_template,
    parse_answers,
)
from blpo.models.roles.verbalizer import Verbalization

TASK = load_task("unsafebench")
TEMPLATES = sorted(
    file.name.removesuffix(".txt")
    for file in (resources.files("blpo.models") / "prompts").iterdir()
    if file.name not in {"cases.txt", "pairs.txt"}
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
