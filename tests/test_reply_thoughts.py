"""Thought and answer in a reply, proposals in an answer, and what is said of a reply cut off."""

import pytest
from blpo.models.engine import FinishReason, Reply
from blpo.models.replies.budget import ReplyBudget
from blpo.models.replies.prompt import NO_TAGS, UNCLOSED, read_prompts
from blpo.models.replies.thought import read

CLOSED = [
    "<think>hm</think>Safe",
    "<think>\nhm\n</think>\n\nSafe",
    "hm\n</think>\n\nSafe",
    "<THINK>hm</THINK>Safe",
    "<thinking>hm</thinking>\nSafe",
    "<thought>hm</thought>Safe",
    "<reasoning>hm</reasoning>Safe",
    "<seed:think>hm</seed:think>Safe",
    "[THINK]hm[/THINK]Safe",
    "◁think▷hm◁/think▷Safe",
    "<|begin_of_thought|>hm<|end_of_thought|>\n<|begin_of_solution|>Safe<|end_of_solution|>",
    "<|START_THINKING|>hm<|END_THINKING|><|START_RESPONSE|>Safe<|END_RESPONSE|>",
    "<|channel>thought\nhm<channel|>Safe",
    "<|channel>thought\n<channel|>Safe<turn|>",
    "<unused94>thought\nhm<unused95>Safe",
    "hm\n[BEGIN FINAL RESPONSE]\nSafe\n[END FINAL RESPONSE]",
    "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Safe",
    "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>commentary<|message|>a"
    "<|end|><|start|>assistant<|channel|>final<|message|>Safe<|return|>",
    "analysisThe user wants a label.assistantfinalSafe",
    "<think>\nhm\n</think>\n<answer>\nSafe\n</answer>",
    "<think>a</think>draft<think>b</think>Safe",
    "<think>It ends in </think>, they say.</think>Safe",
    "< think >hm</ think >Safe",
    '<think style="long">hm</think>Safe',
    "<thinking>hm</think>Safe",
    "[Start thinking]\nhm\n[End thinking]\n\nSafe",
    "<analysis>\nhm\n</analysis>\nSafe",
    "<Scratchpad>hm</scratchpad>Safe",
    "<mm:think>hm</mm:think>Safe",
    "<|thinking|>hm<|/thinking|>Safe",
    "<reason>hm</reason><think>hm</think>Safe",
    "<thinking>hm</thinking><response>Safe</response>",
    "Safe<|im_end|>",
    "Safe</s>",
    "<think></think>Safe",
    "Safe",
]


@pytest.mark.parametrize("text", CLOSED)
def test_what_stands_before_the_last_closing_marker_is_thought(text: str) -> None:
    found = read(text, "stop")
    assert (found.answer, found.is_complete) == ("Safe", True)
    assert text.startswith(found.before)
    assert "Safe" not in found.thought


@pytest.mark.parametrize(
    "text",
    [
        "<think>is it Safe",
        "<think>\n",
        "Well. <think>is it Safe",
        "<think>a</think>Safe<think>or is it Unsafe",
        "[THINK]is it Safe",
        "◁think▷is it Safe",
        "<|channel>thought\nis it Safe",
        "<|channel|>analysis<|message|>is it Safe",
        "<|channel|>analysis<|message|>is it Safe<|end|>",
        "analysisThe user wants Safe",
        "<analysis>is it Safe",
        "< think >is it Safe",
        "<|thinking|>is it Safe",
        "<analysis>a</analysis>Safe<think>or Unsafe",
        "[Start thinking]is it Safe",
    ],
)
@pytest.mark.parametrize("finish", ["stop", "length"])
def test_all_after_an_opened_thought_is_thought(text: str, finish: FinishReason) -> None:
    found = read(text, finish)
    assert (found.answer, found.missing) == ("", "thought")
    assert found.is_at_limit == (finish == "length")


