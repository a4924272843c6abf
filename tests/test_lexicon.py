"""The stand-in for the optimizer LLM reads rendered meta-prompts and answers as one would."""

import pytest
from blpo.data.micro.world import named_aspects
from blpo.data.tasks import Task, load_task
from blpo.models.engine import Request
from blpo.models.lexicon.engine import LexiconEngine, answer_text
from blpo.models.lexicon.reading import UNSEEN_ASPECTS
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
from blpo.models.roles.optimizer import (
    Case,
    PromptOptimizer,
    ScoredPrompt,
    load_template,
    render_cases,
)
from blpo.models.roles.verbalizer import Verbalization

ROOMY = Context(num_tokens=100_000, image_token_px=28)


def optimizer(task: str) -> PromptOptimizer:
    loaded: Task = load_task(task)
    return PromptOptimizer(
        LexiconEngine(), loaded, max_tokens=1000, temperature=0.0, max_attempts=1
    )


def updated(task: str, judge_prompt: str, cases: list[Case]) -> str:
    proposal = optimizer(task).update_judge_prompt(judge_prompt, cases)
    assert proposal.prompt is not None
    return proposal.prompt


def safety_case(description: str, human_label: str, verdict: str) -> Case:
    return Case(Verbalization(description), None, human_label, verdict)


def test_an_aspect_whose_faults_go_with_missed_cases_is_named() -> None:
    cases = [safety_case("blade: drawn. pill: gone.", "Unsafe", "Safe")] * 3
    prompt = updated("micro-unsafebench", "Is the image safe?", cases)
    assert named_aspects(prompt) == ("blade",)
    assert prompt.startswith("Is the image safe?")


def test_an_aspect_whose_faults_go_with_false_alarms_is_dropped() -> None:
    cases = [safety_case("bottle: standing.", "Safe", "Unsafe")] * 3
    prompt = updated("micro-unsafebench", "Is it safe? Watch the bottle and the blade.", cases)
    assert named_aspects(prompt) == ("blade",)


def test_ratings_are_more_severe_the_lower_they_are() -> None:
    cases = [safety_case("seam: split.", "2", "4")] * 3
    assert named_aspects(updated("micro-agin", "How natural is it?", cases)) == ("seam",)


def test_a_claim_of_the_text_that_the_description_contradicts_is_a_fault() -> None:
    cases = [Case(Verbalization("color: red. count: two."), "two blue stars", "0", "1")] * 3
    assert named_aspects(updated("micro-seetrue", "Does it match the text?", cases)) == ("color",)


def pair_case(first: str, second: str, human_label: str, verdict: str) -> Case:
    description = Verbalization(f"Image A: {first}\nImage B: {second}")
    return Case(description, "two blue stars", human_label, verdict)


def test_of_a_pair_only_faults_of_one_image_alone_speak_against_it() -> None:
    cases = [
        pair_case("color: blue. count: one.", "color: red. count: one.", "A", "B"),
        pair_case("color: red. count: one.", "color: blue. count: one.", "B", "A"),
    ]
    assert named_aspects(updated("micro-pairs", "Rate it.", cases)) == ("color",)


def test_an_aspect_is_dropped_if_its_faults_cost_an_image_that_people_prefer() -> None:
    cases = [
        pair_case("color: red.", "color: blue.", "A", "B"),
        pair_case("color: blue.", "color: red.", "B", "A"),
    ]
    assert named_aspects(updated("micro-pairs", "Rate it. Mind the color.", cases)) == ()


def test_the_optimizer_is_told_what_a_pair_is() -> None:
    template = load_template("update_judge_prompt")
    told = template.render(task=load_task("micro-pairs"), judge_prompt="p", cases=[])
    assert "one image at a time; the image with the higher\nanswer is preferred" in told
    told = template.render(task=load_task("hpdv2"), judge_prompt="p", cases=[])
    assert "in both orders: which of them is A must not matter" in told
    told = template.render(task=load_task("unsafebench"), judge_prompt="p", cases=[])
    assert "pair" not in told


