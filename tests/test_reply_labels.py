"""Which label an answer names: rows of answer and label by kind, None where no reading is safe."""

import pytest
from blpo.models.replies.label import read_label

SAFE = ("Safe", "Unsafe")
FIVE = ("1", "2", "3", "4", "5")
HALVES = ("1", "1.5", "2", "2.5", "3", "3.5", "4", "4.5", "5")
TEN = tuple(map(str, range(11)))
SIGNED = ("-1", "0", "1")
PAIR = ("A", "B")
PAIR_WITH_TIE = ("A", "tie", "B")
GRADES = ("Very Bad", "Bad", "Good", "Very Good")
YES_NO = ("yes", "no")
TRUE_FALSE = ("true", "false")
CHINESE = ("安全", "不安全")
CHINESE_WORDS = ("安全", "危险")
JAPANESE = ("安全", "危険")
THAI = ("ปลอดภัย", "ไม่ปลอดภัย")
THUMBS = ("👍", "👎")
THREE = ("Safe", "Not Safe", "N/A")

Rows = dict[str, str | None]
Kind = list[tuple[tuple[str, ...], Rows]]

WHOLE: Kind = [
    (
        SAFE,
        {
            "Safe": "Safe",
            "safe.": "Safe",
            " UNSAFE! ": "Unsafe",
            "**Safe**": "Safe",
            "_Safe_": "Safe",
            "`Unsafe`": "Unsafe",
            '"Safe"': "Safe",
            "“Unsafe”.": "Unsafe",
            "« Safe »": "Safe",
            "(Safe)": "Safe",
            "[Unsafe]": "Unsafe",
            "['Safe']": "Safe",
            "# Unsafe": "Unsafe",
            "> Safe": "Safe",
            "- Safe": "Safe",
            "Safe…": "Safe",
            "Ｓａｆｅ": "Safe",
            "Sa\u200bfe": "Safe",
            "<b>Safe</b>": "Safe",
            "✅ Safe": "Safe",
            "Unsafe ⚠️": "Unsafe",
            "un-safe": "Unsafe",
            "Safe\n": "Safe",
            "```\nUnsafe\n```": "Unsafe",
        },
    ),
    (
        GRADES,
        {
            "Very Good": "Very Good",
            "very-good": "Very Good",
            "very_good.": "Very Good",
            "VeryGood": "Very Good",
            "VERY  BAD": "Very Bad",
            "Good": "Good",
            "Verdict: Very good": "Very Good",
            "The quality is very good.": "Very Good",
            "The quality is good, not very good": None,
            "Very": None,
        },
    ),
    (THREE, {"Not safe": "Not Safe", "n/a": "N/A", "Safe": "Safe", "not really safe": None}),
    (("A", "A+"), {"Grade: a+": "A+", "A+": "A+", "A": "A", "A-": None}),
    (("safe", "Safe"), {"Safe": "Safe", "safe": "safe", "SAFE": None}),
    (("1st", "2nd"), {"1st": "1st", "2nd.": "2nd", "1": None}),
    (("0-10", "11-20"), {"11-20": "11-20", "0-10.": "0-10", "0-20": None}),
    (THUMBS, {"👍": "👍", "👍🏽": "👍", "👎.": "👎", "👍👎": None, "👍👍": None}),
    (YES_NO, {"Yes": "yes", "no.": "no", "Yes!": "yes", "yes and no": None}),
    (TRUE_FALSE, {"True": "true", "FALSE": "false", "not true": "false"}),
]

WRAPPED: Kind = [
    (
        SAFE,
        {
            "\\boxed{Safe}": "Safe",
            "$\\boxed{\\text{Unsafe}}$": "Unsafe",
            "So \\boxed{Safe}, no: \\boxed{Unsafe}": "Unsafe",
            '{"label": "Safe"}': "Safe",
            '```json\n{"label": "Unsafe", "confidence": 0.9}\n```': "Unsafe",
            '{"result": {"final_answer": "Safe"}}': "Safe",
            '["Unsafe"]': "Unsafe",
            '{"safe": false}': None,
            '{"safe": true}': None,
            '{"label": "Safe", "verdict": "Unsafe"}': None,
            '{"reason": "it is Safe"}': None,
            '{"label": "not safe"}': "Unsafe",
            "{'label': 'Safe'}": "Safe",
            "<answer>Safe</answer>": "Safe",
            "It has a knife. <answer>Unsafe</answer>": "Unsafe",
            "Safe at first. <verdict>Unsafe</verdict> Done.": "Unsafe",
            "Well: <|begin_of_box|>Safe<|end_of_box|>": "Safe",
            "| Verdict | Unsafe |": "Unsafe",
            "| Field | Value |\n|---|---|\n| Verdict | Unsafe |": "Unsafe",
        },
    ),
    (
        FIVE,
        {'{"rating": 4}': "4", '{"rating": 4.0}': "4", '{"rating": 3.7}': None, "[4]": "4"},
    ),
    (TRUE_FALSE, {'{"answer": true}': "true"}),
    (YES_NO, {'{"answer": "No"}': "no"}),
]

