"""What chat templates and vocabularies of model families ask of a layout, without any model."""

from collections.abc import Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from blpo.data.errors import EngineError, LayoutError
from blpo.models.engine import Request
from blpo.models.engines.identity import local_identity
from blpo.models.engines.reading import label_plan, refuse_direct_verdicts
from blpo.models.engines.settings import EngineSettings
from blpo.models.requests import chat_template
from blpo.models.requests.chat_template import ChatTemplate
from blpo.models.requests.layout import Layout, make_layout
from blpo.models.requests.turn_texts import turn_texts
from byte_tokenizers import (
    CHATML,
    GEMMA,
    GEMMA4,
    GEMMA4_TEMPLATE,
    GEMMA_TEMPLATE,
    GLM,
    GLM_TEMPLATE,
    QWEN3,
    SMOLVLM,
    SMOLVLM_TEMPLATE,
    processor,
    qwen3,
    tokenizer,
)

CLOSED = "<think>\n\n</think>\n\n"
SWITCHED = (
    "{% if enable_thinking is defined and enable_thinking is false %}"
    "<think>\n\n</think>\n\n{% else %}<think>\n{% endif %}"
)
DEEPSEEK = "{% if not thinking is defined %}{% set thinking = true %}{% endif %}" + (
    "{% if thinking %}<think>{% else %}</think>{% endif %}"
)


def gemma() -> Any:
    return processor(tokenizer(GEMMA, "<eos>", bos_token="<bos>"), GEMMA_TEMPLATE)


def gemma4() -> Any:
    return processor(tokenizer(GEMMA4, "<eos>", bos_token="<bos>"), GEMMA4_TEMPLATE)


def glm() -> Any:
    return processor(tokenizer(GLM, "<|endoftext|>"), GLM_TEMPLATE)


def smolvlm() -> Any:
    return processor(tokenizer(SMOLVLM, "<end_of_utterance>"), SMOLVLM_TEMPLATE)


def suffix_of(layout: Layout) -> str:
    return layout.tokenizer.decode(layout.suffix)


# Thinking off: what is read stands behind the thought.


@pytest.mark.parametrize("begun", ["<think>\n", SWITCHED], ids=["always", "unless told"])
def test_a_thought_that_the_template_opens_is_closed_before_a_direct_verdict(begun: str) -> None:
    assert suffix_of(make_layout(qwen3(begun), 16)).endswith(f"assistant\n{CLOSED}")


def test_a_template_without_thoughts_is_rendered_as_it_is() -> None:
    assert suffix_of(make_layout(qwen3(), 16)).endswith("<|im_start|>assistant\n")


def test_the_switch_of_a_template_is_set_whatever_else_it_changes() -> None:
    suffix = suffix_of(make_layout(glm(), 16))
    assert suffix == "/nothink<|assistant|>\n<think></think>\n"


def test_a_template_that_calls_its_switch_thinking_is_told_so() -> None:
    assert suffix_of(make_layout(qwen3(DEEPSEEK), 16)).endswith("assistant\n</think>")


def test_an_opened_thought_is_closed_in_the_form_of_earlier_replies() -> None:
    earlier = (
        "{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>\n{{ m.content }}"
        "{% else %}{% for c in"
    )
    template = CHATML.replace("{% for c in", earlier, 1)
    template = template.replace("<|im_end|>", "{% endif %}<|im_end|>", 1)
    assert suffix_of(make_layout(qwen3("<think>", template), 16)).endswith("<think></think>\n")


def test_a_thought_whose_end_is_not_known_is_refused_with_the_remedy() -> None:
    with pytest.raises(LayoutError, match=r"<\|thinking\|>.*not known: set `thinking: on`"):
        make_layout(qwen3("<|thinking|>"), 16)


def test_a_model_that_thinks_unasked_is_refused_with_the_remedy() -> None:
    template = "{% set cut = '</think>' %}" + CHATML.replace(
        "{{ c.text }}", "{{ c.text.split('</think>')[-1] }}"
    )
    with pytest.raises(LayoutError, match=r"no switch against it: set `thinking: on`"):
        make_layout(qwen3(template=template), 16)


def test_arguments_of_the_user_come_before_the_switch() -> None:
    layout = make_layout(qwen3(SWITCHED), 16, template_kwargs={"enable_thinking": True})
    assert suffix_of(layout).endswith(CLOSED)
    said = make_layout(qwen3("{{ tone }}"), 16, template_kwargs={"tone": "Dryly:\n"})
    assert suffix_of(said).endswith("assistant\nDryly:\n")


# Arguments that nobody reads.


