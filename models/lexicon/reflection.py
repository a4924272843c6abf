"""The lexicon optimizer's answer to an Update_q that wants several I2T prompts or shows effects."""

import re
from collections import Counter

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
)

_NUM_PROMPTS = re.compile(r"^Write (\d+) new image-to-text prompts", re.MULTILINE)


def is_asked(meta_prompt: str) -> bool:
    """Whether a meta-prompt is such a question."""
    return bool(_NUM_PROMPTS.search(meta_prompt)) or "<reflection>" in meta_prompt


def propose_i2t_prompts(meta_prompt: str, draw: int) -> str:
    """As many I2T prompts as are asked for, with the tags between them.

    Each asks for what the judge prompt names, what did well so far, and a few aspects of its own:
    new ones first, then those tried before that are not known to mislead, which a further draw puts
    together anew.
    """
    judge_prompt = block(meta_prompt, "judge_prompt")
    count = int(found[1]) if (found := _NUM_PROMPTS.search(meta_prompt)) else 1
    history = scored_i2t_prompts(meta_prompt)
    named, effects = lexicon_words(judge_prompt), _effects(meta_prompt)
    kept = [name for name in _promising(history, effects) if name not in named]
    kept = kept[:NUM_KEPT_ASPECTS]
    tried = {name for _, names in history for name in names}
    unnamed = by_hash(lexicon(meta_prompt, judge_prompt), judge_prompt)
    further = [
        *(name for name in unnamed if name not in tried),
        *(name for name in remixed(unnamed, judge_prompt, draw) or unnamed if name in tried),
    ]
    further = [name for name in further if name not in kept and effects[name] >= 0]
    prompts: list[str] = []
    for place in range(count):
        own = further[place * NUM_NEW_ASPECTS :][:NUM_NEW_ASPECTS]
        prompts.append(f"Look at the image. Report {listed([*named, *kept, *own])}.")
    return "</prompt>\n<prompt>".join(dict.fromkeys(prompts))


def _promising(history: list[tuple[float, list[str]]], effects: Counter[str]) -> list[str]:
    """Aspects whose faults were in what got fixed, then those of the best prompt that gained."""
    ranked = sorted(effects.items(), key=lambda item: (-item[1], item[0]))
    fixing = [name for name, support in ranked if support > 0]
    best_score, best = max(history, key=lambda item: item[0], default=(0.0, list[str]()))
    good = [name for name in best if effects[name] >= 0] if best_score > 0 else []
    return list(dict.fromkeys([*fixing, *good]))


def _effects(meta_prompt: str) -> Counter[str]:
    """By aspect: fixed items less broken ones in which its fault is described.

    Only those count in which the fault can be the reason: people are more severe than the verdict
    was on a fixed item, and less severe than it is on a broken one.
    """
    labels, support = labels_of(meta_prompt), Counter[str]()
    for fixed in blocks(meta_prompt, "fixed"):
        before = re.sub(r"<verdict>.*?</verdict>", "", fixed).replace("verdict_before", "verdict")
        for case in read_case(before, labels):
            support.update({name: int(case.severity > 0) for name in case.faults})
    for broken in blocks(meta_prompt, "broken"):
        for case in read_case(broken, labels):
            support.subtract({name: int(case.severity < 0) for name in case.faults})
    return support
