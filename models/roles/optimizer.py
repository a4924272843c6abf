"""The prompt optimizer: Update_p (Eq 6) and Update_q (Eq 10) as questions to an optimizer LLM.

The meta-prompts are the templates in `prompts`; their answers are read by `replies`. A reply
without a usable answer is asked again under the next sample index, a configured number of times.
The questions of the baselines are in `baselines.py`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, meta

from ...data.errors import EngineError
from ...data.images import ImageRef
from ...data.tasks import Task
from ..engine import Engine, Reply, Request, Sampling
from ..replies.budget import ReplyBudget
from ..replies.prompt import read_prompts
from .verbalizer import Verbalization

PROPOSAL_TOKENS = 4096
_PROPOSAL = ReplyBudget(
    PROPOSAL_TOKENS,
    setting="optimizer.max_tokens",
    thinking_setting="optimizer.thinking_tokens",
)

_PLACEHOLDERS = {
    "update_judge_prompt": {"task", "judge_prompt", "cases"},
    "update_i2t_prompt": {"task", "judge_prompt", "history"},
    "update_i2t_prompts": {"task", "judge_prompt", "history", "reflections", "count"},
    "propose_judge_prompt": {"task", "history", "cases"},
    "criticize_judge_prompt": {"task", "judge_prompt", "cases", "has_images"},
    "criticize_on_case": {"task", "judge_prompt", "cases"},
    "edit_judge_prompt": {"task", "judge_prompt", "cases", "has_images", "critiques"},
    "paraphrase_judge_prompt": {"judge_prompt"},
}


@dataclass(frozen=True, slots=True)
class Case:
    """A judged example as the optimizer LLM sees it.

    verbalization: what it reads in place of the image. image: set where it sees the image itself,
    in place of a verbalization (Eq 5); image_b: the second one of a pair.
    """

    verbalization: Verbalization
    text: str | None
    human_label: str
    verdict: str | None
    image: ImageRef | None = None
    image_b: ImageRef | None = None

    @property
    def images(self) -> tuple[ImageRef, ...]:
        """What it sees of it, in order."""
        return tuple(image for image in (self.image, self.image_b) if image is not None)


@dataclass(frozen=True, slots=True)
class ScoredPrompt:
    """An I2T prompt of the history H_k with its score, Eq 9."""

    i2t_prompt: str
    score: float


@dataclass(frozen=True, slots=True)
class Proposal:
    """The optimizer's answer: a prompt, or None after as many failures as were allowed.

    failures: why each unusable reply was unusable, in the order asked.
    """

    prompt: str | None
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """A rendered meta-prompt, and which draw of its answer is wanted.

    temperature: None takes the optimizer's own. images: what the text calls image 1, 2, ...
    """

    meta_prompt: str
    draw: int = 0
    temperature: float | None = None
    images: tuple[ImageRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reply holds between the tags asked for, each in order; empty after all failures."""

    texts: tuple[str, ...]
    failures: tuple[str, ...] = ()

    @property
    def proposal(self) -> Proposal:
        """The last text: what comes before it is a draft."""
        return Proposal(self.texts[-1] if self.texts else None, self.failures)