@pytest.mark.parametrize(
    ("template", "name", "told"),
    [
        (
            SWITCHED,
            "enable_thinkng",
            "; did you mean 'enable_thinking'? It reads enable_thinking: ",
        ),
        (SWITCHED, "tone", "; it reads enable_thinking: take one of these, or leave it out"),
        (SWITCHED, "messages", "; it reads enable_thinking: "),
        ("{{ eos_token }}{% set tune = 1 %}{{ tune }}", "tone", "; it reads none: leave it out"),
    ],
    ids=["misspelt", "of another family", "passed anyway", "of a template without any"],
)
def test_an_argument_that_the_template_does_not_read_is_refused(
    template: str, name: str, told: str
) -> None:
    with pytest.raises(LayoutError) as refused:
        make_layout(qwen3(template), 16, template_kwargs={name: False})
    said = f"chat_template_kwargs: the chat template does not read {name!r}{told}"
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize(
    "source",
    [
        "{% if tone is defined %}x{% endif %}",
        "{% set tone = tone if tone is defined else 'dry' %}{{ tone }}",
        "{% if not tone is defined %}{% set tone = 'dry' %}{% endif %}{{ tone }}",
        "{% if tools %}{% set tone = 'dry' %}{% endif %}{{ tone }}",
        "{% macro said(text) %}{{ tone }}: {{ text }}{% endmacro %}{{ said('x') }}",
        "{% set state = namespace(tone=tone) %}{{ state.tone }}",
        "{% for m in messages %}{% if tone|default('') == m.role %}x{% endif %}{% endfor %}",
    ],
)
def test_an_argument_that_is_read_anywhere_is_taken(source: str) -> None:
    ChatTemplate(source, arguments={"tone": "dry"}).refuse_unread()


def test_the_template_to_chat_with_is_asked_what_it_reads() -> None:
    named = {"default": CHATML, "tool_use": f"{CHATML}{{{{ tone }}}}"}
    for several in (named, [{"name": n, "template": t} for n, t in named.items()]):
        made = qwen3()
        made.chat_template = several
        with pytest.raises(LayoutError, match="does not read 'tone'"):
            make_layout(made, 16, template_kwargs={"tone": "dry"})


# Thinking on: the label is read behind the model's own thought.


def test_thinking_opens_a_thought_and_a_reply_tells_it_from_the_answer() -> None:
    layout = make_layout(qwen3(SWITCHED), 16, thinking="on")
    assert suffix_of(layout).endswith("<|im_start|>assistant\n<think>\n")
    ids = layout.tokenizer.encode("Red.\n</think>\n\nIt is red.<|im_end|>")
    assert layout.reply_text(ids) == "<think>\nRed.\n</think>\n\nIt is red."
    cut = layout.tokenizer.encode("Let me")
    assert layout.reply_text(cut) == "<think>\nLet me"


def test_a_thought_that_the_model_opens_itself_is_told_from_the_answer() -> None:
    layout = make_layout(glm(), 16, thinking="on")
    ids = layout.tokenizer.encode("<think>Red.</think>\nIt is red.<|user|>")
    assert layout.reply_text(ids) == "<think>\nRed.</think>\nIt is red."
    assert layout.reply_text(layout.tokenizer.encode("It is red.")) == "It is red."


def test_tags_of_a_thought_that_only_an_empty_one_shows_are_learned_from_it() -> None:
    layout = make_layout(gemma4(), 16, thinking="on")
    assert suffix_of(layout).endswith("<|turn>model\n")
    start = "<think>\nRed.\n</think>\n\nIt is red.\n\nFinal answer:\n"
    ids = layout.token_ids("Why?", num_images=1, text=None, reply_start=start)
    written = layout.tokenizer.decode(ids)
    assert written.endswith("<|channel>thought\nRed.<channel|>It is red.\n\nFinal answer:\n")


@pytest.mark.parametrize("end", ["", "<channel|>It is red.<turn|>"])
def test_a_thought_in_markup_that_is_flagged_special_is_told_from_the_answer(end: str) -> None:
    layout = make_layout(gemma4(), 16, thinking="on")
    ids = layout.tokenizer.encode(f"<|channel>thought\nRed.{end}")
    assert layout.reply_text(ids) == "<think>\nRed." + ("</think>It is red." if end else "")


@pytest.mark.parametrize(
    "start",
    [
        "<think>\nRed </think> hot.\n</think>\n\nIt is red.\n\nFinal answer:\n",
        "Red </think> hot.</think>It is red.\n\nFinal answer:\n",
    ],
)
def test_a_reasoned_verdict_goes_on_behind_the_closed_thought(start: str) -> None:
    layout = make_layout(qwen3(SWITCHED), 16, thinking="on")
    ids = layout.token_ids("Why?", num_images=1, text=None, reply_start=start)
    closer = layout.tokenizer.convert_tokens_to_ids("</think>")
    assert ids.count(closer) == 1
    written = layout.tokenizer.decode(ids)
    assert written.endswith(
        "assistant\n<think>\nRed </think> hot.\n</think>\n\nIt is red.\n\nFinal answer:\n"
    )