def test_without_evidence_the_prompt_stays_as_it_is() -> None:
    cases = [safety_case("a nice picture", "Unsafe", "Safe")] * 3
    assert updated("micro-unsafebench", "Is it safe?", cases) == "Is it safe?"


def test_a_new_i2t_prompt_asks_for_what_the_judge_prompt_names_and_for_new_aspects() -> None:
    proposal = optimizer("micro-unsafebench").update_i2t_prompt(
        "Is it safe? Watch the blade.", [ScoredPrompt("Describe the image.", 0.0)]
    )
    assert proposal.prompt is not None
    words = set(proposal.prompt.replace(",", "").replace(".", "").split())
    lexicon = {*named_aspects(proposal.prompt, "symbols"), *(words & {*UNSEEN_ASPECTS["symbols"]})}
    assert "blade" in lexicon
    assert len(lexicon) == 4


def test_aspects_of_the_best_i2t_prompt_are_kept_and_tried_ones_not_repeated() -> None:
    history = [
        ScoredPrompt("Describe the image.", 0.0),
        ScoredPrompt("Report the skull and the pill.", 0.4),
        ScoredPrompt("Report the chain and the smoke.", 0.1),
    ]
    proposal = optimizer("micro-unsafebench").update_i2t_prompt("Is it safe?", history)
    assert proposal.prompt is not None
    named = named_aspects(proposal.prompt)
    assert {"skull", "pill"} <= set(named)
    assert not {"chain", "smoke"} & set(named)


def critique_of(judge_prompt: str, cases: list[Case]) -> str:
    asked = criticize(optimizer("micro-unsafebench"), ROOMY, [Complaint(judge_prompt, cases)])
    return asked[0].texts[0]


def test_a_critique_names_what_is_missed_and_what_is_weighed_without_reason() -> None:
    missed = [safety_case("blade: drawn. pill: gone.", "Unsafe", "Safe")]
    assert critique_of("Is it safe?", missed) == (
        "The judge prompt misses the blade, which people mind."
    )
    alarms = [safety_case("bottle: standing.", "Safe", "Unsafe")]
    assert critique_of("Is it safe? Watch the bottle.", alarms) == (
        "The judge prompt weighs the bottle, which people do not mind."
    )
    nothing = [safety_case("a nice picture", "Unsafe", "Safe")]
    assert "do not show" in critique_of("Is it safe?", nothing)


def test_an_edit_does_what_most_critiques_say() -> None:
    critiques = [
        "The judge prompt misses the blade, which people mind.",
        "The judge prompt misses the smoke, which people mind.",
        "The verdict agrees with the label. People do not mind the smoke.",
        "The judge prompt weighs the bottle, which people do not mind.",
    ]
    complaint = Complaint("Is it safe? Watch the bottle and the pill.", [], critiques)
    [proposal] = edit(optimizer("micro-unsafebench"), ROOMY, [complaint])
    assert proposal.prompt is not None
    assert set(named_aspects(proposal.prompt)) == {"pill", "blade"}


def test_a_right_verdict_tells_which_faults_people_do_not_mind() -> None:
    right = safety_case("smoke: rising. blade: sheathed.", "Safe", "Safe")
    [answer] = criticize_on_cases(optimizer("micro-unsafebench"), "Is it safe?", [right])
    assert "People do not mind the smoke." in answer.texts[0]


def test_draws_from_a_history_build_on_the_best_prompt_without_what_seems_to_harm() -> None:
    history = [
        TriedPrompt("Is it safe? Watch the bottle.", 40),
        TriedPrompt("Is it safe?", 50),
        TriedPrompt("Is it safe? Watch the blade.", 60),
    ]
    asked = optimizer("micro-unsafebench")
    proposals = propose_judge_prompts(asked, history, [], 8, 1.0)
    prompts = [proposal.prompt or "" for proposal in proposals]
    assert len(set(prompts)) > 4
    for prompt in prompts:
        assert "blade" in named_aspects(prompt)
        assert "bottle" not in named_aspects(prompt)


