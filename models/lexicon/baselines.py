"""How the lexicon optimizer answers the baselines: what an LLM would say with the same lexicon."""

import re
from collections import Counter
from collections.abc import Sequence
from statistics import mean

from ...data.micro.world import named_aspects
from .reading import (
    MAX_EDITS,
    CaseEvidence,
    block,
    blocks,
    by_hash,
    labels_of,
    lexicon,
    lexicon_words,
    read_case,
    strongest_edits,
    toggled,
    with_aspects,
)

_LEADS = ("Pay attention to", "Look closely at", "Check", "Consider", "Note", "Judge by")
_NOTHING = "The descriptions do not show what the judge prompt misses."
_AGREES = "The verdict agrees with the label: keep what led to it."
_LEAST_SUPPORT = 1.0
"""Asked for a reason, it gives its best guess."""


def criticize(meta_prompt: str) -> str:
    """What the judge prompt misses or weighs too much, by the cases together."""
    named = named_aspects(block(meta_prompt, "judge_prompt"))
    cases = _cases(meta_prompt)
    changed = strongest_edits(cases, named, _LEAST_SUPPORT)
    sentences = [_weighs(name) if name in named else _misses(name) for name in changed]
    return " ".join(sentences) or _NOTHING


def criticize_on_case(meta_prompt: str) -> str:
    """What one case, misjudged or not, says about the aspects it shows at fault.

    Without a judge prompt, about all of them; without a case, the criticism already there.
    """
    judge_prompt = block(meta_prompt, "judge_prompt")
    cases = _cases(meta_prompt)
    if not cases:
        return " ".join(blocks(meta_prompt, "critique")) or _NOTHING
    said = (sentence for case in cases for sentence in _criticism(case, judge_prompt))
    return " ".join(dict.fromkeys(said)) or _NOTHING


def _criticism(case: CaseEvidence, judge_prompt: str) -> list[str]:
    named, faults = named_aspects(judge_prompt), sorted(case.faults)
    if case.severity > 0:
        return [_misses(name) for name in faults if name not in named]
    if case.severity < 0:
        return [_weighs(name) for name in faults if name in named or not judge_prompt]
    ignored = [f"People do not mind the {name}." for name in faults if name not in named]
    return [_AGREES, *ignored]


def edit(meta_prompt: str) -> str:
    """Name what most of the critiques miss, drop what most of them say people do not mind."""
    judge_prompt = block(meta_prompt, "judge_prompt")
    named = named_aspects(judge_prompt)
    votes = Counter[str]()
    for critique in blocks(meta_prompt, "critique"):
        votes.update(re.findall(r"misses the (\w+)", critique))
        votes.subtract(re.findall(r"(?:weighs|do not mind) the (\w+)", critique))
    wanted = {name: n if name not in named else -n for name, n in sorted(votes.items())}
    changed = [name for name, n in Counter(wanted).most_common(MAX_EDITS) if n > 0]
    return with_aspects(judge_prompt, toggled(named, changed)) if changed else judge_prompt


def propose_judge_prompt(meta_prompt: str, draw: int) -> str:
    """The best prompt so far, without what seems to harm, with one or two more of the lexicon.

    An aspect's worth is what the prompts that name it scored above those that do not. Among the
    aspects not known to harm, chance decides which are added, as in draws at a temperature.
    """
    history = [
        (float(score), prompt.strip())
        for score, prompt in re.findall(
            r'<tried_judge_prompt score="([^"]+)">(.*?)</tried_judge_prompt>',
            meta_prompt,
            re.DOTALL,
        )
    ]
    _, best = max(reversed(history), key=lambda tried: tried[0])
    known = [*lexicon(meta_prompt, best), *lexicon_words(best)]
    worth = {name: _worth(name, history) for name in known}
    kept = [name for name in lexicon_words(best) if worth[name] >= 0]
    fresh = [name for name in lexicon(meta_prompt, best) if worth[name] >= 0]
    added = by_hash(fresh, f"{draw}/{meta_prompt}")[: 1 + draw % 2]
    return with_aspects(best, [*kept, *added])


def _worth(name: str, history: Sequence[tuple[float, str]]) -> float:
    """Mean score of the prompts that name an aspect, less that of the others; 0 if not known."""
    named = [score for score, prompt in history if name in lexicon_words(prompt)]
    others = [score for score, prompt in history if name not in lexicon_words(prompt)]
    return mean(named) - mean(others) if named and others else 0.0


def paraphrase(meta_prompt: str, draw: int) -> str:
    """The same aspects after another lead."""
    judge_prompt = block(meta_prompt, "judge_prompt")
    named = lexicon_words(judge_prompt)
    leads = [lead for lead in by_hash(_LEADS, judge_prompt) if lead not in judge_prompt]
    return with_aspects(judge_prompt, named, leads[draw % len(leads)]) if named else judge_prompt


def _cases(meta_prompt: str) -> list[CaseEvidence]:
    labels = labels_of(meta_prompt)
    return [seen for case in blocks(meta_prompt, "case") for seen in read_case(case, labels)]


def _misses(name: str) -> str:
    return f"The judge prompt misses the {name}, which people mind."


def _weighs(name: str) -> str:
    return f"The judge prompt weighs the {name}, which people do not mind."
