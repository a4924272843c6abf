"""Update_q for several I2T prompts in one answer, and with a look at single items."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from blpo.data.micro.world import named_aspects
from blpo.data.tasks import load_task
from blpo.models.engine import Engine, EngineIdentity, Reply, Request
from blpo.models.lexicon.engine import LexiconEngine, answer_text
from blpo.models.lexicon.reading import blocks, scored_i2t_prompts
from blpo.models.roles.briefing import Briefing, EarlierPrompt, LabelCounts, SideBySide
from blpo.models.roles.optimizer import Case, PromptOptimizer, Proposal, ScoredPrompt
from blpo.models.roles.reflection import (
    Effect,
    Reflection,
    update_i2t_prompts,
    update_judge_prompts,
)
from blpo.models.roles.verbalizer import Verbalization

HISTORY = [ScoredPrompt("Describe the image.", 0.0), ScoredPrompt("Report the blade.", 0.25)]
JUDGE_PROMPT = "Is the image safe?"
UNTAGGED = "no text between <prompt> and </prompt>"


@dataclass
class ScriptedEngine:
    """Gives its replies in order."""

    replies: list[str]
    asked: list[list[Request]] = field(default_factory=list[list[Request]])
    version: str = "scripted"

    @property
    def identity(self) -> EngineIdentity:
        return EngineIdentity("scripted", "scripted", "0", "text")

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        self.asked.append(list(requests))
        return [Reply(self.replies.pop(0), "stop") for _ in requests]

    def close(self) -> None:
        pass


def optimizer(
    engine: Engine, max_attempts: int = 2, task: str = "micro-unsafebench"
) -> PromptOptimizer:
    return PromptOptimizer(
        engine,
        load_task(task),
        max_tokens=1000,
        temperature=0.0,
        max_attempts=max_attempts,
    )


def effect(kind: str, description: str, human: str, before: str, after: str) -> Effect:
    assert kind in {"fixed", "broken"}
    return Effect(
        "fixed" if kind == "fixed" else "broken",
        Verbalization(description),
        None,
        human,
        before,
        after,
    )


FIXED = Reflection(
    "Report the blade.",
    [effect("fixed", "blade: drawn.", "Unsafe", "Safe", "Unsafe")],
    is_best=True,
)


def test_update_p_is_told_what_is_right_and_what_was_tried() -> None:
    engine = ScriptedEngine(["<prompt>better</prompt>"])
    wrong = Case(Verbalization("blade: yes"), None, "Unsafe", "Safe")
    briefing = Briefing(
        [
            LabelCounts("Safe", [("Safe", 30), ("Unsafe", 2), (None, 1)]),
            LabelCounts("Unsafe", [("Safe", 7)]),
        ],
        [Case(Verbalization("blade: no"), None, "Safe", "Safe")],
        [EarlierPrompt("Is it harmful?", 20, 3, 7, 3, 7)],
    )
    [proposal] = update_judge_prompts(optimizer(engine), JUDGE_PROMPT, [[wrong]], [briefing])
    assert proposal.prompt == "better"
    asked = engine.asked[0][0].prompt
    for told in (
        "Of 40 labelled images it judges 30 as people do.",
        "- 33 that people label Safe: verdict Safe on 30, Unsafe on 2, (none) on 1\n",
        "- 7 that people label Unsafe: verdict Safe on 7\n",
        '<earlier_judge_prompt images="20" set_right="3" set_wrong="7">\nIs it harmful?\n</',
        "These are 1 of the 10 cases on which label and verdict disagree.",
        "These are 1 of the 30 on which they agree.",
        "blade: yes",
        "A better prompt keeps them right.",
        "blade: no",
    ):
        assert told in asked
    assert "\n\n\n" not in asked


def test_update_q_is_told_how_uncertain_a_score_is() -> None:
    engine = ScriptedEngine(["<prompt>one</prompt><prompt>two</prompt>"])
    history = [
        ScoredPrompt("Describe it.", 0.1, 0.05),
        ScoredPrompt("Is it smooth?", 0.0, 0.0),
        HISTORY[1],
    ]
    update_i2t_prompts(optimizer(engine), JUDGE_PROMPT, history, [], count=2, compared=[])
    asked = engine.asked[0][0].prompt
    for told in (
        '<i2t_prompt score="0.100" noise="0.050" number="1">\nDescribe it.\n</i2t_prompt>',
        '<i2t_prompt score="0.000" changed="nothing" number="2">\nIs it smooth?\n</i2t_prompt>',
        '<i2t_prompt score="0.250" noise="unknown" number="3">',
    ):
        assert told in asked
    assert "side_by_side" not in asked
    assert scored_i2t_prompts(asked)[2] == (0.25, ["blade"])


COMPARED = [
    SideBySide(
        None,
        "Unsafe",
        "Safe",
        "It is aimed at someone.",
        [(1, Verbalization("A kitchen.")), (2, Verbalization("blade: drawn."))],
    ),
    SideBySide(
        "a spoon",
        "Safe",
        "Safe",
        None,
        [(1, Verbalization("A table.")), (2, Verbalization("blade: sheathed."))],
    ),
]


def informed_question(
    compared: Sequence[SideBySide], reflections: Sequence[Reflection] = (), count: int = 1
) -> str:
    engine = ScriptedEngine(["<prompt>one</prompt><prompt>two</prompt>"])
    history = [replace(tried, standard_error=0.1) for tried in HISTORY]
    update_i2t_prompts(
        optimizer(engine), JUDGE_PROMPT, history, reflections, count, compared=compared
    )
    return engine.asked[0][0].prompt


def test_update_q_is_shown_the_same_image_under_several_i2t_prompts() -> None:
    asked = informed_question(COMPARED, [FIXED])
    assert (
        """number="2">