LEADS: Kind = [
    (
        SAFE,
        {
            "Final answer: Safe": "Safe",
            "**Final answer:** Unsafe": "Unsafe",
            "It may be safe or unsafe.\nFinal answer:\nUnsafe": "Unsafe",
            "Answer: Safe\nAnswer: Unsafe": "Unsafe",
            "Answer: Safe. Answer: I cannot say": None,
            "Therefore, the final answer is Safe.": "Safe",
            "Options: Safe, Unsafe. Answer: Unsafe": "Unsafe",
            "# Verdict\n\nUnsafe": "Unsafe",
            "### Final verdict\nNot safe": "Unsafe",
            "Safety rating: Unsafe\nReason: a knife": "Unsafe",
            "Rating: Unsafe\nCategory: weapons": "Unsafe",
            "Answer: Unsafe\nReason: The image shows a gun, which is unsafe.": "Unsafe",
            "Answer: Safe\nReason: nothing unsafe here": None,
            "Verdict: not really safe": None,
            "The answer is not safe": "Unsafe",
            "I don't think the answer is safe": None,
            "Perhaps the answer is Safe": None,
            "Wrong answer: Safe": None,
            "The opposite of the answer: Safe": None,
            "Answer with one word: Safe or Unsafe.": None,
            "Final answer:": None,
            "Answer: Safe or Unsafe?": None,
            "Verdict: Safe\nDecision: Unsafe": None,
            "label: Safe": "Safe",
            "Answer = Unsafe": "Unsafe",
            "Verdict → Safe": "Safe",
            "Antwort: Unsafe": "Unsafe",
            "Réponse : Safe": "Safe",
        },
    ),
    (
        FIVE,
        {
            "Score: 4": "4",
            "Rating: 4 - good quality": "4",
            "Rating (1-5): 4": "4",
            "Rating: **3**/5": "3",
            "Composition: 3\nColor: 4\nOverall rating: 4": "4",
            "Color rating: 3\nLight rating: 4": None,
            "Overall score: 4\nColor score: 3": "4",
            "Rating: 4\nScore: 4": "4",
            "评分：4": "4",
            "Score - 4": "4",
            "Rating: -4": None,
        },
    ),
    (PAIR, {"Answer: B": "B", "Answer: a": "A", "Answer: a cat": None, "Choice: (B)": "B"}),
    (CHINESE, {"答案：不安全": "不安全", "结论: 安全": "安全"}),
]

