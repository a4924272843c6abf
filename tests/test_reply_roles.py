"""Judge, verbalizer and optimizer read no thought, no cut-off text, and say why."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from blpo.data.examples import Example
from blpo.data.images import ImageBounds, ImageRef
from blpo.data.tasks import load_task
from blpo.models.engine import EngineIdentity, Reply, Request
from blpo.models.engines.settings import EngineSettings
from blpo.models.lexicon.second_hand import SecondHandImages
from blpo.models.roles.judge import ANSWER_LEAD, Judge, read_verdict
from blpo.models.roles.optimizer import PromptOptimizer, parse_answers
from blpo.models.roles.verbalizer import Verbalizer
from blpo.pipeline.config import JudgeConfig
from blpo.pipeline.runs.roles import configured_judge, thinking_budget
from test_reasoned import Picture

SAFETY = load_task("unsafebench")
LABELS = SAFETY.labels
PICTURE = Picture(ImageRef(b"1", ImageBounds()))
RESTATED = (
    'Got it, let me look. The user wants a few sentences, then the line "Final answer:" and the '
    "label.\nThere is a knife on the table, but it is a kitchen scene.\n</think>\n\nA kitchen with "
    "a knife on a board, nobody is hurt.\n\nFinal answer:\nSafe"
)
LOGPROBS = {"Safe": -0.1, "Unsafe": -2.5}


@dataclass
class Scripted:
    """Gives its replies in order and keeps the requests."""

    replies: list[Reply]
    requests: list[Request] = field(default_factory=list[Request])
    identity: EngineIdentity = EngineIdentity("scripted", "m", "r", "l")  # noqa: RUF009
    version: str = "1"

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        self.requests += requests
        return [self.replies.pop(0) for _ in requests]

    def close(self) -> None:
        pass


def reasoned(*replies: Reply, thinking_tokens: int = 0) -> tuple[Judge, Scripted]:
    engine = Scripted(list(replies))
    return Judge(engine, SAFETY, 64, thinking_tokens=thinking_tokens), engine


def label_reply() -> Reply:
    return Reply("Safe", "label", LOGPROBS)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("<think>Looks safe at first, but there is a knife.</think>Unsafe", "Unsafe"),
        ("Looks safe at first, but there is a knife.</think>Unsafe", "Unsafe"),
        ("<think>Okay, is the image Safe", None),
        ("<think>It is Safe.</think>", None),
        ("<think>It is Safe.</think>I cannot say.", None),
        ("Not safe.", "Unsafe"),
    ],
)
def test_a_label_within_a_thought_is_no_verdict(text: str, label: str | None) -> None:
    verdict = read_verdict(Reply(text, "stop"), LABELS)
    assert verdict.label == label
    assert (verdict.reason is None) == (label is not None)


@pytest.mark.parametrize("text", ["Safe", "Safe, because", "<think>It is Safe", ""])
def test_a_cut_off_text_is_no_verdict_and_says_so(text: str) -> None:
    verdict = read_verdict(Reply(text, "length"), LABELS)
    assert verdict.label is None
    assert "cut off at 16 tokens" in (verdict.reason or "")
    assert "raise max_tokens" in (verdict.reason or "")


def test_a_direct_verdict_may_have_as_many_tokens_as_the_settings_say() -> None:
    engine = Scripted([Reply("Safe", "stop"), Reply("<think>hm</think>Safe", "stop")])
    thinking = {"judge": {"kind": "openai", "thinking": True}, "thinking_tokens": 100}
    for settings in ({"max_tokens": 40}, thinking):
        config = JudgeConfig.model_validate(settings)
        judge = configured_judge(engine, SAFETY, config)
        assert isinstance(judge, Judge)
        [verdict] = judge("Is it safe?", [PICTURE])
        assert verdict.label == "Safe"
    assert [request.sampling.max_tokens for request in engine.requests] == [40, 116]
    assert thinking_budget(EngineSettings(), 100) == 0


def test_the_label_is_read_behind_the_thought_and_the_last_lead() -> None:
    judge, engine = reasoned(Reply(RESTATED, "stop"), label_reply(), thinking_tokens=100)
    [verdict] = judge("Is it safe?", [PICTURE])
    written, read = engine.requests
    assert written.sampling.max_tokens == 164
    assert read.reply_start == RESTATED.removesuffix("Safe")
    assert verdict.reasoning == "A kitchen with a knife on a board, nobody is hurt."
    assert verdict.probabilities is not None


@pytest.mark.parametrize(
    ("text", "closer"), [("<think>\nOn the left", "</think>"), ("On the left", "</think>")]
)
def test_an_unfinished_thought_is_closed_before_the_label(text: str, closer: str) -> None:
    judge, engine = reasoned(Reply(text, "length"), label_reply(), thinking_tokens=100)
    [verdict] = judge("Is it safe?", [PICTURE])
    assert engine.requests[1].reply_start == f"{text}\n{closer}\n\n{ANSWER_LEAD}\n"
    assert (verdict.label, verdict.reasoning) == ("Safe", "On the left")


@pytest.mark.parametrize("text", ["<|channel|>analysis<|message|>It is Safe", ""])
def test_a_thought_that_cannot_be_closed_leaves_no_verdict(text: str) -> None:
    judge, engine = reasoned(Reply(text, "length"), thinking_tokens=100)
    [verdict] = judge("Is it safe?", [PICTURE])
    assert len(engine.requests) == 1
    assert verdict.label is None
    assert "thinking_tokens" in (verdict.reason or "")


def test_a_thought_alone_is_the_reasoning_of_its_verdict() -> None:
    judge, engine = reasoned(
        Reply("A knife.</think>\n\nFinal answer:\nSafe", "stop"), label_reply()
    )
    [verdict] = judge("Is it safe?", [PICTURE])
    assert verdict.reasoning == "A knife."
    assert engine.requests[1].reply_start == "A knife.</think>\n\nFinal answer:\n"


@pytest.mark.parametrize("last", [Reply("", "length"), Reply("", "error", error="no prefill")])
def test_what_a_text_names_by_itself_counts_where_no_answer_follows_it(last: Reply) -> None:
    judge, _ = reasoned(Reply("A knife. Final answer: Unsafe", "stop"), last)
    [verdict] = judge("Is it safe?", [PICTURE])
    assert (verdict.label, verdict.probabilities) == ("Unsafe", None)
    judge, _ = reasoned(Reply("A knife. Final answer: Unsafe", "stop"), Reply("Hm.", "stop"))
    [unread] = judge("Is it safe?", [PICTURE])
    assert unread.label is None


@pytest.mark.parametrize(
    ("reply", "text", "reason"),
    [
        (Reply("", "error", error="too large"), "", "too large"),
        (Reply("<think>hm</think>A cat.", "stop"), "A cat.", None),
        (Reply("hm</think>\n\nA cat.", "stop"), "A cat.", None),
        (Reply("<|begin_of_box|>A cat.<|end_of_box|>", "stop"), "A cat.", None),
        (Reply("A cat on", "length"), "A cat on", "cut off at 20 tokens: raise verbalizer.max"),
        (Reply("<think>A cat", "length"), "", "the thought was cut off at 20 tokens"),
        (Reply("<think>A cat", "stop"), "", "the thought was never closed"),
        (Reply("", "stop"), "", "empty reply"),
    ],
)
def test_a_verbalization_holds_no_thought_and_says_if_it_was_cut_off(
    reply: Reply, text: str, reason: str | None
) -> None:
    example = Example("e", PICTURE.image, None, "Safe", "g", None, "train")
    [given] = Verbalizer(Scripted([reply]), 20)("Describe it.", [example])
    assert given.text == text
    assert (reason or "") in (given.reason or "")
    assert (given.reason is None) == (reason is None)
    assert given.is_cut_off == (reply.finish_reason == "length")
    assert given.has_failed == (reason is not None and not given.is_cut_off)


CUT = (
    "Okay, I need to write the complete new judge prompt between <prompt> and </prompt>. First, "
    "what do people pay attention"
)


@pytest.mark.parametrize(
    ("reply", "texts"),
    [
        (Reply(CUT, "length"), []),
        (Reply(f"<think>{CUT}", "length"), []),
        (Reply("Let me draft: <prompt>DRAFT</prompt> Hmm, that drops", "length"), []),
        (Reply(f"{CUT}.</think>\n\nI cannot improve it.", "stop"), []),
        (Reply("<think><prompt>DRAFT</prompt></think>\n<prompt>Look.</prompt>", "stop"), ["Look."]),
        (Reply("<think><prompt>DRAFT</prompt>", "stop"), []),
    ],
)
def test_a_proposal_comes_from_no_thought_and_no_cut_off_answer(
    reply: Reply, texts: list[str]
) -> None:
    found, reason = parse_answers(reply)
    assert found == texts
    assert (reason == "") == bool(texts)


def test_an_optimizer_that_thinks_gets_tokens_for_it() -> None:
    engine = Scripted([Reply("<think>hm</think><prompt>Look.</prompt>", "stop")])
    optimizer = PromptOptimizer(
        engine, SAFETY, max_tokens=100, temperature=0.0, max_attempts=1, thinking_tokens=50
    )
    assert optimizer.update_i2t_prompt("p", []).prompt == "Look."
    assert engine.requests[0].sampling.max_tokens == optimizer.max_tokens == 150


def test_unusable_replies_of_the_optimizer_are_counted_by_their_reasons() -> None:
    replies = ["", "Hm.", "<prompt>Look.</prompt>", "Hm.", "Hm.", "Hm."]
    engine = Scripted([Reply(text, "stop") for text in replies])
    optimizer = PromptOptimizer(engine, SAFETY, max_tokens=100, temperature=0.0, max_attempts=3)
    assert optimizer.update_i2t_prompt("p", []).prompt == "Look."
    assert optimizer.update_i2t_prompt("q", []).prompt is None
    assert optimizer.num_replies == 6
    assert optimizer.failures == {"empty reply": 1, "no text between <prompt> and </prompt>": 4}


def test_second_hand_images_are_described_without_a_thought() -> None:
    reader, viewer = Scripted([Reply("ok", "stop")]), Scripted([Reply("<think>a</think>b", "stop")])
    request = Request("See <image>1</image>", PICTURE.image)
    SecondHandImages(reader, viewer, 20).ask([request])
    assert reader.requests[0].prompt == "See <description>b</description>"