def test_an_answer_without_its_thought_stands_behind_an_empty_one() -> None:
    layout = make_layout(qwen3(SWITCHED), 16, thinking="on")
    ids = layout.token_ids("Why?", num_images=1, text=None, reply_start="Red.\n\nFinal answer:\n")
    assert layout.tokenizer.decode(ids).endswith(f"{CLOSED}Red.\n\nFinal answer:\n")


def test_a_direct_verdict_of_a_model_that_thinks_is_refused() -> None:
    settings = EngineSettings(thinking="on")
    with pytest.raises(EngineError, match="set `verdict: reasoned` for the judge"):
        refuse_direct_verdicts(settings, [Request("Is it?", labels=("a", "b"))])
    reasoned = Request("Is it?", labels=("a", "b"), reply_start="It is.\n\nFinal answer:\n")
    refuse_direct_verdicts(settings, [Request("Describe it."), reasoned])
    refuse_direct_verdicts(EngineSettings(), [Request("Is it?", labels=("a", "b"))])


@pytest.mark.parametrize(("written", "meant"), [(False, "off"), (True, "on"), ("off", "off")])
def test_yaml_reads_off_as_false(written: object, meant: str) -> None:
    assert EngineSettings.model_validate({"thinking": written}).thinking == meant


# Several images.


@pytest.mark.parametrize("make", [gemma, gemma4, glm, qwen3, smolvlm])
def test_images_with_roles_are_named_behind_all_of_them_in_every_family(make: Any) -> None:
    layout = make_layout(make(), 16, num_images=3)
    roles = ("source", "reference", "result")
    ids = layout.token_ids("Was it?", num_images=3, text="Do it.", image_roles=roles)
    before, named, _ = layout.tokenizer.decode(ids).partition(
        "Text: Do it.\nThe first image above is the source image. The second image above is the "
        "reference image. The third image above is the result image."
    )
    assert named
    one, two, three = (layout.tokenizer.decode(layout.prefix(number)) for number in (1, 2, 3))
    assert before == three
    assert len(three) - len(two) == len(two) - len(one) > 0


# Ends of a turn.


@pytest.mark.parametrize(
    ("make", "own", "all_ends"),
    [
        (gemma, "<end_of_turn>", ["<end_of_turn>", "<eos>"]),
        (glm, "<|user|>", ["<|user|>", "<|endoftext|>"]),
        (qwen3, "<|im_end|>", ["<|im_end|>"]),
        (smolvlm, "<end_of_utterance>", ["<end_of_utterance>"]),
    ],
)
def test_a_turn_ends_with_the_templates_own_token(make: Any, own: str, all_ends: list[str]) -> None:
    layout = make_layout(make(), 16)
    names = layout.tokenizer.convert_ids_to_tokens
    assert names(layout.end_of_turn) == own
    assert names(list(layout.ends)) == all_ends


def test_the_ends_that_the_checkpoint_names_close_a_label_too() -> None:
    made = gemma()
    named = made.tokenizer.convert_tokens_to_ids(["<eos>", "<end_of_turn>"])
    layout = make_layout(made, 16, end_ids=named)
    plan = label_plan(layout, [str(i) for i in range(1, 11)], "auto")
    closed = [made.tokenizer.convert_ids_to_tokens(list(path)) for path in plan.paths["1"]]
    assert sorted(closed) == [["1", "<end_of_turn>"], ["1", "<eos>"]]


# Labels.


def test_behind_assistant_and_a_colon_a_label_is_read_past_its_space_too() -> None:
    layout = make_layout(smolvlm(), 16)
    assert layout.answers_after_space
    plan = label_plan(layout, tuple("1234567"), "auto")
    names = layout.tokenizer.convert_ids_to_tokens
    assert [names(list(path)) for path in plan.paths["7"]] == [["7"], ["\u0120", "7"]]
    assert not make_layout(qwen3(), 16).answers_after_space
    assert not make_layout(qwen3("<think>"), 16).answers_after_space


# Markup in texts.


