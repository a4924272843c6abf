"""The optimizer stand-in behind the meta-prompts of the peer libraries.

`lexicon` reads most of them by itself (`models/lexicon/peers.py`). What is added here is what an
LLM would make of the three that have no counterpart among our own questions:
 - gepa's component `i2t`: an I2T prompt as for Update_q, from the one at hand without a score;
 - promptolution's first prompts from a task description: variations of the prompt that the
   description starts from, each with one or two aspects of the lexicon, as in OPRO without scores;
 - TextGrad's gradient for a verdict: the case, as it is handed on in the gradient for the prompt.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from blpo.data.tasks import Task
from blpo.models.engine import EngineIdentity, Reply, Request
from blpo.models.lexicon import baselines as lexicon_baselines
from blpo.models.lexicon.engine import LexiconEngine, answer_text, propose_i2t_prompt
from blpo.models.lexicon.reading import block
from blpo.models.roles.baselines import TriedPrompt
from blpo.models.roles.optimizer import Case, ScoredPrompt, load_template, render_cases

JUDGE_PROMPT_ROLE = "judge prompt: what a multimodal model is told to judge an image by"
"""The role by which TextGrad's prompts name the judge prompt."""
FIRST_PROMPT = "Start from this prompt:"
"""In a task description, the line before p_0."""

_ROLE = re.compile(r"give feedback to a variable with the following role: <ROLE> (.*?) </ROLE>")


def evidence(task: Task, cases: Sequence[Case]) -> str:
    """Judged examples in words, as every optimizer reads them, after the labels they can have."""
    return f"{labels_line(task)}\n{render_cases(cases)}"


def labels_line(task: Task) -> str:
    return f"The possible verdicts, in order: {', '.join(task.labels)}"


class PeerStandIn:
    """Contract: `Engine`. A prompt that is no peer's gets an error reply."""

    def __init__(self, task: Task) -> None:
        self._task = task
        source = Path(__file__).read_bytes() + LexiconEngine().identity.revision.encode()
        self._revision = hashlib.sha256(source).hexdigest()[:16]

    @property
    def version(self) -> str:
        return LexiconEngine().version

    @property
    def identity(self) -> EngineIdentity:
        """Another reader is another optimizer."""
        settings = f"peers/{self._task.name}"
        return EngineIdentity("lexicon", "lexicon", self._revision, "text", settings)

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        return [self._reply(request) for request in requests]

    def close(self) -> None:
        pass

    def _reply(self, request: Request) -> Reply:
        text = self._answer(request.prompt, request.sampling.sample_index)
        if text is None:
            return Reply("", "error", error=f"no peer's meta-prompt: {request.prompt[:200]!r}")
        num_read, num_written = len(request.prompt.split()), len(text.split())
        return Reply(text, "stop", prompt_tokens=num_read, completion_tokens=num_written)

    def _answer(self, prompt: str, draw: int) -> str | None:
        if prompt.startswith("I provided an assistant") and "<judge_prompt>" in prompt:
            return self._i2t_component(prompt, draw)
        if "create diverse system prompts" in prompt:
            return self._first_prompts(prompt, draw)
        role = _ROLE.search(prompt)
        if role is not None and role[1] != JUDGE_PROMPT_ROLE:
            return f"{labels_line(self._task)}\n<case>{block(prompt, 'case')}</case>"
        return answer_text(prompt, draw)

    def _i2t_component(self, prompt: str, draw: int) -> str:
        component = _between(prompt, "for me:\n```\n", "\n```\n")
        meta_prompt = load_template("update_i2t_prompt").render(
            task=self._task,
            judge_prompt=block(prompt, "judge_prompt"),
            history=[ScoredPrompt(component, 0.0)],
        )
        return f"```\n{propose_i2t_prompt(meta_prompt, draw)}\n```"

    def _first_prompts(self, prompt: str, draw: int) -> str:
        number = int(_between(prompt, "Create overall ", " prompts"))
        meta_prompt = load_template("propose_judge_prompt").render(
            task=self._task,
            history=[TriedPrompt(_between(prompt, f"{FIRST_PROMPT}\n", "\n"), 0)],
            cases=(),
        )
        draws = range(draw, draw + number)
        return json.dumps([lexicon_baselines.propose_judge_prompt(meta_prompt, n) for n in draws])


def _between(text: str, start: str, end: str) -> str:
    """What stands between two marks, the first time."""
    _, _, rest = text.partition(start)
    return rest.partition(end)[0].strip()
