"""Where the answer stands in a longer text: behind a lead, in answer tags, in a JSON value."""

import json
import re
from typing import Any, cast

_CORE = "answer|verdict|rating|score|label|judge?ment|decision|grade|choice|preference|overall"
_ASIDE = (
    "classification|category|class|conclusion|result|prediction|evaluation|assessment"
    "|output|response|reply"
)
_OTHER = (
    "答案|最终答案|最後の答え|结论|結論|评分|評分|得分|分数|分數|判断|判斷|判定|标签|標籤|结果|結果"
    "|评级|回答|最终回答|最終回答|答え|評価|スコア|评价|選択|选择|답|정답|최종 답변|평가|점수"
    "|คำตอบ|คะแนน|antwort|bewertung|urteil|ergebnis|réponse|reponse|respuesta|puntuación"
    "|calificación|veredicto|risposta|voto|punteggio|verdetto|resposta|pontuação|ответ|оценка"
    "|вердикт|antwoord|beoordeling|odpowiedź|ocena|svar|cevap|puan|الإجابة|الجواب|उत्तर"
)
_ANY = f"{_CORE}|{_ASIDE}|{_OTHER}"
_FINAL = re.compile(r"overall|最终答案|最终回答|最終回答|最後の答え|최종 답변", re.IGNORECASE)
_STRONG = re.compile(r"final|overall|ultimate|definitive|endgültige|finale", re.IGNORECASE)
_NEUTRAL = re.compile(
    r"the|my|our|an?|so|therefore|thus|hence|and|correct|best|single|in|conclusion|this|summary"
    r"|i|think|believe|would|say|that|die|meine|la|ma|mi|el|le|il|o",
    re.IGNORECASE,
)
_NO_LEAD = re.compile(
    r"not|no|never|nobody|wrong|incorrect|cannot|\w+n't|without|unable|previous|initial|possible"
    r"|example|expected|human|human's|alternative|other|opposite|nor|neither|if|which|what|whether"
    r"|either|your|first|given|true|ground|reference|reported|perhaps|maybe|possibly|probably"
    r"|likely|could|might|may|guess|doubt|can't",
    re.IGNORECASE,
)
_BEFORE = r"(?P<before>(?:[^\W\d][\w'.-]{0,30},?[ ]){0,5}?)"
_LEAD = re.compile(
    rf"(?:^|(?<=[.!?;(>\]。！？；])|(?<=[.!?;>\]] ))[ {{\[\"']*{_BEFORE}(?P<word>{_ANY})"
    r"[\"']?[ ]?(?:\([^()\n\d]*\)[ ]?)?"
    r"(?:(?P<mark>[:=]|[-–—=]+>|→|[-–—](?=[ ]))|(?:is|was|would be|will be)\b[ ]?:?|(?=\n))",
    re.IGNORECASE | re.MULTILINE,
)

_TAGGED = re.compile(
    rf"<(?P<tag>(?:final[_ -]?)?(?:{_ANY}))\s*>(?P<inside>(?:(?!<(?P=tag)\s*>).)*?)</(?P=tag)\s*>"
    r"|\\boxed\s*\{(?P<boxed>(?:[^{}]|\{[^{}]*\})*)\}"
    r"|<\|begin_of_box\|>(?P<box>.*?)<\|end_of_box\|>",
    re.IGNORECASE | re.DOTALL,
)
_BOX = re.compile(r"<\|(?:begin|end)_of_box\|>")
_FENCED = re.compile(r"\s*```[ \t]*\w*[ \t]*\n(.*?)\n?```\s*", re.DOTALL)
_KEY = re.compile(rf"(?:(?:final|overall|predicted|my)[_ -]?)?(?:{_ANY})s?", re.IGNORECASE)
_OBJECT = re.compile(r"(?:^|[:`])[ \t]*(?=\{)", re.MULTILINE)
_END_OF_LINE = re.compile(r"[ \t`.]*(?:\n|$)")
_MOST_OBJECTS = 16
_DEEPEST = 4
_DECODER = json.JSONDecoder()