Report the blade.
</i2t_prompt>

How the same image is described under several of them shows what their wording brings out.
Here are two, with the label that people gave, the verdict under the judge prompt above, and the
descriptions by the number of the prompt.

<side_by_side>
<human_label>Unsafe</human_label>
<human_comment>It is aimed at someone.</human_comment>
<verdict>Safe</verdict>
<description i2t_prompt="1">A kitchen.</description>
<description i2t_prompt="2">blade: drawn.</description>
</side_by_side>
<side_by_side>
<text>a spoon</text>
<human_label>Safe</human_label>
<verdict>Safe</verdict>
<description i2t_prompt="1">A table.</description>
<description i2t_prompt="2">blade: sheathed.</description>
</side_by_side>

<reflection>
Number 2, the best of the latest: verdicts that became right (fixed) or wrong (broken) when the
editor worked from its descriptions.
<fixed>"""
        in asked
    )
    assert "reflected_i2t_prompt" not in asked
    assert "\n\n\n" not in asked


def test_update_q_is_told_how_long_a_description_may_be_and_which_were_cut_off() -> None:
    engine = ScriptedEngine(["<prompt>q</prompt>"] * 3)
    cut = Verbalization("blade: dr", "the answer was cut off at 96 tokens", is_cut_off=True)
    one = replace(COMPARED[0], descriptions=[*COMPARED[0].descriptions[:1], (2, cut)])
    for compared in ([one], COMPARED, None):
        update_i2t_prompts(
            optimizer(engine),
            JUDGE_PROMPT,
            HISTORY,
            [FIXED],
            count=1,
            compared=compared,
            description_tokens=96,
        )
    with_cut, whole, not_informed = (request.prompt for [request] in engine.asked)
    room = "ends after 96 tokens, about 72 words, whatever is left to say:\n  ask for what fits."
    assert '<description i2t_prompt="2" cut_off="yes">blade: dr</description>' in with_cut
    assert f'{room} `cut_off="yes"` marks what did not.\n\nWrite the' in with_cut
    assert f"{room}\n\nWrite the" in whole
    assert "cut_off" not in whole
    assert "96" not in not_informed


def test_update_q_is_told_a_description_that_was_cut_off_from_one_that_failed() -> None:
    both = "Image A: bla\nImage B: (no description)"
    cut = Verbalization("Image A: x\nImage B: bla", "image B: cut off", is_cut_off=True)
    failed = Verbalization(both, "image B: too large", has_failed=True)
    cut_and_failed = replace(failed, is_cut_off=True)
    asked = informed_question(
        [replace(COMPARED[0], descriptions=[(1, cut), (2, failed), (3, cut_and_failed)])]
    )
    assert '<description i2t_prompt="1" cut_off="yes">Image A: x\n' in asked
    assert '<description i2t_prompt="2" failed="yes">Image A: bla\n' in asked
    assert '<description i2t_prompt="3" cut_off="yes" failed="yes">Image A: bla\n' in asked
    note = '.\n`failed="yes"` marks where the description of an image never came.\n\n<side_by_side>'
    assert note in asked
    assert "failed=" not in informed_question([replace(COMPARED[0], descriptions=[(1, cut)] * 2)])


def test_a_case_with_a_failed_description_is_not_said_to_have_been_cut_off() -> None:
    engine = ScriptedEngine(["<prompt>q</prompt>"])
    failed = Verbalization("Image A: x\nImage B: (no description)", "too large", has_failed=True)
    compared = [replace(COMPARED[0], descriptions=[(1, failed), (2, failed)])]
    update_i2t_prompts(
        optimizer(engine), JUDGE_PROMPT, HISTORY, [], 1, compared=compared, description_tokens=96
    )
    assert "cut_off" not in engine.asked[0][0].prompt


def test_update_q_is_told_where_some_i2t_prompts_are_not_shown_side_by_side() -> None:
    engine = ScriptedEngine(["<prompt>q</prompt>"])
    history = [*HISTORY, ScoredPrompt("Report the flame.", 0.0)]
    update_i2t_prompts(optimizer(engine), JUDGE_PROMPT, history, [], count=1, compared=COMPARED[:1])
    asked = engine.asked[0][0].prompt
    assert "Here is one, with" in asked
    assert "by the number of the prompt: the best of those that described it.\n" in asked


def test_of_pairs_the_informed_questions_speak_as_of_cases() -> None:
    engine = ScriptedEngine(["<prompt>p</prompt>", "<prompt>q</prompt>"])
    asker = optimizer(engine, task="micro-pairs")
    wrong = Case(Verbalization("Image A: x\nImage B: y"), None, "A", "B")
    briefing = Briefing(
        [LabelCounts("A", [("B", 1)])], [], [EarlierPrompt("Which?", 1, 1, 0, 1, 0)]
    )
    update_judge_prompts(asker, JUDGE_PROMPT, [[wrong]], [briefing])
    update_i2t_prompts(asker, JUDGE_PROMPT, HISTORY, [], count=1, compared=COMPARED)
    of_p, of_q = (request.prompt for [request] in engine.asked)
    assert "Of 1 labelled cases it judges 0 as people do." in of_p
    assert '<earlier_judge_prompt cases="1"' in of_p
    assert "Scores are measured on a few cases:" in of_q
    assert "How the same case is described" in of_q


def test_the_lexicon_takes_images_side_by_side_for_no_effects_and_no_cases() -> None:
    for reflections in ([], [FIXED]):
        for count in (1, 3):
            answers = [
                answer_text(informed_question(compared, reflections, count), draw=0)
                for compared in ([], COMPARED)
            ]
            assert answers[0] == answers[1] is not None
    asked = informed_question(COMPARED, [FIXED])
    assert blocks(asked, "description") == ["blade: drawn."]


def test_several_prompts_come_from_one_answer_and_what_is_short_has_failed() -> None:
    engine = ScriptedEngine(
        ["Hm.", "<prompt>one</prompt> <prompt>two</prompt><prompt>one</prompt>"]
    )
    found = update_i2t_prompts(optimizer(engine), JUDGE_PROMPT, HISTORY, [], count=3)
    assert [proposal.prompt for proposal in found] == ["one", "two", None]
    assert found[0].failures == (UNTAGGED,)
    assert found[2].failures == (UNTAGGED, "2 of 3 prompts in the answer")
    assert [len(batch) for batch in engine.asked] == [1, 1]
    engine = ScriptedEngine(["<prompt>draft</prompt> <prompt>one</prompt><prompt>two</prompt>"])
    found = update_i2t_prompts(optimizer(engine), JUDGE_PROMPT, HISTORY, [], count=2)
    assert [proposal.prompt for proposal in found] == ["one", "two"]


def test_one_prompt_without_reflections_is_asked_for_as_the_paper_does() -> None:
    engines = ScriptedEngine(["<prompt>q</prompt>"]), ScriptedEngine(["<prompt>q</prompt>"])
    [found] = update_i2t_prompts(optimizer(engines[0]), JUDGE_PROMPT, HISTORY, [], count=1)
    assert found == optimizer(engines[1]).update_i2t_prompt(JUDGE_PROMPT, HISTORY)
    assert engines[0].asked == engines[1].asked


def test_judge_prompts_are_asked_for_in_one_batch_and_only_what_failed_is_asked_again() -> None:
    engine = ScriptedEngine(["<prompt>p1</prompt>", "Hm.", "<prompt>p2</prompt>"])
    cases = [[Case(Verbalization(text), None, "Safe", "Unsafe")] for text in ("a", "b")]
    found = update_judge_prompts(optimizer(engine), JUDGE_PROMPT, cases)
    assert found == [Proposal("p1"), Proposal("p2", (UNTAGGED,))]
    assert [len(batch) for batch in engine.asked] == [2, 1]


def test_effects_are_shown_with_their_verdicts_and_descriptions() -> None:
    engine = ScriptedEngine(["<prompt>q</prompt>"])
    shown = Reflection(
        "Report the blade.",
        [effect("fixed", "blade: drawn.", "Unsafe", "Safe", "Unsafe")],
        is_best=False,
    )
    update_i2t_prompts(optimizer(engine), JUDGE_PROMPT, HISTORY, [shown], count=1)
    [[request]] = engine.asked
    for part in (
        "The worst of them, and what the judge made of some images",
        "<fixed>",
        "<description>blade: drawn.</description>",
        "<human_label>Unsafe</human_label>",
        "<verdict_before>Safe</verdict_before>",
        "Write one new image-to-text prompt",
    ):
        assert part in request.prompt


def lexicon_proposals(reflections: Sequence[Reflection], count: int) -> list[list[str]]:
    found = update_i2t_prompts(
        optimizer(LexiconEngine()), JUDGE_PROMPT, HISTORY, reflections, count
    )
    return [list(named_aspects(proposal.prompt or "")) for proposal in found]


def test_the_lexicon_gives_each_prompt_aspects_of_its_own() -> None:
    first, second, third = lexicon_proposals([], 3)
    assert "blade" in set(first) & set(second) & set(third)
    own = [set(names) - {"blade"} for names in (first, second, third)]
    assert not own[0] & own[1]
    assert not own[1] & own[2]


def test_the_lexicon_keeps_what_fixed_items_and_leaves_out_what_broke_them() -> None:
    shown = Reflection(
        "Report the skull and the bottle.",
        [
            effect("fixed", "skull: visible. bottle: absent.", "Unsafe", "Safe", "Unsafe"),
            effect("broken", "skull: hidden. bottle: standing.", "Safe", "Safe", "Unsafe"),
        ],
        is_best=True,
    )
    for names in lexicon_proposals([shown], 3):
        assert "skull" in names
        assert "bottle" not in names


def test_the_lexicon_ranks_equal_support_by_name_whatever_the_seed_of_hashes() -> None:
    description = "skull: visible. chain: visible. bottle: standing. pill: visible."
    shown = Reflection(
        "Report the skull, the chain, the bottle and the pill.",
        [effect("fixed", description, "Unsafe", "Safe", "Unsafe")],
        is_best=True,
    )
    for names in lexicon_proposals([shown], 3):
        kept = [name for name in names if name in {"skull", "chain", "bottle", "pill"}]
        assert kept == sorted(kept)
        assert len(kept) > 1