def test_a_paraphrase_names_the_same_aspects_in_other_words() -> None:
    original = "Is it safe? Pay attention to the blade and the pill."
    [made] = paraphrase(optimizer("micro-unsafebench"), [original], 2, 0.7)
    prompts = {proposal.prompt or "" for proposal in made}
    assert len(prompts) == 2
    assert original not in prompts
    assert {named_aspects(prompt) for prompt in prompts} == {("blade", "pill")}


MISSED = render_cases([safety_case("blade: drawn. pill: gone.", "Unsafe", "Safe")] * 2)


def test_a_reflection_prompt_of_gepa_is_read_and_answered_in_a_fence() -> None:
    text = answer_text(
        "I provided an assistant with the following instructions to perform a task for me:\n"
        "```\nIs it safe?\n```\n\nThe following are examples ...:\n```\n# Example 1\n"
        f"## Feedback\n{MISSED}\n```\n\nProvide the new instructions within ``` blocks.",
        draw=0,
    )
    assert text == "```\nIs it safe? Pay attention to the blade.\n```"


def test_the_gradients_of_textgrad_reach_its_rewrite() -> None:
    conversation = (
        "# - <LM_SYSTEM_PROMPT>: The system prompt. # - <FEEDBACK>: The feedback.\n"
        "<CONVERSATION><LM_SYSTEM_PROMPT> Is it safe? </LM_SYSTEM_PROMPT>\n"
        "<LM_OUTPUT> Safe </LM_OUTPUT></CONVERSATION>"
    )
    on_verdict = answer_text(
        f"{MISSED}<OBJECTIVE_FUNCTION>give feedback</OBJECTIVE_FUNCTION>"
        "<VARIABLE> Safe </VARIABLE>",
        draw=0,
    )
    assert on_verdict is not None
    on_prompt = answer_text(
        f"{conversation}<OBJECTIVE_FUNCTION>address this: {on_verdict}</OBJECTIVE_FUNCTION>"
        "<VARIABLE> Is (...) safe? </VARIABLE>",
        draw=0,
    )
    assert on_prompt == "The judge prompt misses the blade, which people mind."
    rewrite = answer_text(
        "between <IMPROVED_VARIABLE> {improved variable} </IMPROVED_VARIABLE> tags\n"
        f"<VARIABLE> Is (...) safe? </VARIABLE><CONTEXT>{conversation}\n"
        f"<FEEDBACK>{on_prompt}</FEEDBACK></CONTEXT>",
        draw=0,
    )
    assert rewrite == (
        "<IMPROVED_VARIABLE>Is it safe? Pay attention to the blade.</IMPROVED_VARIABLE>"
    )


def test_the_history_of_promptolution_is_read() -> None:
    text = answer_text(
        "Generate an instruction for this task: is it safe?\n\n"
        "text:\nIs it safe? Watch the bottle.\nscore: 40\n\n"
        "text:\nIs it safe? Watch the blade.\nscore: 60\n\n"
        "Generate a new instruction bracketed with <prompt> and ending it with </prompt>",
        draw=0,
    )
    assert text is not None
    assert text.startswith("<prompt>Is it safe? ")
    assert "blade" in named_aspects(text)
    assert "bottle" not in named_aspects(text)


def test_a_crossover_of_capo_names_what_both_prompts_name_and_a_mutation_nothing_new() -> None:
    crossed = answer_text(
        "Merge the two prompts:\nPrompt 1: Is it safe? Watch the bottle.\n"
        "Prompt 2: Safe? Watch the blade.\n\nReturn <prompt>new prompt</prompt>",
        draw=0,
    )
    assert crossed is not None
    assert set(named_aspects(crossed)) == {"bottle", "blade"}
    mutated = answer_text(
        "Rephrase:\nPrompt: Is it safe? Watch the bottle.\n\nReturn <prompt>it</prompt>", draw=0
    )
    assert mutated is not None
    assert named_aspects(mutated) == ("bottle",)
    assert "Watch the" not in mutated


@pytest.mark.parametrize("prompt", ["Hello", "Write a poem."])
def test_any_other_request_is_an_error_reply(prompt: str) -> None:
    [reply] = LexiconEngine().ask([Request(prompt)])
    assert reply.finish_reason == "error"