def tagged_answer(text: str) -> str | None:
    """What stands in the last answer tags, \\boxed{} or box of the text."""
    found = list(_TAGGED.finditer(text))
    if not found:
        return None
    last = found[-1]
    inside: list[str | None] = [last["inside"], last["boxed"], last["box"]]
    return next((part for part in inside if part is not None), "")


def without_boxes(text: str) -> str:
    """The text without the markers that GLM-V puts around its answers."""
    return _BOX.sub("", text)


def answers_in_json(text: str) -> list[str] | None:
    """The values under answer keys ("label", "rating"), as text; None for what is no JSON."""
    fenced = _FENCED.fullmatch(text)
    try:
        value = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, list):
        items = cast("list[Any]", value)
        while len(items) == 1 and isinstance(items[0], list):
            items = cast("list[Any]", items[0])
        return _as_texts(items) if len(items) == 1 else []
    if isinstance(value, dict):
        return list(_answers(cast("dict[str, Any]", value), _DEEPEST))
    return None


def answers_among_text(text: str) -> tuple[list[str], str]:
    """The values under answer keys of JSON objects in a text, and the text without the objects.

    Of those that begin a line, or follow a colon, and end their line; "for example: {...}" is none.
    """
    found: list[str] = []
    rest, end = "", 0
    for start in [match.end() for match in _OBJECT.finditer(text)][:_MOST_OBJECTS]:
        if start < end:
            continue
        try:
            value, behind = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        answers = _answers(cast("dict[str, Any]", value), _DEEPEST)
        is_meant = not any(map(_NO_LEAD.fullmatch, re.findall(r"[\w']+", text[end:start])))
        if answers and is_meant and _END_OF_LINE.match(text, behind):
            found += answers
            rest, end = rest + text[end:start], behind
    return found, rest + text[end:]


def answers_behind_leads(text: str) -> list[str]:
    """What follows the leads that count, each up to the next one; empty without a lead.

    Those that name a final answer count before an answer, that before a category or the like, and
    last what rates a part ("Color rating: 4"). Of leads in the same word the last one counts.
    """
    found = [(_rank(match), match) for match in _LEAD.finditer(text)]
    best = max((rank for rank, _ in found), default=-1)
    zones: dict[str, str] = {}
    for place, (rank, match) in enumerate(found):
        if rank == best >= 0:
            end = found[place + 1][1].start() if place + 1 < len(found) else len(text)
            name = match["word"] if rank else match["before"] + match["word"]
            zones[name.casefold()] = text[match.end() : end]
    return list(zones.values())


def _rank(match: re.Match[str]) -> int:
    """How much a lead counts; below 0 for none."""
    before = [part.strip(",.") for part in match["before"].split()]
    if any(map(_NO_LEAD.fullmatch, before)):
        return -1
    if _FINAL.fullmatch(match["word"]) or any(map(_STRONG.fullmatch, before)):
        return 3
    if all(map(_NEUTRAL.fullmatch, before)):
        return 1 if re.fullmatch(_ASIDE, match["word"], re.IGNORECASE) else 2
    return 0 if match["mark"] else -1


def _answers(value: dict[str, Any], depth: int) -> list[str]:
    found: list[str] = []
    for key, inner in value.items():
        if isinstance(inner, dict) and depth:
            found += _answers(cast("dict[str, Any]", inner), depth - 1)
        elif _KEY.fullmatch(key):
            found += _as_texts(cast("list[Any]", inner) if isinstance(inner, list) else [inner])
    return found


def _as_texts(values: list[Any]) -> list[str]:
    return [_as_text(value) for value in values if isinstance(value, str | int | float)]


def _as_text(value: str | float) -> str:
    """A JSON value as it would be written without the JSON."""
    return str(value).lower() if isinstance(value, bool) else str(value)
