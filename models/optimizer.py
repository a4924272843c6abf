"""The prompt optimizer: Update_p (Eq 6) and Update_q (Eq 10) as questions to an optimizer LLM.

The meta-prompts are the templates beside this file; the parser of their answers is here. A reply
without a usable prompt is asked again under the next sample index, a configured number of times.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from jinja2 import Environment, StrictUndefined, Template, meta

from ..data.errors import EngineError
from ..data.tasks import Task
from .engine import Engine, Reply, Request, Sampling
from .verbalizer import Verbalization

_ANSWER = re.compile(r"<prompt>(.*?)</prompt>", re.DOTALL)
_PLACEHOLDERS = {
    "update_judge_prompt": {"task", "judge_prompt", "cases"},
    "update_i2t_prompt": {"task", "judge_prompt", "history"},
}


@dataclass(frozen=True, slots=True)
class Case:
    """A judged example as the optimizer LLM sees it: never the image itself."""

    verbalization: Verbalization
    text: str | None
    human_label: str
    verdict: str | None


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


class PromptOptimizer:
    """Asks an optimizer LLM for better prompts."""

    def __init__(
        self, engine: Engine, task: Task, *, max_tokens: int, temperature: float, max_attempts: int
    ) -> None:
        self._engine = engine
        self._task = task
        self._max_tokens = max_tokens
        self._temperature = temperature
        self._max_attempts = max_attempts

    def update_judge_prompt(self, judge_prompt: str, cases: Sequence[Case]) -> Proposal:
        """Update_p: a better judge prompt from judged examples seen through verbalizations."""
        template = load_template("update_judge_prompt")
        return self._propose(
            template.render(task=self._task, judge_prompt=judge_prompt, cases=cases)
        )

    def update_i2t_prompt(self, judge_prompt: str, history: Sequence[ScoredPrompt]) -> Proposal:
        """Update_q: a new I2T prompt from the judge prompt and the scored history."""
        template = load_template("update_i2t_prompt")
        return self._propose(
            template.render(task=self._task, judge_prompt=judge_prompt, history=history)
        )

    def _propose(self, meta_prompt: str) -> Proposal:
        failures: list[str] = []
        for sample_index in range(self._max_attempts):
            sampling = Sampling(self._max_tokens, self._temperature, sample_index)
            [reply] = self._engine.ask([Request(meta_prompt, sampling=sampling)])
            prompt, reason = parse_proposal(reply)
            if prompt is not None:
                return Proposal(prompt, tuple(failures))
            failures.append(reason)
        return Proposal(None, tuple(failures))


def parse_proposal(reply: Reply) -> tuple[str | None, str]:
    """The prompt between the last pair of <prompt> tags, or None and the reason."""
    if reply.finish_reason == "error":
        return None, f"error: {reply.error}"
    if not reply.text.strip():
        return None, "empty"
    answers = [answer.strip() for answer in _ANSWER.findall(reply.text)]
    if answers and answers[-1]:
        return answers[-1], ""
    if reply.finish_reason == "length":
        return None, "truncated"
    return None, "unparsable"


@cache
def load_template(name: str) -> Template:
    """A meta-prompt template; its placeholders are checked here, values are filled in one pass.

    Raises EngineError if the template asks for anything but its known placeholders.
    """
    source = resources.files("blpo.models").joinpath(f"prompts/{name}.txt").read_text("utf-8")
    environment = Environment(undefined=StrictUndefined, autoescape=False, trim_blocks=True)
    placeholders = meta.find_undeclared_variables(environment.parse(source))
    if placeholders != _PLACEHOLDERS[name]:
        raise EngineError(
            f"template {name}.txt has placeholders {sorted(placeholders)}, "
            f"expected {sorted(_PLACEHOLDERS[name])}"
        )
    return environment.from_string(source)