STATEMENTS: Kind = [
    (
        SAFE,
        {
            "The image is UNSAFE!": "Unsafe",
            "It's Safe": "Safe",
            "Sure! The image is safe.": "Safe",
            "I would say it is safe.": "Safe",
            "I'd classify this as Unsafe.": "Unsafe",
            "I believe the image is Unsafe.": "Unsafe",
            "The image should be classified as Unsafe.": "Unsafe",
            "No, it is unsafe.": "Unsafe",
            "Yes, it is safe": "Safe",
            "Unsafe. The image shows a weapon.": "Unsafe",
            "Safe, because the image shows a kitchen.": "Safe",
            "Unsafe: the image shows a gun": "Unsafe",
            "Unsafe - there is a gun": "Unsafe",
            "Safe\n\nThis image shows a family.": "Safe",
            "The image shows a kitchen.\n\nSafe": "Safe",
            "Safe for work": "Safe",
            "Safe, safe, safe": "Safe",
            "The safe in the corner is open.": None,
            "A person opens a safe": None,
            "safety": None,
            "Unclear": None,
            "safe or unsafe": None,
            "both safe and unsafe": None,
            "Safe/Unsafe": None,
            "[x] Safe\n[ ] Unsafe": None,
            "- Safe\n- Unsafe": None,
            "Safe: yes\nUnsafe: no": None,
            "Safe: 0.9, Unsafe: 0.1": None,
        },
    ),
    (
        FIVE,
        {
            "I'd rate this image 4 out of 5.": "4",
            "On a scale of 1 to 5, I would give it a 4.": "4",
            "This image gets a 2": "2",
            "4. There are 12 people": "4",
            "4 (good)": "4",
            "1: bad, 2: poor, 3: fair, 4: good": None,
            "1, 2, 3, 4, 5": None,
            "not 4": None,
        },
    ),
    (
        PAIR,
        {
            "a": "A",
            "**b**.": "B",
            "B shows a cat": "B",
            "Image B is better.": "B",
            "I prefer image A": "A",
            "I choose A": "A",
            "Option (B)": "B",
            "a cat, a dog": None,
            "A cat sits on a mat.": None,
            "A or B": None,
            "B is worse": None,
            "B has artifacts": None,
            "Image A is better than image B": None,
            "I'm not sure. A": None,
            "Not A": "B",
            "A+": None,
        },
    ),
    (PAIR_WITH_TIE, {"tie": "tie", "It is a tie.": "tie", "Not A": None, "neither": None}),
    (
        YES_NO,
        {
            "No, there is no weapon.": "no",
            "No, it is not.": "no",
            "Yes, there is no problem.": "yes",
            "Is it safe? No.": "no",
            "There is no weapon": None,
        },
    ),
]

NEGATED: Kind = [
    (
        SAFE,
        {
            "Not safe.": "Unsafe",
            "This image is not safe.": "Unsafe",
            "It isn't safe": "Unsafe",
            "It isn’t safe": "Unsafe",
            "**Not Safe**": "Unsafe",
            "not-safe": "Unsafe",
            "Not unsafe": "Safe",
            "No. The image is not safe.": "Unsafe",
            "It is not safe; it is unsafe.": "Unsafe",
            "nicht safe": "Unsafe",
            "It is safe. It is not safe.": None,
            "I cannot say that it is safe": None,
            "can't say whether it's Safe": None,
            "I don't think it is safe": None,
            "not really safe": None,
            "not at all safe": None,
            "not entirely safe": None,
            "not exactly unsafe": None,
            "never safe": None,
            "neither safe nor unsafe": None,
            "neither safe nor": None,
            "no longer safe": None,
            "far from safe": None,
            "anything but safe": None,
            "less than safe": None,
            "hardly safe": None,
            "without being unsafe": None,
            "nobody would call it safe": None,
            "no es safe": None,
            "Safe? No.": None,
            "Safe: no": None,
            "No, safe": None,
            "Safe not": None,
            "Safe, it is not": None,
            "Is it unsafe? No.": None,
            "non-safe": None,
            "❌ Safe": None,
            "~~Safe~~": None,
        },
    ),
    (CHINESE, {"不安全": "不安全", "安全": "安全", "这张图片不安全。": "不安全"}),
    (
        CHINESE_WORDS,
        {
            "这张图片是安全的。": "安全",
            "这张图片是危险的": "危险",
            "不安全": "危险",
            "这张图片不是安全的": "危险",
            "不太安全": None,
            "并不完全安全": None,
            "未必安全": None,
            "没有危险": None,
            "安全带": None,
            "可能安全": None,
            "安全还是危险": None,
        },
    ),
    (
        JAPANESE,
        {
            "この画像は安全です。": "安全",
            "危険です": "危険",
            "安全ではありません": "危険",
            "安全ではない": "危険",
            "安全とは言えない": None,
            "安全かもしれない": None,
        },
    ),
    (THAI, {"ภาพนี้ไม่ปลอดภัย": "ไม่ปลอดภัย", "ปลอดภัย": "ปลอดภัย", "ภาพนี้ปลอดภัย": "ปลอดภัย"}),
    (("sicher", "unsicher"), {"Nicht sicher.": "unsicher", "Sicher nicht": None}),
    (("seguro", "inseguro"), {"No es seguro": None, "inseguro": "inseguro"}),
    (("sûr", "dangereux"), {"pas sûr": "dangereux", "Pas vraiment sûr": None}),
    (("natural", "unnatural"), {"Not natural": "unnatural", "not natural at all": None}),
    (("안전", "위험"), {"안전": "안전", "안전하지 않음": None}),
]

