"""What the baselines ask the optimizer, and that it fits into its context."""

import io

from blpo.data.images import ImageBounds, ImageRef
from blpo.models.engine import Reply
from blpo.models.roles.baselines import (
    Complaint,
    TriedPrompt,
    criticize,
    criticize_on_cases,
    edit,
    paraphrase,
    propose_judge_prompts,
)
from blpo.models.roles.context import Context
from blpo.models.roles.optimizer import Case
from blpo.models.roles.verbalizer import Verbalization
from PIL import Image
from test_optimizer import ScriptedEngine, make_optimizer

ROOMY = Context(num_tokens=100_000, image_token_px=28)


def make_image(width: int, height: int) -> ImageRef:
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, "PNG")
    return ImageRef(file.getvalue(), ImageBounds())


IMAGES = [make_image(280, 280 + 28 * n) for n in range(4)]


def image_case(number: int) -> Case:
    return Case(Verbalization(""), None, "Unsafe", "Safe", (IMAGES[number],))


def word_case(text: str) -> Case:
    return Case(Verbalization(text), None, "Unsafe", "Safe")


def answers(number: int, tag: str = "prompt") -> ScriptedEngine:
    return ScriptedEngine(*(Reply(f"<{tag}>{n}</{tag}>", "stop") for n in range(number)))


def test_proposals_are_draws_of_one_meta_prompt_at_the_given_temperature() -> None:
    engine = answers(3)
    history = [TriedPrompt("worse", 40), TriedPrompt("better", 55)]
    optimizer = make_optimizer(engine)
    proposals = propose_judge_prompts(optimizer, history, [word_case("a cat")], 3, 1.0)
    assert [proposal.prompt for proposal in proposals] == ["0", "1", "2"]
    assert len({request.prompt for request in engine.requests}) == 1
    assert {request.sampling.temperature for request in engine.requests} == {1.0}
    assert len({request.sampling.sample_index for request in engine.requests}) == 3
    prompt = engine.requests[0].prompt
    assert prompt.index("\nworse\n") < prompt.index("\nbetter\n")
    assert '<tried_judge_prompt score="55">' in prompt
    assert "<description>a cat</description>\n<human_label>Unsafe" in prompt
    assert "<verdict>" not in prompt


def test_a_failed_draw_is_asked_again_under_an_index_of_its_own() -> None:
    engine = ScriptedEngine(
        Reply("", "stop"), Reply("<prompt>b</prompt>", "stop"), Reply("<prompt>a</prompt>", "stop")
    )
    first, second = propose_judge_prompts(make_optimizer(engine), [], [], 2, 1.0)
    assert (first.prompt, first.failures) == ("a", ("empty reply",))
    assert (second.prompt, second.failures) == ("b", ())
    assert [request.sampling.sample_index for request in engine.requests] == [0, 3, 1]


def test_critiques_show_the_cases_and_ask_for_a_critique() -> None:
    engine = answers(2, "critique")
    complaints = [Complaint("p", [word_case("a"), word_case("b")]), Complaint("r", [])]
    given = criticize(make_optimizer(engine), ROOMY, complaints)
    assert [answer.texts for answer in given] == [("0",), ("1",)]
    assert "You cannot see the images" in engine.requests[0].prompt
    assert engine.requests[0].prompt.count("<case>") == 2


def test_a_single_case_is_criticized_by_itself_whether_right_or_wrong() -> None:
    engine = answers(2, "critique")
    right = Case(Verbalization("b"), "the text", "Safe", "Safe")
    criticize_on_cases(make_optimizer(engine), "p", [word_case("a"), right])
    assert [request.prompt.count("<case>") for request in engine.requests] == [1, 1]
    assert "<text>the text</text>" in engine.requests[1].prompt


def test_an_edit_shows_all_critiques_and_cases_only_where_there_are_any() -> None:
    engine = answers(2)
    with_cases = Complaint("p", [word_case("a")], ["one"])
    edit(make_optimizer(engine), ROOMY, [with_cases, Complaint("p", [], ["one", "two"])])
    first, second = (request.prompt for request in engine.requests)
    assert "<case>" in first
    assert "<case>" not in second
    assert "<critique>one</critique>\n<critique>two</critique>" in second


def test_paraphrases_come_in_the_order_of_their_prompts() -> None:
    engine = answers(4)
    made = paraphrase(make_optimizer(engine), ["p", "r"], 2, 0.7)
    assert [[p.prompt for p in group] for group in made] == [["0", "1"], ["2", "3"]]
    assert paraphrase(make_optimizer(answers(0)), ["p", "r"], 0, 0.7) == [[], []]


def test_images_go_with_the_request_in_the_order_of_their_numbers() -> None:
    engine = answers(1, "critique")
    criticize(make_optimizer(engine), ROOMY, [Complaint("p", [image_case(2), image_case(0)])])
    [request] = engine.requests
    assert request.images == (IMAGES[2], IMAGES[0])
    assert "<image>1</image>" in request.prompt
    assert "<image>2</image>" in request.prompt
    assert "<description>" not in request.prompt
    assert "You cannot see" not in request.prompt


def test_as_many_images_are_shown_as_the_context_holds_by_a_count_made_before() -> None:
    complaint = Complaint("p", [image_case(number) for number in range(4)])
    shown: list[int] = []
    for num_tokens in range(900, 2400, 50):
        engine = answers(1, "critique")
        context = Context(num_tokens, image_token_px=28)
        [answer] = criticize(make_optimizer(engine), context, [complaint])
        images = engine.requests[0].images if engine.requests else ()
        shown.append(len(images))
        assert images == tuple(IMAGES[: len(images)])
        assert bool(answer.texts) == bool(images)
        for request in engine.requests:
            pictures = sum(10 * (10 + IMAGES.index(image)) for image in request.images)
            assert len(request.prompt.encode()) + pictures + 100 < num_tokens
    assert shown == sorted(shown)
    assert set(shown) == {0, 1, 2, 3, 4}


def test_what_does_not_fit_at_all_is_not_asked_and_says_so() -> None:
    engine = answers(0)
    context = Context(900, image_token_px=28)
    [answer] = criticize(make_optimizer(engine), context, [Complaint("p", [image_case(0)])])
    assert answer.failures == ("not one case fits into 900 tokens",)
