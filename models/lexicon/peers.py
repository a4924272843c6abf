"""How the lexicon optimizer reads the meta-prompts of other prompt optimizers.

It finds there what an LLM would find: the prompt to improve, the cases (as `render_cases` writes
them, wherever they stand), criticism, prompts with their scores; and it answers in the form asked
for. The meta-prompts of gepa 0.1.4, textgrad 0.1.8 and promptolution 2.3.0 (OPRO, CAPO) are known.
"""

import re
from dataclasses import dataclass

from .reading import blocks, lexicon_words, with_aspects

_CRITICISM = re.compile(r"(?:The judge prompt|People)[^.]*\b(?:misses|weighs|mind) the \w+[^.]*\.")
_TWO_PROMPTS = re.compile(r"^Prompt 1: (.*?)\nPrompt 2: (.*?)\n\nReturn", re.DOTALL | re.MULTILINE)
_ONE_PROMPT = re.compile(r"^Prompt: (.*?)\n\nReturn", re.DOTALL | re.MULTILINE)
_SCORED_TEXT = re.compile(r"^text:\n(.*?)\nscore: (-?\d+)$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Translation:
    """A foreign meta-prompt in our own notation. opening, closing: what the answer stands between.

    wants_criticism: the answer is to be criticism, not a prompt.
    """

    meta_prompt: str
    opening: str
    closing: str
    wants_criticism: bool = False


def translate(meta_prompt: str) -> Translation | None:
    """What a known foreign meta-prompt asks, None for any other text."""
    for read in (_gepa, _textgrad_criticism, _textgrad_rewrite, _opro, _capo):
        translation = read(meta_prompt)
        if translation is not None:
            return translation
    return None


def _gepa(text: str) -> Translation | None:
    found = re.search(r"instructions to perform a task for me:\n```\n(.*?)\n```", text, re.DOTALL)
    if found is None:
        return None
    return Translation(_ours(text, found[1]), "```\n", "\n```")


def _textgrad_criticism(text: str) -> Translation | None:
    """The judge prompt is the system prompt of the conversation that the feedback is about.

    Feedback on a verdict alone knows no judge prompt.
    """
    if "<OBJECTIVE_FUNCTION>" not in text:
        return None
    prompts = _spans(text, "LM_SYSTEM_PROMPT")
    return Translation(_ours(text, prompts[-1] if prompts else ""), "", "", wants_criticism=True)


def _textgrad_rewrite(text: str) -> Translation | None:
    """The variable is shortened in its own span, and whole in the conversations."""
    prompts = _spans(text, "LM_SYSTEM_PROMPT") or _spans(text, "VARIABLE")
    if not prompts or "<IMPROVED_VARIABLE>" not in text:
        return None
    ours = _ours("\n".join(_spans(text, "FEEDBACK")), prompts[-1])
    return Translation(ours, "<IMPROVED_VARIABLE>", "</IMPROVED_VARIABLE>")


def _opro(text: str) -> Translation | None:
    scored = _SCORED_TEXT.findall(text)
    if not scored:
        return None
    history = "\n".join(
        f'<tried_judge_prompt score="{score}">\n{prompt}\n</tried_judge_prompt>'
        for prompt, score in scored
    )
    return Translation(f"{_labels_line(text)}\n{history}", "<prompt>", "</prompt>")


def _capo(text: str) -> Translation | None:
    """A crossover is a paraphrase of the first prompt with the aspects of both."""
    one, two = _ONE_PROMPT.search(text), _TWO_PROMPTS.search(text)
    if one is not None:
        prompt = one[1]
    elif two is not None:
        prompt = with_aspects(two[1], lexicon_words(f"{two[1]} {two[2]}"))
    else:
        return None
    return Translation(f"<judge_prompt>{prompt}</judge_prompt>", "<prompt>", "</prompt>")


def _spans(text: str, tag: str) -> list[str]:
    """What stands between pairs of tags; a glossary that only mentions a tag opens none."""
    found = re.findall(rf"<{tag}>((?:(?!<{tag}>).)*?)</{tag}>", text, re.DOTALL)
    return [span.strip() for span in found]


def _ours(text: str, prompt: str) -> str:
    """Labels, prompt, cases and criticism of a text; our own sentences of criticism count."""
    cases = [f"<case>{case}</case>" for case in blocks(text, "case")]
    critiques = [f"<critique>{found}</critique>" for found in _CRITICISM.findall(text)]
    parts = [_labels_line(text), f"<judge_prompt>{prompt}</judge_prompt>", *cases, *critiques]
    return "\n".join(parts)


def _labels_line(text: str) -> str:
    """The line that declares the labels, or one made of the labels that occur."""
    declared = re.search(r"^The possible verdicts, in order: .*$", text, re.MULTILINE)
    if declared:
        return declared[0]
    seen = {*blocks(text, "human_label"), *blocks(text, "verdict")} - {"(no verdict)"}
    return f"The possible verdicts, in order: {', '.join(sorted(seen))}"
