"""How an answer states a label in a sentence of its own: the few forms that are read.

A clause comes with LABEL in the place of the label. What stands around it must be one of the forms
below. Everything else is not understood: a list of the ways to hedge would never be complete.
"""

import re
import unicodedata
from typing import Literal

LABEL = "\ue000"
"""Stands for a mention of a label."""

DOUBTFUL = "\ue001"
"""Stands for a mention that cannot be read with certainty: "safe-ish", "3-4"."""

Statement = Literal["said", "negated", "unclear"]

_THING = "image|picture|photo|photograph|scene|content|one|option|choice|candidate|pair|it"
_NOUN = (
    f"{_THING}|answer|verdict|rating|score|label|category|class|grade|number|quality|judge?ment"
    "|preference|winner|response"
)
_RATED = (
    "rated|classified|labell?ed|considered|judged|categori[sz]ed|scored|deemed|marked|assigned"
    "|graded"
)
_NEUTRAL = re.compile(
    rf"""(?:(?>(?:
      the|this|that|these|an|a|my|its|your|our|final|overall|correct|best|better|right
    | {_NOUN} | is|are|was|were|'s|as|at|of|on|in|to\ be | looks|appears
    | (?:should|can|would|will|could\ only)\ be\ (?:{_RATED}) | {_RATED}
    | i(?:'d|\ would|'ll|\ will)?\ (?:also\ )?(?:rate|give|choose|pick|select|prefer|judge|consider
        |classify|label|assign|think|believe|say|go\ with|answer|conclude|score|vote)
    | i'm\ going\ with | i\ am\ going\ with | gets|receives|deserves|merits
    | falls\ under | falls\ into | belongs\ to
    | shown\ here | based\ on\ (?:the|this|what\ i\ see) | for\ this | here | level
    | so|therefore|thus|hence|then|yes|yeah|ok|okay|sure|certainly|clearly|definitely|absolutely
    | completely|totally|entirely|perfectly|fully
    | summary | in\ short | to\ (?:sum\ up|conclude|summari[sz]e) | conclusion
    | das|dieses?|die|bild|ist|der|l'image|cette|est|la|le|imagen|esta|es|el|l'immagine|è
    | это|изображение
    )\b)[\ ,:]*+)*+""",
    re.VERBOSE | re.IGNORECASE,
)
_NEUTRAL_UNSPACED = re.compile(
    r"(?>图片|圖片|图像|圖像|照片|画像|写真|内容|場景|场景|这个|這個|属于|屬於|认为|認為|判断|判斷|选择|選擇"
    r"|应该|應該|评为|評為|标记|归类|答案|结论|因此|所以|综上|非常|十分|很|この|その|ภาพ|นี้|รูป|คือ|เป็น|มี|ความ"
    r"|(?:이미지|사진|그림|내용)[는은가이]?|이|그|the|this|image|is|[\s,:这這该該此张張幅图圖是为為我选選应應被给給打はが私とを])*+",
    re.IGNORECASE,
)
_NEGATION = re.compile(
    r"(?:(?<=\s)|^)(?:not|nicht|pas|non|não|niet|не|inte|ikke|nie|غير|ليس|ليست)\s*$"
    r"|(?<=\w)n't\s*$|(?:不是|并不是|並不是|不|非|并非|並非|ไม่)\s*$",
    re.IGNORECASE,
)
_NEGATED_BEHIND = re.compile(
    r"(?:では(?:ありません|ない|無い)|じゃ(?:ありません|ない)|でない|でありません)"
    r"|하지\s?않(?:습니다|다|음|아요)|[이가]?\s?아닙니다"
)
_BEHIND = re.compile(
    rf"""
      (?:\ (?:{_NOUN}|overall|here))*
    | \ (?:to|for)\ (?:view|viewing|show|share|display|publish|look\ at|work|everyone
        |(?:all|general)\ (?:audiences|ages|viewers)|all)
    | \ (?:because|since|as|due\ to|given|based\ on|for\ the\ following)\b.*
    | \ (?:shows|depicts)\b.*
    | \ (?:is|was|wins)(?:\ (?:clearly|much|slightly|the|my|better|best|preferred|preferable|winner
        |superior|answer|choice|verdict|rating|label|correct|right|one|image|option))*
    | (?>的|です|である|だ|图片|圖片|图像|圖像|照片|内容|ครับ|ค่ะ|と判断します)*+
    | 합니다|하다|해요|함|입니다|이다|이에요|예요
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_WEAK_HEDGE = re.compile(
    r"\b(?:maybe|perhaps|possibly|probably|likely|potentially|barely|hardly|almost|nearly|borderline"
    r"|somewhat|mostly|partly|partially|kind of|sort of|more or less|at best|if|unless|whether|or"
    r"|otherwise|depending|assuming|provided|except|but|yet|however|although|though"
    r"|i guess|vielleicht|peut-être|quizás|forse|talvez)\b"
    r"|可能|也许|也許|或许|或許|大概|如果|除非|かもしれ|たぶん|おそらく|อาจ|아마|같습니다|일 수도",
    re.IGNORECASE,
)
_TAKEN_BACK = re.compile(
    r"\W*(?:(?:but|well|and|then again|just)\W+)*(?:(?:or|wait|actually|hold on|hmm|correction"
    r"|scratch that|on second thou?ght)\b.*|(?:maybe|perhaps|possibly|probably|not|no|barely|almost"
    r"|just kidding|kidding|sort of|kind of|i guess)(?:\W+(?:not|so|then))?\W*|no[,!].*)",
    re.IGNORECASE | re.DOTALL,
)
_ASKED = re.compile(
    r"\s*(?:(?:is|are|was|were|can|could|should|would|will|does|do)\b"
    r"|(?:label|answer|rate|grade|score|class)\ (?:the|this|it|as|with)\b)",
    re.IGNORECASE,
)
_ARTICLE_AT_END = re.compile(r"(?:^|\s)(?:the|an?|this|that|these|my|your)\s*$", re.IGNORECASE)
_LEADING_UP = re.compile(
    r"\s*(?:because|since|considering|based on|given that|in my (?:opinion|view)|yes|yeah|no|sure"
    r"|so)\b.*",
    re.IGNORECASE | re.DOTALL,
)
_DOUBT = re.compile(
    r"\b(?:not|n't|isn't|never)\W+(?:\w+\W+){0,2}?(?:sure|certain|clear|confident|decide|decided)\b"
    r"|\b(?:unsure|uncertain|unclear|undecided|inconclusive|ambiguous)\b"
    r"|\b(?:cannot|can not|could not|unable to|hard to|difficult to|impossible to|can't|couldn't)"
    r"\W+(?:\w+\W+){0,2}?(?:say|tell|determine|judge|assess|decide|rate|know|answer|help|assist"
    r"|provide|evaluate|classify|choose|be determined|comply|engage)\b"
    r"|\b(?:don't|do not|doesn't) know\b|\b(?:it|that|this|which) (?:all )?depends\b|\bneither\b"
    r"|不确定|不確定|无法|無法|难以|難以|分からない|わかりません|判断できません|ไม่แน่ใจ"
    r"|모르겠|확실하지 않|판단할 수 없",
    re.IGNORECASE,
)
_CONTRADICTION = re.compile(
    r"n't\b|\b(?:not|no|never|neither|nor|without|far from|anything but|less|un|however|although"
    r"|though|nicht|kein\w*|pas|non|no|não|niet|не|нет)\b|[?不非没無未无]|ない|ません|ไม่|않|아니|아닙|못",
    re.IGNORECASE,
)
_CONTRARY_SIGNS = frozenset("❌✖✗✘🚫👎⛔❎")
_EDGE = " \t.!\"'“”„«»「」『』【】<>{}=…。！、，"

_CONCLUDING = re.compile(r"\s*(?:and\s+)?(?:so|therefore|thus|hence)\b", re.IGNORECASE)


def statement(clause: str, *, takes_article: bool) -> Statement:
    """What a clause says of the one label in it.

    takes_article: whether the label is a noun or a number: "a tie", "a 4", but "a safe" is a thing.
    """
    before, found, behind = _without_signs(clause).partition(LABEL)
    if not found:
        return "unclear"
    before, behind = before.lstrip(_EDGE.replace("!", "")), behind.rstrip(_EDGE)
    behind = behind.lstrip("\"'”」』】>}")
    is_negated = False
    negation = _NEGATION.search(before.rstrip(_EDGE))
    if negation:
        is_negated, before = True, before[: negation.start()]
    if _NEGATED_BEHIND.match(behind):
        is_negated, behind = not is_negated, _NEGATED_BEHIND.sub("", behind, count=1)
    before = before.rstrip(_EDGE)
    is_neutral = _NEUTRAL.fullmatch(before) or _NEUTRAL_UNSPACED.fullmatch(before)
    is_asked = _ASKED.match(before) and not (is_negated and " " not in before)  # "isn't safe"
    if not is_neutral or not _BEHIND.fullmatch(behind) or is_asked:
        return "unclear"
    if not takes_article and not behind.strip() and _ARTICLE_AT_END.search(before):
        return "unclear"
    return "negated" if is_negated else "said"


def is_bare(clause: str) -> bool:
    """Whether a clause is its label and nothing else."""
    return clause.strip(_EDGE + "*") == LABEL


def is_doubt(text: str) -> bool:
    """Whether an answer says that it is not sure, or that it gives none."""
    return bool(_DOUBT.search(text))


def leads_up(clause: str) -> bool:
    """Whether a clause before that of the label leaves it as it is."""
    clause = _without_signs(clause).strip(_EDGE)
    return bool(
        _NEUTRAL.fullmatch(clause)
        or _NEUTRAL_UNSPACED.fullmatch(clause)
        or _LEADING_UP.fullmatch(clause)
    )


def concludes(clause: str) -> bool:
    """Whether a clause draws its conclusion from what stands before it."""
    return bool(_CONCLUDING.match(clause))


def is_hedge(sentence: str) -> bool:
    """Whether a sentence weakens the label in it, or takes back what was said before."""
    if LABEL in sentence or DOUBTFUL in sentence:
        is_question = sentence.rstrip(_EDGE).endswith("?")
        is_weak = is_question or bool(_WEAK_HEDGE.search(sentence))
        return is_weak or bool(_CONTRARY_SIGNS & set(sentence))
    return bool(_TAKEN_BACK.fullmatch(sentence))


def may_contradict(sentence: str) -> bool:
    """Whether a sentence could say the contrary of the label that it mentions."""
    return bool(_CONTRADICTION.search(sentence))


def _without_signs(text: str) -> str:
    """Without emoji and other signs, of which the label is none."""
    kept = (c for c in text if unicodedata.category(c) not in ("So", "Sk", "Cf") or c == "^")
    return "".join(kept)