class PromptOptimizer:
    """Asks an optimizer LLM for better prompts.

    thinking_tokens: on top of max_tokens for a thought; 0 for an engine that does not think.
    num_questions, num_failed: so far, and how many of them were never answered. num_replies,
    failures: replies so far, and the reasons of those that held nothing usable.
    """

    def __init__(
        self,
        engine: Engine,
        task: Task,
        *,
        max_tokens: int,
        temperature: float,
        max_attempts: int,
        thinking_tokens: int = 0,
    ) -> None:
        self.task = task
        self.num_questions = 0
        self.num_failed = 0
        self.num_repeats = 0
        self.num_replies = 0
        self.failures: Counter[str] = Counter()
        self._engine = engine
        self._budget = replace(_PROPOSAL, answer=max_tokens, thinking=thinking_tokens)
        self._temperature = temperature
        self._max_attempts = max_attempts

    @property
    def max_tokens(self) -> int:
        """Of a whole reply."""
        return self._budget.max_tokens

    def update_judge_prompt(self, judge_prompt: str, cases: Sequence[Case]) -> Proposal:
        """Update_p: a better judge prompt from judged examples seen through verbalizations."""
        template = load_template("update_judge_prompt")
        return self._propose(
            template.render(task=self.task, judge_prompt=judge_prompt, cases=cases)
        )

    def update_i2t_prompt(self, judge_prompt: str, history: Sequence[ScoredPrompt]) -> Proposal:
        """Update_q: a new I2T prompt from the judge prompt and the scored history."""
        template = load_template("update_i2t_prompt")
        return self._propose(
            template.render(task=self.task, judge_prompt=judge_prompt, history=history)
        )

    def ask(self, questions: Sequence[Question], tag: str = "prompt") -> list[Answer]:
        """Answers between <tag> and </tag>, in order; what fails is asked again, all at once."""
        failures: list[list[str]] = [[] for _ in questions]
        answers: dict[int, Answer] = {}
        for attempt in range(self._max_attempts):
            waiting = [i for i in range(len(questions)) if i not in answers]
            if not waiting:
                break
            replies = self._engine.ask([self._request(questions[i], attempt) for i in waiting])
            self.num_replies += len(replies)
            for i, reply in zip(waiting, replies, strict=True):
                texts, reason = parse_answers(reply, tag, self._budget)
                if texts:
                    answers[i] = Answer(tuple(texts), tuple(failures[i]))
                else:
                    failures[i].append(reason)
                    self.failures[reason] += 1
        self.num_questions += len(questions)
        self.num_failed += len(questions) - len(answers)
        return [answers.get(i, Answer((), tuple(failures[i]))) for i in range(len(questions))]

    def unasked(self, reason: str) -> Answer:
        """The answer to a question that cannot be asked; it counts as failed."""
        self.num_questions += 1
        self.num_failed += 1
        self.failures[reason] += 1
        return Answer((), (reason,))

    def _propose(self, meta_prompt: str) -> Proposal:
        [answer] = self.ask([Question(meta_prompt)])
        return answer.proposal

    def _request(self, question: Question, attempt: int) -> Request:
        temperature = self._temperature if question.temperature is None else question.temperature
        sample_index = question.draw * self._max_attempts + attempt
        sampling = Sampling(self.max_tokens, temperature, sample_index)
        return Request(
            question.meta_prompt,
            question.images[0] if question.images else None,
            sampling=sampling,
            further_images=question.images[1:],
        )


def parse_answers(
    reply: Reply, tag: str = "prompt", budget: ReplyBudget = _PROPOSAL
) -> tuple[list[str], str]:
    """What stands between pairs of <tag> tags in a complete answer; without any text there, why.

    budget: that the reply was asked for under.
    """
    if reply.finish_reason == "error":
        return [], f"error: {reply.error}"
    text = budget.read(reply)
    fault = budget.fault(text)
    return ([], fault) if fault else read_prompts(text.answer, tag)


def render_cases(cases: Sequence[Case]) -> str:
    """Cases as they stand in a meta-prompt."""
    return _environment().get_template("cases.txt").render(cases=cases)


@cache
def load_template(name: str) -> Template:
    """A meta-prompt template; its placeholders are checked here, values are filled in one pass.

    Raises EngineError if the template asks for anything but its known placeholders.
    """
    placeholders = _placeholders(f"{name}.txt")
    if placeholders != _PLACEHOLDERS[name]:
        raise EngineError(
            f"template {name}.txt has placeholders {sorted(placeholders)}, "
            f"expected {sorted(_PLACEHOLDERS[name])}"
        )
    return _environment().get_template(f"{name}.txt")


def _placeholders(file: str) -> set[str]:
    """Placeholders of a template and of those that it includes."""
    environment = _environment()
    assert environment.loader is not None
    source, _, _ = environment.loader.get_source(environment, file)
    tree = environment.parse(source)
    included = [name for name in meta.find_referenced_templates(tree) if name is not None]
    own = meta.find_undeclared_variables(tree)
    return own.union(*(_placeholders(name) for name in included))


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("blpo.models", "prompts"),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
    )