def test_a_thought_is_closed_in_its_own_way() -> None:
    assert read("<think>hm", "length").closer == "</think>"
    assert read("◁think▷hm", "length").closer == "◁/think▷"
    assert read("<|channel>thought\nhm", "length").closer == "<channel|>"
    assert read("<scratchpad>hm", "length").closer == "</scratchpad>"


@pytest.mark.parametrize("text", ["It is <analysis>", "Safe</analysis>", "<b>Safe</b>", "<safe>"])
def test_other_tags_within_an_answer_are_no_thought(text: str) -> None:
    assert read(text, "stop").answer == text


def test_a_text_cut_off_without_a_marker_is_a_thought_where_the_template_may_have_opened_one() -> (
    None
):
    text = "On the left there is"
    assert read(text, "length", may_be_opened=True).missing == "thought"
    assert read(text, "length").missing == "answer"
    assert read(text, "stop", may_be_opened=True).is_complete
    assert read(f"hm</think>{text}", "length", may_be_opened=True).answer == text


def test_a_reply_cut_off_says_which_setting_to_raise() -> None:
    plain, thinking = ReplyBudget(16), ReplyBudget(16, 100)
    assert (plain.max_tokens, thinking.max_tokens) == (16, 116)

    def fault(budget: ReplyBudget, text: str, finish: FinishReason = "length") -> str:
        return budget.fault(budget.read(Reply(text, finish))) or ""

    assert fault(plain, "It is") == "the answer was cut off at 16 tokens: raise max_tokens"
    assert fault(plain, "").startswith("empty reply, cut off at 16 tokens: raise max_tokens; ")
    assert "`thinking: on`" in fault(plain, "<think>It is")
    assert fault(thinking, "<think>It is") == (
        "the thought was cut off at 116 tokens: raise thinking_tokens"
    )
    assert fault(thinking, "hm</think>It is").endswith("116 tokens: raise max_tokens")
    assert "raise max_tokens, or thinking_tokens" in fault(thinking, "")
    assert "never closed" in fault(thinking, "<think>It is", "stop")
    assert fault(plain, "", "stop") == "empty reply"
    assert fault(plain, "<think>hm</think>", "stop") == "empty reply behind a thought"
    assert fault(plain, "Safe", "stop") == ""


LOOK = "Look for weapons."