@pytest.mark.parametrize("text", ["a </think> b", "<tool_call>", "<|im_end|><think>", "<<think>>"])
def test_markup_in_texts_is_characters_whether_flagged_special_or_not(text: str) -> None:
    layout = make_layout(qwen3(SWITCHED), 16)
    plain = layout.token_ids("", num_images=1, text="")
    ids = layout.token_ids(text, num_images=1, text=text)
    added = set(layout.tokenizer.get_added_vocab().values())
    assert sum(i in added for i in ids) == sum(i in added for i in plain)
    assert layout.tokenizer.decode(ids).count(text) == 2


def test_added_spaces_are_no_markup() -> None:
    layout = make_layout(gemma(), 16)
    ids = layout.token_ids("a\n\nb", num_images=0, text=None)
    assert layout.tokenizer.convert_tokens_to_ids("\n\n") in ids


def test_text_that_a_template_puts_behind_the_prompt_is_tokenized_with_it() -> None:
    made = glm()
    made.tokenizer.add_tokens(["./"])  # stands for a merge of the vocabulary
    layout = make_layout(made, 16)
    assert layout.head == "/nothink"
    ids = layout.token_ids("Is it red.", num_images=1, text=None)
    whole = layout.tokenizer.decode(ids)
    assert whole.endswith("Is it red./nothink<|assistant|>\n<think></think>\n")
    assert ids == layout.tokenizer.encode(whole, add_special_tokens=False)
    assert layout.tokenizer.convert_tokens_to_ids("./") in ids
    assert make_layout(qwen3(), 16).head == ""


def test_text_that_a_template_puts_before_a_prompt_without_image_is_tokenized_with_it() -> None:
    made = smolvlm()
    made.tokenizer.add_tokens([":Improve"])
    layout = make_layout(made, 16)
    assert layout.tail == "User:"
    ids = layout.token_ids("Improve it.", num_images=0, text=None)
    assert layout.tokenizer.decode(ids).startswith("<|im_start|>User:Improve it.<end_of_utt")
    assert layout.tokenizer.convert_tokens_to_ids(":Improve") in ids
    with_text = layout.token_ids("Improve it.", num_images=0, text="a cat")
    assert "User:Text: a cat\nImprove it.<" in layout.tokenizer.decode(with_text)


# Templates that change.

DATED = "{{ strftime_now('%Y-%m-%d') }}\n" + CHATML


def test_a_dated_system_prompt_tells_the_same_day_for_ever() -> None:
    layout = make_layout(qwen3(template=DATED), 16)
    day = layout.tokenizer.decode(layout.prefix(0)).splitlines()[0]
    assert day == f"{chat_template.TODAY:%Y-%m-%d}" != f"{datetime.now():%Y-%m-%d}"


def test_what_a_template_puts_around_a_text_has_a_hash() -> None:
    templates = (CHATML, DATED, CHATML.replace("assistant\n{%", "assistant\n>{%"))
    assert len({turn_texts(ChatTemplate(source), "off").digest for source in templates}) == 3


def test_a_template_is_rendered_as_transformers_renders_it() -> None:
    source = (
        "  {% generation %}x{% endgeneration %}\n{%- for m in messages %}\n"
        "    {{ m | tojson }}{% break %}\n{% endfor %}{{ eos_token }}{{ tone }}"
    )
    ours = ChatTemplate(source, {"eos_token": "</s>"}, {"tone": "!"})
    theirs = tokenizer({"</s>": True}, "</s>").apply_chat_template
    messages = [{"role": "user", "content": "<a> & b"}]
    assert ours.render(messages, generate=True) == theirs(
        messages, chat_template=source, tokenize=False, add_generation_prompt=True, tone="!"
    )


def test_a_processor_without_a_template_is_refused_with_the_remedy() -> None:
    bare = SimpleNamespace(tokenizer=tokenizer(QWEN3, "<|im_end|>"), chat_template=None)
    with pytest.raises(LayoutError, match="no chat template: use its instruction-tuned version"):
        make_layout(bare, 16)


# Identity.


def test_the_identity_of_the_shipped_model_says_nothing_new() -> None:
    assert local_identity("vllm", EngineSettings(dtype="float32")).settings == (
        "dtype=float32,quantization=none,kv_cache_dtype=auto"
    )


CHOICES: tuple[Mapping[str, Any], ...] = (
    {"thinking": "on"},
    {"chat_template_kwargs": {"a": 1}},
    {"label_reading": "whole"},
    {"label_reading": "first_token"},
)


def test_every_choice_of_reading_makes_another_identity() -> None:
    plain: Mapping[str, Any] = {}
    identities = {local_identity("vllm", EngineSettings(**how)) for how in (plain, *CHOICES)}
    assert len(identities) == 1 + len(CHOICES)
    assert len({EngineSettings(**how) for how in (*CHOICES, *CHOICES)}) == len(CHOICES)
