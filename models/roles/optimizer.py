"""The prompt optimizer: Update_p (Eq 6) and Update_q (Eq 10) as questions to an optimizer LLM.

The meta-prompts are the templates in `prompts`; their answers are read by `replies`. A reply
without a usable answer is asked again, a configured number of times, and never in the same way: at
temperature 0 the same question has the same answer. What only repeats a prompt is asked again once.
The questions of the baselines are in `baselines.py`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template, meta

from ...data.errors import EngineError
from ...data.image_names import image_names
from ...data.images import ImageRef
from ...data.tasks import Task
from ..engine import Engine, Reply, Request, Sampling
from ..replies.budget import ReplyBudget
from ..replies.prompt import read_prompts
from ..replies.repeat import repeated
from .verbalizer import Verbalization

PROPOSAL_TOKENS = 4096
RETRY_TEMPERATURE = 0.7
"""The least temperature of a question that is asked again."""

_ERROR = "error: "
_REMEDY = ": raise "
_REPEATED = "it repeats a prompt that is there already; write one that says something else"
_PROPOSAL = ReplyBudget(
    PROPOSAL_TOKENS,
    setting="optimizer.max_tokens",
    thinking_setting="optimizer.thinking_tokens",
)

_PLACEHOLDERS = {
    "update_judge_prompt": {"task", "judge_prompt", "cases"},
    "update_judge_prompt_informed": {"task", "judge_prompt", "cases", "briefing"},
    "update_i2t_prompt": {"task", "judge_prompt", "history"},
    "update_i2t_prompts": {
        "task",
        "judge_prompt",
        "history",
        "reflections",
        "count",
        "compared",
        "description_tokens",
    },
    "propose_judge_prompt": {"task", "history", "cases"},
    "criticize_judge_prompt": {"task", "judge_prompt", "cases", "has_images"},
    "criticize_on_case": {"task", "judge_prompt", "cases"},
    "edit_judge_prompt": {"task", "judge_prompt", "cases", "has_images", "critiques"},
    "paraphrase_judge_prompt": {"judge_prompt"},
    "ask_again": {"meta_prompt", "faults"},
}


@dataclass(frozen=True, slots=True)
class Case:
    """A judged example as the optimizer LLM sees it.

    verbalization: what it reads in place of the images. images: set where it sees them themselves,
    in place of a verbalization (Eq 5). comment: why annotators gave the human label.
    """

    verbalization: Verbalization
    text: str | None
    human_label: str
    verdict: str | None
    images: tuple[ImageRef, ...] = ()
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class ScoredPrompt:
    """An I2T prompt of the history H_k with its score, Eq 9.

    standard_error: of the score; None where Update_q is not told, or nothing was judged.
    """

    i2t_prompt: str
    score: float
    standard_error: float | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """The optimizer's answer: a prompt, or None after as many failures as were allowed.

    failures: why each unusable reply was unusable, in the order asked. repeats: prompts in its
    replies which were there already. is_repeat: `prompt` itself is one of these.
    """

    prompt: str | None
    failures: tuple[str, ...] = ()
    repeats: int = 0
    is_repeat: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """A rendered meta-prompt, and which draw of its answer is wanted.

    temperature: None takes the optimizer's own. images: what the text calls image 1, 2, ...
    taken: prompts of which a repetition is no answer. asks_again: whether one is asked again.
    count: of texts that are wanted, which are the last ones of an answer.
    """

    meta_prompt: str
    draw: int = 0
    temperature: float | None = None
    images: tuple[ImageRef, ...] = ()
    taken: tuple[str, ...] = ()
    asks_again: bool = True
    count: int = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reply holds between the tags asked for, each in order; empty after all failures.

    Of a question about taken prompts, these are the texts that are wanted, as they were taken where
    they repeat one. repeats, is_repeat: see `Proposal`; is_repeat: none of them is new.
    """

    texts: tuple[str, ...]
    failures: tuple[str, ...] = ()
    repeats: int = 0
    is_repeat: bool = False

    @property
    def proposal(self) -> Proposal:
        """The last text: what comes before it is a draft."""
        prompt = self.texts[-1] if self.texts else None
        return Proposal(prompt, self.failures, self.repeats, self.is_repeat)


@dataclass(slots=True)
class _Asked:
    """A question on its way to an answer.

    faults: of each reply so far, in words for the model. repeat: the texts of one that repeated.
    """

    question: Question
    asks_again: bool
    answer: Answer | None = None
    failures: list[str] = field(default_factory=list[str])
    faults: list[str] = field(default_factory=list[str])
    num_repeats: int = 0
    repeat: tuple[str, ...] = ()
    is_given_up: bool = False

    @property
    def is_open(self) -> bool:
        return self.answer is None and not self.is_given_up

    @property
    def settled(self) -> Answer:
        """The answer, or what stands for one where none came."""
        return self.answer or self._answer(self.repeat, is_repeat=bool(self.repeat))

    def fail(self, reason: str, *, is_final: bool) -> None:
        self.failures.append(reason)
        has_come = not reason.startswith(_ERROR)
        self.faults.append(reason.split(_REMEDY, maxsplit=1)[0] if has_come else "none came")
        self.is_given_up = is_final

    def take(self, texts: Sequence[str]) -> None:
        """Texts are the answer unless they only repeat what was taken, the first time."""
        question = self.question
        if not question.taken:
            self.answer = self._answer(texts, is_repeat=False)
            return
        distinct = _distinct(texts) if question.count > 1 else texts
        wanted = distinct[-question.count :]
        same = [repeated(text, question.taken) for text in wanted]
        known = tuple(old or text for old, text in zip(same, wanted, strict=True))
        self.num_repeats += sum(old is not None for old in same)
        if None in same:
            self.answer = self._answer(known, is_repeat=False)
            return
        self.faults.append(_REPEATED)
        if self.repeat or not self.asks_again:
            self.answer = self._answer(known, is_repeat=True)
        self.repeat = known

    def _answer(self, texts: Sequence[str], *, is_repeat: bool) -> Answer:
        return Answer(tuple(texts), tuple(self.failures), self.num_repeats, is_repeat)


