"""The optimizer stand-in behind the meta-prompts of the peer libraries.

`lexicon` reads our own meta-prompts. This engine reads a peer's as the peer renders it: it finds
the current prompt, the scored history and the cases in it, puts the same question in our words to
lexicon, and gives its answer in the format that the peer asks for. It knows nothing else, and
lexicon stays as it is: all methods face the same optimizer.

What an LLM would do and lexicon has no question for:
 - merging two prompts (CAPO): the first, naming what either names;
 - first prompts from a task description (promptolution): variations of the one that the
   description starts from, each with one or two aspects of the lexicon, as in OPRO without scores;
 - a gradient for the judge's verdict (TextGrad): the case, as it is handed on in the next prompt.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from blpo.data.tasks import Task
from blpo.models import baseline_questions as questions
from blpo.models.baseline_questions import Complaint, TriedPrompt
from blpo.models.context import Context
from blpo.models.engine import EngineIdentity, Reply, Request
from blpo.models.lexicon import LexiconEngine
from blpo.models.lexicon_reading import block, blocks, lexicon_words, with_aspects
from blpo.models.optimizer import (
    Answer,
    Case,
    PromptOptimizer,
    Question,
    ScoredPrompt,
    load_template,
)
from blpo.models.verbalizer import Verbalization

JUDGE_PROMPT_ROLE = "judge prompt: what a multimodal model is told to judge an image by"
"""The role by which TextGrad's prompts name the judge prompt."""
FIRST_PROMPT = "Start from this prompt:"
"""In a task description, the line before p_0."""
AFTER_SYSTEM_PROMPT = "\n\n=== end of system prompt ===\n\n"
"""Between a system prompt and what follows it."""

_MAX_TOKENS = 4096
_CONTEXT = Context(32768, 28)
_CASE_TAGS = ("text", "description", "human_label", "verdict")


def case_block(case: Case) -> str:
    """A judged example in words, as every optimizer reads it."""
    values = (case.text, case.verbalization and case.verbalization.text, case.human_label)
    told = zip(_CASE_TAGS, (*values, case.verdict or "(no verdict)"), strict=True)
    lines = [f"<{tag}>{value}</{tag}>" for tag, value in told if value is not None]
    return "\n".join(["<case>", *lines, "</case>"])


def read_cases(text: str) -> list[Case]:
    """The cases in a text, each once."""
    return [_read_case(found) for found in dict.fromkeys(blocks(text, "case"))]


def _read_case(found: str) -> Case:
    text, verdict = block(found, "text") or None, block(found, "verdict")
    described = Verbalization(block(found, "description"))
    return Case(described, text, block(found, "human_label"), verdict)


class PeerStandIn:
    """Contract: `Engine`. A prompt that is no peer's gets an error reply."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._lexicon = LexiconEngine()

    @property
    def version(self) -> str:
        return self._lexicon.version

    @cached_property
    def identity(self) -> EngineIdentity:
        """Another reader is another optimizer."""
        source = Path(__file__).read_bytes() + self._lexicon.identity.revision.encode()
        revision = hashlib.sha256(source).hexdigest()[:16]
        return EngineIdentity("lexicon", "lexicon", revision, "text", f"peers/{self._task.name}")

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
        """The answer to whichever peer's prompt this is, told by the words of its template."""
        if prompt.startswith("I provided an assistant with the following instructions"):
            return self._gepa(prompt)
        if "Below are some previous instructions with their scores" in prompt:
            return self._opro(prompt, draw)
        if "Please merge the two prompts" in prompt:
            return self._merge(prompt)
        if "Please rephrase the prompt" in prompt:
            return self._rephrase(prompt, draw)
        if "create diverse system prompts" in prompt:
            return self._first_prompts(prompt)
        _, found, body = prompt.partition(AFTER_SYSTEM_PROMPT)
        return self._textgrad(body) if found else None

    # -- gepa

    def _gepa(self, prompt: str) -> str:
        """The component is the I2T prompt where the rows hold a judge prompt beside the cases."""
        component = _between(prompt, "for me:\n```\n", "\n```\n")
        cases, judge_prompt = read_cases(prompt), block(prompt, "judge_prompt")
        if judge_prompt:
            history = [ScoredPrompt(component, 0.0)]
            proposal = self._optimizer.update_i2t_prompt(judge_prompt, history)
        else:
            proposal = self._optimizer.update_judge_prompt(component, cases)
        return f"```\n{proposal.prompt or component}\n```"

    # -- promptolution

    def _opro(self, prompt: str, draw: int) -> str:
        scored = re.findall(r"text:\n(.*?)\nscore: (\d+)\n\n", prompt, re.DOTALL)
        history = [TriedPrompt(text, int(score)) for text, score in scored]
        return f"<prompt>{self._propose(history, draw)}</prompt>"

    def _merge(self, prompt: str) -> str:
        mother = _between(prompt, "\nPrompt 1: ", "\nPrompt 2: ")
        father = _between(prompt, "\nPrompt 2: ", "\n\nReturn the new prompt")
        named = dict.fromkeys([*lexicon_words(mother), *lexicon_words(father)])
        return f"<prompt>{with_aspects(mother, list(named))}</prompt>"

    def _rephrase(self, prompt: str, draw: int) -> str:
        judge_prompt = _between(prompt, "\nPrompt: ", "\n\nReturn the new prompt")
        meta_prompt = load_template("paraphrase_judge_prompt").render(judge_prompt=judge_prompt)
        return f"<prompt>{self._prompt(meta_prompt, draw) or judge_prompt}</prompt>"

    def _first_prompts(self, prompt: str) -> str:
        first = _between(prompt, f"{FIRST_PROMPT}\n", "\n")
        number = int(_between(prompt, "Create overall ", " prompts"))
        return json.dumps([self._propose([TriedPrompt(first, 0)], draw) for draw in range(number)])

    # -- TextGrad

    def _textgrad(self, body: str) -> str | None:
        """A gradient for the verdict, a gradient for the judge prompt, or the step."""
        judge_prompt = _between(body, "<LM_SYSTEM_PROMPT> ", " </LM_SYSTEM_PROMPT>")
        if "Improve the variable" in body:
            critiques = blocks(body, "FEEDBACK")
            [edit] = questions.edit(
                self._optimizer, _CONTEXT, [Complaint(judge_prompt, (), critiques)]
            )
            return f"<IMPROVED_VARIABLE>{edit.prompt or judge_prompt}</IMPROVED_VARIABLE>"
        cases = read_cases(body)[:1]
        if f"the following role: <ROLE> {JUDGE_PROMPT_ROLE}" in body:
            [critique] = questions.criticize_on_cases(self._optimizer, judge_prompt, cases)
            return " ".join(critique.texts)
        return case_block(cases[0]) if cases else None

    # -- lexicon

    @cached_property
    def _optimizer(self) -> PromptOptimizer:
        return PromptOptimizer(
            self._lexicon, self._task, max_tokens=_MAX_TOKENS, temperature=0.0, max_attempts=1
        )

    def _propose(self, history: Sequence[TriedPrompt], draw: int) -> str:
        template = load_template("propose_judge_prompt")
        meta_prompt = template.render(task=self._task, history=history, cases=())
        return self._prompt(meta_prompt, draw) or history[-1].judge_prompt

    def _prompt(self, meta_prompt: str, draw: int) -> str | None:
        answers: list[Answer] = self._optimizer.ask([Question(meta_prompt, draw)])
        return answers[0].proposal.prompt


def _between(text: str, start: str, end: str) -> str:
    """What stands between two marks, the first time."""
    _, _, rest = text.partition(start)
    return rest.partition(end)[0].strip()
