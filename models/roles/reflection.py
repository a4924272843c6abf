"""Questions to the optimizer LLM that go beyond the paper's: several at once, and reflective ones.

Update_q can be asked for several I2T prompts in one answer, and can be shown what became of
single items under those tried before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .briefing import Briefing, SideBySide
from .optimizer import Case, PromptOptimizer, Proposal, Question, ScoredPrompt, load_template
from .verbalizer import Verbalization


@dataclass(frozen=True, slots=True)
class Effect:
    """An item whose verdict p' changed for the better or the worse.

    verbalization: under the I2T prompt that led to p'. before, after: the verdicts of p and p'.
    comment: as of a case.
    """

    kind: Literal["fixed", "broken"]
    verbalization: Verbalization
    text: str | None
    human_label: str
    before: str | None
    after: str | None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Reflection:
    """The best or the worst I2T prompt that was tried, with some of its effects."""

    i2t_prompt: str
    effects: Sequence[Effect]
    is_best: bool


def update_judge_prompts(
    optimizer: PromptOptimizer,
    judge_prompt: str,
    cases: Sequence[Sequence[Case]],
    briefings: Sequence[Briefing] = (),
) -> list[Proposal]:
    """Update_p on each of some sets of cases, in order; one batch.

    briefings: one for each set, or none at all, which is the paper's way.
    """
    shared = {"task": optimizer.task, "judge_prompt": judge_prompt}
    if briefings:
        template = load_template("update_judge_prompt_informed")
        rendered = [
            template.render(shared, cases=some, briefing=briefing)
            for some, briefing in zip(cases, briefings, strict=True)
        ]
    else:
        template = load_template("update_judge_prompt")
        rendered = [template.render(shared, cases=some) for some in cases]
    questions = [Question(text, taken=(judge_prompt,)) for text in rendered]
    return [answer.proposal for answer in optimizer.ask(questions)]


def update_i2t_prompts(
    optimizer: PromptOptimizer,
    judge_prompt: str,
    history: Sequence[ScoredPrompt],
    reflections: Sequence[Reflection],
    count: int,
    draw: int = 0,
    compared: Sequence[SideBySide] | None = None,
    description_tokens: int | None = None,
) -> list[Proposal]:
    """Update_q for `count` new I2T prompts in one answer, with a look at single items.

    reflections: on the best and on the worst I2T prompt so far, or none. compared: examples under
    several I2T prompts; None, unlike none of them, also leaves out how uncertain a score is and
    description_tokens, the most of an image's description. Of more prompts than were asked for the
    first are drafts; one that the answer falls short of is a failed proposal. One prompt with
    neither is asked for in the paper's way.
    """
    if count == 1 and not reflections and compared is None:
        return [optimizer.update_i2t_prompt(judge_prompt, history, draw)]
    meta_prompt = load_template("update_i2t_prompts").render(
        task=optimizer.task,
        judge_prompt=judge_prompt,
        history=history,
        reflections=reflections,
        count=count,
        compared=compared,
        description_tokens=description_tokens,
    )
    taken = tuple(tried.i2t_prompt for tried in history)
    [answer] = optimizer.ask([Question(meta_prompt, draw, taken=taken, count=count)])
    prompts = list(dict.fromkeys(answer.texts))[-count:]  # two may repeat the same one
    short = Proposal(None, (*answer.failures, f"{len(prompts)} of {count} prompts in the answer"))
    proposals = [
        Proposal(prompt, answer.failures, answer.repeats, is_repeat=prompt in taken)
        for prompt in prompts
    ]
    return [*proposals, *[short] * (count - len(prompts))]