@pytest.mark.parametrize(
    "answer",
    [
        "<prompt>Look for weapons.</prompt>",
        "<Prompt>Look for weapons.</PROMPT>",
        "<prompt >Look for weapons.</prompt >",
        '<prompt version="2">Look for weapons.</prompt>',
        "Sure.\n<prompt>\nLook for weapons.\n</prompt>\nIt is shorter.",
        "<prompt>A draft.</prompt> Better:\n<prompt>Look for weapons.</prompt>",
        "<prompt>Look for weapons.</prompt> It stands between <prompt> and </prompt>.",
        "I write it between `<prompt>` and `</prompt>`: <prompt>Look for weapons.</prompt>",
        "<prompt>...</prompt> becomes <prompt>Look for weapons.</prompt>",
        "<prompt>\n```text\nLook for weapons.\n```\n</prompt>",
        "<prompt>```\nLook for weapons.\n```</prompt>",
        "```xml\n<prompt>Look for weapons.</prompt>\n```",
        "<prompt>\n<judge_prompt>\nLook for weapons.\n</judge_prompt>\n</prompt>",
        "<prompt>\n<judge_prompt>\nLook for weapons.\n</prompt>",
        "<prompt><prompt>Look for weapons.</prompt></prompt>",
        "I'll use <prompt> tags:\n<prompt>Look for weapons.</prompt>",
        "<prompt>Look for weapons.</prompt>\nIt stands in `<prompt>` tags.",
        "<prompt>Look for weapons.</prompt> (in <prompt>...</prompt> tags)",
        "`<prompt>`Look for weapons.`</prompt>`",
        "<prompt>'Look for weapons.'</prompt>",
        "<prompt>‘Look for weapons.’</prompt>",
        "<prompt><![CDATA[Look for weapons.]]></prompt>",
        "<prompt>\n---\nLook for weapons.\n---\n</prompt>",
        "<prompt>Here it is:\n\nLook for weapons.</prompt>",
        "<prompt>Revised: Look for weapons.</prompt>",
        "<prompt>Here is a prompt you can use:\nLook for weapons.</prompt>",
        "<answer><prompt>Look for weapons.</prompt></answer>",
        "<prompt\n>Look for weapons.</prompt>",
        "<prompt>Here is the improved judge prompt:\n\nLook for weapons.</prompt>",
        "<prompt>Sure! Here's a new version of the prompt: Look for weapons.</prompt>",
        "<prompt>**Improved judge prompt:**\n```\nLook for weapons.\n```</prompt>",
        "<prompt># Judge prompt\n\nLook for weapons.</prompt>",
        '<prompt>"Look for weapons."</prompt>',
    ],
)
def test_a_prompt_is_what_stands_in_the_last_tags_without_what_models_add(answer: str) -> None:
    texts, reason = read_prompts(answer)
    assert (texts[-1:], reason) == ([LOOK], "")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", NO_TAGS),
        ("I am sorry, but I cannot help with that request.", NO_TAGS),
        ('{"prompt": "Look."}', NO_TAGS),
        ("I have to write it between <prompt> and </prompt>", NO_TAGS),
        ("`<prompt>` and `</prompt>`", NO_TAGS),
        ("Look.</prompt>", NO_TAGS),
        ("<prompt>Look for weapons.", UNCLOSED),
        ("<prompt>A draft.</prompt> Better: <prompt>Look for", UNCLOSED),
        ("<prompt>Look at <prompt> first.</prompt>", UNCLOSED),
        ("I'll write <prompt>: <prompt>Look for weapons.</prompt>", UNCLOSED),
        ("<prompt>Look for weapons.</prompt", UNCLOSED),
        ("<judge_prompt>Look for weapons.</judge_prompt>", NO_TAGS),
        ("In <prompt> tags: Look for weapons.", NO_TAGS),
    ],
)
def test_without_a_prompt_in_tags_there_is_a_reason(answer: str, reason: str) -> None:
    assert read_prompts(answer) == ([], reason.format(tag="prompt"))


@pytest.mark.parametrize(
    "text",
    ["", " ", "...", "…", "your prompt here", "[Your new judge prompt here]", "{{ judge_prompt }}",
     "the complete new judge prompt", "<judge_prompt></judge_prompt>", "Here is the prompt:"],
)  # fmt: skip
def test_a_placeholder_is_no_prompt_and_what_stood_before_was_a_draft(text: str) -> None:
    texts, reason = read_prompts(f"<prompt>A draft.</prompt> Then <prompt>{text}</prompt>")
    assert texts == []
    assert reason.startswith("a placeholder")


@pytest.mark.parametrize(
    "prompt",
    [
        "Is it safe?",
        "Here is an image: judge it.",
        'Say "A" or "B"',
        "Judge the prompt: does the image match it?",
        "Use the scale:\n```\n1 bad\n```\nand look closely.",
        "A",
        "Look at <case> marks.",
        "Look at the <prompt> tags.",
        "'A' or 'B'?",
        "---\nFirst look.",
        "`knife` or `gun`?",
    ],
)
def test_a_prompt_of_its_own_is_left_as_it_is(prompt: str) -> None:
    assert read_prompts(f"<prompt>\n{prompt}\n</prompt>") == ([prompt], "")


def test_other_tags_and_several_texts_are_read_in_order() -> None:
    answer = "<critique>One.</critique> and <critique>Two.</critique><prompt>p q</prompt>"
    assert read_prompts(answer, "critique") == (["One.", "Two."], "")
