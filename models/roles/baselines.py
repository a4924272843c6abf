"""What the baselines ask an optimizer LLM: propose from a history, criticize, edit, paraphrase.

Every function asks all its questions at once and gives the answers in their order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from .context import Context
from .optimizer import Answer, Case, PromptOptimizer, Proposal, Question, load_template


@dataclass(frozen=True, slots=True)
class TriedPrompt:
    """A judge prompt and the percentage of training examples that it judges right, rounded."""

    judge_prompt: str
    score: int


@dataclass(frozen=True, slots=True)
class Complaint:
    """A judge prompt and cases to criticize it by, or to edit it by under a critique of it."""

    judge_prompt: str
    cases: Sequence[Case]
    critiques: Sequence[str] = ()


def propose_judge_prompts(
    optimizer: PromptOptimizer,
    history: Sequence[TriedPrompt],
    cases: Sequence[Case],
    number: int,
    temperature: float,
) -> list[Proposal]:
    """As many draws of a new judge prompt, from scored ones in the order given."""
    template = load_template("propose_judge_prompt")
    meta_prompt = template.render(task=optimizer.task, history=history, cases=cases)
    taken = tuple(tried.judge_prompt for tried in history)
    questions = [
        Question(meta_prompt, draw, temperature, taken=taken, asks_again=False)
        for draw in range(number)
    ]
    return [answer.proposal for answer in optimizer.ask(questions)]


def criticize(
    optimizer: PromptOptimizer, context: Context, complaints: Sequence[Complaint]
) -> list[Answer]:
    """Why each judge prompt may have misjudged its cases."""
    return _ask(optimizer, context, "criticize_judge_prompt", complaints, "critique")


def edit(
    optimizer: PromptOptimizer, context: Context, complaints: Sequence[Complaint]
) -> list[Proposal]:
    """Each judge prompt mended after its critiques."""
    answers = _ask(optimizer, context, "edit_judge_prompt", complaints, "prompt")
    return [answer.proposal for answer in answers]


def criticize_on_cases(
    optimizer: PromptOptimizer, judge_prompt: str, cases: Sequence[Case]
) -> list[Answer]:
    """A criticism of the judge prompt by each case on its own, right or wrong."""
    template = load_template("criticize_on_case")
    questions = [
        Question(template.render(task=optimizer.task, judge_prompt=judge_prompt, cases=[case]))
        for case in cases
    ]
    return optimizer.ask(questions, "critique")


def paraphrase(
    optimizer: PromptOptimizer, judge_prompts: Sequence[str], number: int, temperature: float
) -> list[list[Proposal]]:
    """As many draws of a variation of each judge prompt."""
    template = load_template("paraphrase_judge_prompt")
    questions = [
        Question(
            template.render(judge_prompt=judge_prompt), draw, temperature, taken=(judge_prompt,)
        )
        for judge_prompt in judge_prompts
        for draw in range(number)
    ]
    answers = iter(optimizer.ask(questions))
    return [[next(answers).proposal for _ in range(number)] for _ in judge_prompts]


def _ask(
    optimizer: PromptOptimizer,
    context: Context,
    template: str,
    complaints: Sequence[Complaint],
    tag: str,
) -> list[Answer]:
    """Ask about the complaints whose cases fit; the others are answered by a failure."""
    questions = [_question(optimizer, context, template, complaint) for complaint in complaints]
    answers = iter(optimizer.ask([question for question in questions if question], tag))
    too_long = f"not one case fits into {context.num_tokens} tokens"
    return [next(answers) if question else optimizer.unasked(too_long) for question in questions]


def _question(
    optimizer: PromptOptimizer, context: Context, template: str, complaint: Complaint
) -> Question | None:
    """The question with as many of the cases, from the first on, as the context holds.

    None if it does not hold even one.
    """
    fewest = min(len(complaint.cases), 1)
    for number in range(len(complaint.cases), fewest - 1, -1):
        cases = complaint.cases[:number]
        images = tuple(image for case in cases for image in case.images)
        meta_prompt = load_template(template).render(
            task=optimizer.task,
            judge_prompt=complaint.judge_prompt,
            cases=cases,
            critiques=complaint.critiques,
            has_images=bool(images),
        )
        if context.holds(meta_prompt, images, optimizer.max_tokens):
            taken = (complaint.judge_prompt,) if template == "edit_judge_prompt" else ()
            return Question(meta_prompt, images=images, taken=taken)
    return None