HEDGED: Kind = [
    (
        SAFE,
        {
            "safe-ish": None,
            "Safe‑ish.": None,
            "probably safe": None,
            "Safe? ": None,
            "Maybe safe": None,
            "It might be safe": None,
            "It would be safe if nobody touched it": None,
            "Safe, if nothing happens": None,
            "Safe, but barely": None,
            "Safe. Maybe.": None,
            "Safe.\n\nI'm not sure though.": None,
            "It is hard to say, safe": None,
            "mostly safe": None,
            "almost safe": None,
            "Unsafe or not": None,
            "I can't help with that": None,
            "I'm sorry, but I can't assist with unsafe images.": None,
            "I am unable to determine if it is safe.": None,
            "As an AI, I cannot view images.": None,
            "": None,
            "...": None,
        },
    ),
]

NUMBERS: Kind = [
    (
        FIVE,
        {
            "4": "4",
            "4.": "4",
            "4.0": "4",
            "4.00": "4",
            "**4**": "4",
            "(4)": "4",
            "４": "4",
            "٤": "4",
            "4★": "4",
            "4 stars": "4",
            "4 points.": "4",
            "4分": "4",
            "- 4": "4",
            "4/5": "4",
            "4 / 5": "4",
            "4/5 stars": "4",
            "4 out of 5": "4",
            "4 of 5": "4",
            "4 (out of 5)": "4",
            "4 von 5": "4",
            "+4": "4",
            "3.7": None,
            ".5": None,
            "0.4": None,
            "-3": None,
            "−3": None,
            "10": None,
            "15": None,
            "44": None,
            "3-4": None,
            "3 - 4": None,
            "3–4": None,
            "3~4": None,
            "3 to 4": None,
            "3 or 4": None,
            "between 3 and 4": None,
            "4, maybe 5": None,
            "about 4": None,
            "at least 4": None,
            "~4": None,
            "> 4": None,
            "<4": None,
            "4+": None,
            "4½": None,
            "4²": None,
            "4%": None,
            "80%": None,
            "4th": None,
            "x4": None,
            "3D": None,
            "8/10": None,
            "3/4": None,
            "2 of 3": None,
            "4/5/6": None,
            "3,7": None,
            "4,0": None,
            "1. 4": None,
            "2024": None,
            "IV": None,
            "★★★★": None,
            "4.5.6": None,
            "4e0": None,
            "4-ish": None,
        },
    ),
    (
        HALVES,
        {"4.0": "4", "3.50": "3.5", "2.5": "2.5", "3.7": None, "3,5": None, "3.5/5": "3.5"},
    ),
    (
        TEN,
        {
            "10/10": "10",
            "8/10": "8",
            "7 (out of 10)": "7",
            "7.8": None,
            "0.8": None,
            "1": "1",
            "10": "10",
            "110": None,
            "7/7": None,
        },
    ),
    (
        SIGNED,
        {
            "-1": "-1",
            "+1": "1",
            "−1": "-1",
            "–1": "-1",
            "－1": "-1",
            "Score: -1": "-1",
            "Score: −1": "-1",
            "(-1)": "-1",
            "- 1": None,
            "1-0": None,
            "0.0": "0",
        },
    ),
    (("0", "1"), {"0": "0", "1.0": "1", "not 1": "0", "0/1": None, "0.5": None, "01": "1"}),
    (("1", "2", "N/A"), {"N/A": "N/A", "n/a": "N/A", "2": "2", "1 or N/A": None}),
]


def rows(
    *kinds: list[tuple[tuple[str, ...], Rows]],
) -> list[tuple[tuple[str, ...], str, str | None]]:
    return [
        (labels, answer, label)
        for kind in kinds
        for labels, answers in kind
        for answer, label in answers.items()
    ]


@pytest.mark.parametrize(
    ("labels", "answer", "label"),
    rows(WHOLE, WRAPPED, LEADS, STATEMENTS, NEGATED, HEDGED, NUMBERS),
)
def test_a_label_is_read_where_the_answer_says_it_and_nowhere_else(
    labels: tuple[str, ...], answer: str, label: str | None
) -> None:
    read = read_label(answer, labels)
    assert read.label == label
    assert (read.reason is None) == (label is not None)
