"""The prompts that an answer proposes: what stands in its tags, without what a model adds there."""

import re

NO_TAGS = "no text between <{tag}> and </{tag}>"
UNCLOSED = "<{tag}> is not closed"
PLACEHOLDER = "a placeholder in place of the text: {text!r}"

_NO_TAG = "\ue002"
"""Stands for the < of a tag that an answer only talks of."""
_OWN_TAGS = "judge_prompt|i2t_prompt|reflected_i2t_prompt|tried_judge_prompt|prompt|critique"
_FENCED = re.compile(r"(`{3,}+|~{3,}+)[^\n`]*+\n(?P<inside>.*?)\n?[ \t]*\1", re.DOTALL)
_ECHO = re.compile(
    rf"<(?P<tag>{_OWN_TAGS})(?:\s[^<>]*)?>(?P<inside>.*)</(?P=tag)\s*>", re.DOTALL | re.IGNORECASE
)
_LOOSE_TAG = re.compile(rf"\A<(?:{_OWN_TAGS})(?:\s[^<>]*)?>|</(?:{_OWN_TAGS})\s*>\Z", re.IGNORECASE)
_NAMED = r"(?:judge |judging |image-to-text |i2t |system )?(?:prompt|version|variation|rewrite)"
_ADJECTIVES = r"(?:(?:new|improved|better|revised|updated|rewritten|refined|final|complete) )*"
_INTRODUCTION = re.compile(
    rf"(?:(?:sure|certainly|of course|okay|ok)[,.!:]*\s+)?"
    rf"(?:(?:here(?:'s|’s| is| are)|below is|this is)[^\n:]{{0,60}}{_NAMED}[^\n:]{{0,40}}:"
    rf"|here (?:it|you) (?:is|go)[.:!]*(?=\s*\n)|(?:improved|revised|updated|rewritten|refined):"
    rf"|[#*_ ]*(?:the |my )?{_ADJECTIVES}{_NAMED}[*_ ]*:[*_]*"
    rf"|[#*_]+ *(?:the |my )?{_ADJECTIVES}{_NAMED}[*_ ]*(?=\n))\s*",
    re.IGNORECASE,
)
_QUOTED = re.compile(
    r"\"(?P<inside>[^\"]+)\"|“(?P<curly>[^“”]+)”|'(?P<single>[^']+)'|‘(?P<curved>[^‘’]+)’"
    r"|`(?P<code>[^`]+)`|<!\[CDATA\[(?P<data>.*)\]\]>",
    re.DOTALL,
)
_RULES = re.compile(
    r"\A(?P<rule>-{3,}|={3,}|\*{3,})[ \t]*\n(?P<inside>.*)\n[ \t]*(?P=rule)\Z", re.DOTALL
)
_FILLER = re.compile(
    r"(?:and|or|tags?|…|\.{2,}|\W*|(?:the |your |my |a )?(?:complete |full |new |improved |better "
    r"|revised |updated |actual |whole )*(?:judge |judging |image-to-text |i2t )?"
    r"(?:prompts?|critique|criticism|reason|variation|text|answer)(?: (?:text|goes|here))*"
    r"|insert .{0,40}|\{+[^{}]*\}+|placeholder)",
    re.IGNORECASE,
)


def read_prompts(answer: str, tag: str = "prompt") -> tuple[list[str], str]:
    """The texts between pairs of tags in a complete answer, in order; without any, why.

    Where the last pair is left open or holds no text, nothing of the answer is taken: what stands
    before was a draft. "between <prompt> and </prompt>" is talk of the tags, "<prompt> tags" too.
    """
    talk = rf"<{tag}>(?:[\s.…]*</{tag}>)?(?=[`'\"”]*\s+tags?\b)"
    answer = re.sub(talk, lambda m: m[0].replace("<", _NO_TAG), answer, flags=re.IGNORECASE)
    pieces = re.split(rf"<\s*(/?)\s*{tag}(?:\s[^<>]*)?>", answer, flags=re.IGNORECASE)
    marks, texts = pieces[1::2], pieces[2::2]
    following = [*marks[1:], ""][: len(marks)]
    is_open = [
        mark == next_mark == "" and bool(text.strip())
        for mark, next_mark, text in zip(marks, following, texts, strict=True)
    ]
    if any(is_open) or marks[-1:] == [""]:
        return [], UNCLOSED.format(tag=tag)
    pairs = [t for m, n, t in zip(marks, following, texts, strict=True) if (m, n) == ("", "/")]
    found = [clean(t.replace(_NO_TAG, "<")) for t in pairs if not _is_talk_of_tags(t)]
    if not found:
        return [], NO_TAGS.format(tag=tag)
    if _is_filler(found[-1]):
        return [], PLACEHOLDER.format(text=found[-1])
    return [text for text in found if not _is_filler(text)], ""


def clean(text: str) -> str:
    """A prompt without code fences, an introduction, quotes and an echo of the template's tags."""
    while True:
        before = text = text.strip()
        for pattern in (_FENCED, _ECHO, _QUOTED, _RULES):
            whole = pattern.fullmatch(text)
            if whole:
                groups = whole.groupdict().items()
                inside = [part for name, part in groups if name not in ("tag", "rule")]
                text = next(part for part in inside if part is not None).strip()
        text = _LOOSE_TAG.sub("", text).strip()
        introduction = _INTRODUCTION.match(text)
        text = text[introduction.end() :] if introduction else text
        if text == before:
            return text


def _is_talk_of_tags(text: str) -> bool:
    """Whether a pair of tags only names the two."""
    return text.strip(" `'\"“”.,\n").lower() in ("and", "or", "to", "...and")


def _is_filler(text: str) -> bool:
    """Whether a text stands where one should be."""
    return bool(_FILLER.fullmatch(text.strip(" []()<>*_\"'.:")))
