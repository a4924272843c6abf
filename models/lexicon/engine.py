"""The `lexicon` optimizer: a program that stands in for the optimizer LLM on the micro tasks.

It reads the rendered meta-prompts as an LLM would, sees nothing else, and answers in text in the
format asked of an LLM. It knows a lexicon of visual aspects, many of which the micro model cannot
see, and counts which described aspects go with which misjudgments. It is part of the synthetic
test bench and says nothing about how a real optimizer LLM performs.

`reading.py` is what it knows and how it reads, `attention.py` how much of it, `baselines.py` its
answers to the baselines, `peers.py` its reading of other libraries' meta-prompts.
"""

import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from ...data.micro.graded import SHIPPED_WORLD, ReaderConfig, load_world
from ...data.micro.world import named_aspects
from ..engine import EngineIdentity, Reply, Request
from . import attention, baselines, peers, reflection
from . import reading as lexicon_reading
from .reading import (
    NUM_KEPT_ASPECTS,
    NUM_NEW_ASPECTS,
    block,
    blocks,
    by_hash,
    labels_of,
    lexicon,
    lexicon_words,
    listed,
    read_case,
    remixed,
    scored_i2t_prompts,
    strongest_edits,
    toggled,
    with_aspects,
)

_MIN_SUPPORT = 2.0
_CRITIQUE_ASKED_FOR = "between <critique> and </critique>"


class LexiconEngine:
    """Answers rendered meta-prompts; every other request is an error reply, as is a longer one than
    its context holds.
    """

    def __init__(self, reader: ReaderConfig = SHIPPED_WORLD.optimizer) -> None:
        self._reader = reader

    @property
    def version(self) -> str:
        return "lexicon"

    @property
    def identity(self) -> EngineIdentity:
        is_changed = self._reader != SHIPPED_WORLD.optimizer
        settings = self._reader.model_dump_json(exclude_defaults=True) if is_changed else ""
        return EngineIdentity("lexicon", "lexicon", _revision(), "text", settings)

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        return [self._answer(request) for request in requests]

    def close(self) -> None:
        pass

    def _answer(self, request: Request) -> Reply:
        problem = attention.too_long(request, self._reader)
        if problem is not None:
            return Reply("", "error", error=problem, error_kind="request")
        read = attention.as_read(request, self._reader)
        text = answer_text(read, request.sampling.sample_index)
        if text is None:
            told = "the lexicon optimizer reads only meta-prompts it knows"
            return Reply("", "error", error=told)
        images = self._reader.image_tokens * len(request.images)
        num_tokens = len(request.prompt.split()) + images
        return Reply(text, "stop", prompt_tokens=num_tokens, completion_tokens=len(text.split()))


def lexicon_engine(world_file: Path) -> LexiconEngine:
    """The optimizer of a world. Raises ConfigError for a file that is missing or no world."""
    return LexiconEngine(load_world(world_file).optimizer)


@cache
def _revision() -> str:
    """Another program is another optimizer: its replies are not those of the one before."""
    parts = (attention, baselines, peers, lexicon_reading, reflection)
    files = (__file__, *(str(part.__file__) for part in parts))
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()[:16]


def answer_text(meta_prompt: str, draw: int) -> str | None:
    """The answer to a meta-prompt of ours or of a peer library; None to any other text."""
    foreign = peers.translate(meta_prompt)
    if foreign is not None:
        answer = (
            baselines.criticize_on_case(foreign.meta_prompt)
            if foreign.wants_criticism
            else _prompt(foreign.meta_prompt, draw)
        )
        return f"{foreign.opening}{answer}{foreign.closing}"
    if _CRITIQUE_ASKED_FOR in meta_prompt:
        return f"<critique>{_critique(meta_prompt)}</critique>"
    answer = _prompt(meta_prompt, draw)
    return None if answer is None else f"<prompt>{answer}</prompt>"


def _critique(meta_prompt: str) -> str:
    if "in the light of this case" in meta_prompt:
        return baselines.criticize_on_case(meta_prompt)
    return baselines.criticize(meta_prompt)


def _prompt(meta_prompt: str, draw: int) -> str | None:
    """The prompt that a meta-prompt asks for, told by what it shows; None if it shows nothing."""
    if "<critique>" in meta_prompt:
        return baselines.edit(meta_prompt)
    if "<tried_judge_prompt" in meta_prompt:
        return baselines.propose_judge_prompt(meta_prompt, draw)
    if "<case>" in meta_prompt:
        return improve_judge_prompt(meta_prompt)
    if "<i2t_prompt" in meta_prompt:
        several = reflection.is_asked(meta_prompt)
        propose = reflection.propose_i2t_prompts if several else propose_i2t_prompt
        return propose(meta_prompt, draw)
    if "<judge_prompt>" in meta_prompt:
        return baselines.paraphrase(meta_prompt, draw)
    return None


def improve_judge_prompt(meta_prompt: str) -> str:
    """Name the aspects whose described faults explain misjudgments, drop those that cause them."""
    judge_prompt = block(meta_prompt, "judge_prompt")
    labels, named = labels_of(meta_prompt), named_aspects(judge_prompt)
    cases = [seen for case in blocks(meta_prompt, "case") for seen in read_case(case, labels)]
    changed = strongest_edits(cases, named, _MIN_SUPPORT)
    return with_aspects(judge_prompt, toggled(named, changed)) if changed else judge_prompt


def propose_i2t_prompt(meta_prompt: str, draw: int) -> str:
    """Ask for what the judge prompt names, what did well so far, and a few new aspects.

    With none new left, a further draw asks for tried ones, put together anew.
    """
    judge_prompt = block(meta_prompt, "judge_prompt")
    history = scored_i2t_prompts(meta_prompt)
    named = lexicon_words(judge_prompt)
    tried = {name for _, names in history for name in names}
    unnamed = by_hash(lexicon(meta_prompt, judge_prompt), judge_prompt)
    new = [name for name in unnamed if name not in tried] or remixed(unnamed, judge_prompt, draw)
    best_score, best = max(history, key=lambda item: item[0], default=(0.0, list[str]()))
    good = [name for name in best if name not in named] if best_score > 0 else list[str]()
    asked = dict.fromkeys([*named, *good[:NUM_KEPT_ASPECTS], *new[:NUM_NEW_ASPECTS]])
    return f"Look at the image. Report {listed(asked)}."