def _distinct(texts: Sequence[str]) -> list[str]:
    """Texts without those that repeat one before them."""
    found: list[str] = []
    for text in texts:
        if repeated(text, found) is None:
            found.append(text)
    return found


class PromptOptimizer:
    """Asks an optimizer LLM for better prompts.

    thinking_tokens: on top of max_tokens for a thought; 0 for an engine that does not think.
    asks_again: about what was repeated; a program would repeat itself.
    first_draw: the number of draw 0, by which optimizers that are asked alike are told apart.
    num_questions, num_failed, num_repeated: so far, and how many of them were never answered, or
    with nothing but a prompt that was there. num_replies, failures, num_repeats: replies so far,
    the reasons of those that held nothing usable, and how many prompts in them were there already.
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
        asks_again: bool = True,
        first_draw: int = 0,
    ) -> None:
        self.task = task
        self.num_questions = 0
        self.num_failed = 0
        self.num_repeated = 0
        self.num_repeats = 0
        self.num_replies = 0
        self.failures: Counter[str] = Counter()
        self._engine = engine
        self._budget = replace(_PROPOSAL, answer=max_tokens, thinking=thinking_tokens)
        self._temperature = temperature
        self._max_attempts = max_attempts
        self._asks_again = asks_again
        self._first_draw = first_draw

    @property
    def max_tokens(self) -> int:
        """Of a whole reply."""
        return self._budget.max_tokens

    def update_judge_prompt(self, judge_prompt: str, cases: Sequence[Case]) -> Proposal:
        """Update_p: a better judge prompt from judged examples seen through verbalizations."""
        template = load_template("update_judge_prompt")
        return self._propose(
            template.render(task=self.task, judge_prompt=judge_prompt, cases=cases),
            [judge_prompt],
        )

    def update_i2t_prompt(
        self, judge_prompt: str, history: Sequence[ScoredPrompt], draw: int = 0
    ) -> Proposal:
        """Update_q: a new I2T prompt from the judge prompt and the scored history."""
        template = load_template("update_i2t_prompt")
        return self._propose(
            template.render(task=self.task, judge_prompt=judge_prompt, history=history),
            [tried.i2t_prompt for tried in history],
            draw,
        )

    def ask(self, questions: Sequence[Question], tag: str = "prompt") -> list[Answer]:
        """Answers between <tag> and </tag>, in order; what fails is asked again, all at once.

        What an engine refuses is not asked again: it would be refused again.
        """
        asked = [
            _Asked(question, asks_again=self._asks_again and question.asks_again)
            for question in questions
        ]
        for attempt in range(self._max_attempts):
            waiting = [one for one in asked if one.is_open]
            if not waiting:
                break
            replies = self._engine.ask([self._request(one, attempt) for one in waiting])
            self.num_replies += len(replies)
            for one, reply in zip(waiting, replies, strict=True):
                self._read(one, reply, tag)
        answers = [one.settled for one in asked]
        self.num_questions += len(answers)
        self.num_failed += sum(not answer.texts for answer in answers)
        self.num_repeated += sum(answer.is_repeat for answer in answers)
        self.num_repeats += sum(answer.repeats for answer in answers)
        return answers

    def unasked(self, reason: str) -> Answer:
        """The answer to a question that cannot be asked; it counts as failed."""
        self.num_questions += 1
        self.num_failed += 1
        self.failures[reason] += 1
        return Answer((), (reason,))

    def _propose(self, meta_prompt: str, taken: Iterable[str], draw: int = 0) -> Proposal:
        [answer] = self.ask([Question(meta_prompt, draw, taken=tuple(taken))])
        return answer.proposal

    def _read(self, one: _Asked, reply: Reply, tag: str) -> None:
        texts, reason = parse_answers(reply, tag, self._budget)
        if texts:
            one.take(texts)
            return
        is_refused = reply.finish_reason == "error" and reply.error_kind != "transient"
        one.fail(reason, is_final=is_refused)
        self.failures[reason] += 1

    def _request(self, one: _Asked, attempt: int) -> Request:
        """The first retry is another draw; the next one, and one after a repeat, says why."""
        question, meta_prompt = one.question, one.question.meta_prompt
        temperature = self._temperature if question.temperature is None else question.temperature
        if attempt:
            temperature = max(temperature, RETRY_TEMPERATURE)
        if attempt > 1 or one.num_repeats:
            template = load_template("ask_again")
            meta_prompt = template.render(meta_prompt=meta_prompt, faults=one.faults)
        sample_index = (self._first_draw + question.draw) * self._max_attempts + attempt
        sampling = Sampling(self.max_tokens, temperature, sample_index)
        return Request(
            meta_prompt,
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
        return [], f"{_ERROR}{reply.error}"
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
    own = meta.find_undeclared_variables(tree) - environment.globals.keys()
    return own.union(*(_placeholders(name) for name in included))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("blpo.models", "prompts"),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
    )
    known: dict[str, Any] = environment.globals
    known["image_names"] = image_names
    return environment
