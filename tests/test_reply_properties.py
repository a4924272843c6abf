"""What holds of the readers whatever the text."""

import re
import string

from blpo.models.replies.label import read_label
from blpo.models.replies.label_set import other_label
from blpo.models.replies.normal import folded, plain
from blpo.models.replies.prompt import clean, read_prompts
from blpo.models.replies.thought import read
from hypothesis import given, settings
from hypothesis import strategies as st

SETS = [
    ("Safe", "Unsafe"),
    ("1", "2", "3", "4", "5"),
    ("-1", "0", "1"),
    ("1", "1.5", "2"),
    ("A", "tie", "B"),
    ("yes", "no"),
    ("安全", "不安全"),
    ("👍", "👎"),
    ("Very Good", "Good", "N/A"),
]
PIECES = [label for labels in SETS for label in labels] + re.split(
    " ",
    "not isn't no never Final answer: Rating: the image is a I because if or / - . , : ; ? ! ( ) \n"
    ' ** ` { } [ ] " <think> </think> <answer> </answer> <prompt> </prompt> <|channel|> final'
    " <|message|> judge_prompt \\boxed{ | # ``` 10 3.7 4/5 out of 5 − ４ 不 的 ではない",
)
TEXTS = st.one_of(
    st.text(max_size=80),
    st.text(alphabet=string.printable, max_size=80),
    st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join),
    st.lists(st.sampled_from(PIECES), max_size=12).map("".join),
)


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(TEXTS, st.sampled_from(SETS))
def test_a_label_that_is_read_occurs_in_the_answer(answer: str, labels: tuple[str, ...]) -> None:
    found = read_label(answer, labels)
    assert (found.label is None) == bool(found.reason)
    if found.label is not None:
        assert found.label in labels
        named = {found.label, other_label(found.label, labels)} - {None}
        text = folded(plain(answer)).replace("-", "").replace("_", "")
        digits = {str(label).rstrip("0").rstrip(".").lstrip("-") for label in named}
        assert any(folded(str(label)) in text for label in named) or any(
            digit in text for digit in digits
        )


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(TEXTS, st.sampled_from(["stop", "length"]), st.booleans())
def test_a_reply_is_taken_apart_without_loss(text: str, finish: str, may_be_opened: bool) -> None:
    found = read(text, "length" if finish == "length" else "stop", may_be_opened=may_be_opened)
    assert text.startswith(found.before)
    assert found.answer in text
    assert not (found.is_complete and finish == "length")
    assert found.missing != "thought" or not found.answer


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(TEXTS)
def test_a_prompt_that_is_read_is_a_part_of_the_answer(answer: str) -> None:
    texts, reason = read_prompts(answer)
    assert bool(texts) == (reason == "")
    assert all(text and text in answer and clean(text) == text for text in texts)


def test_a_reply_that_repeats_itself_is_read_in_time_that_grows_with_its_length() -> None:
    for piece in ("Safe ", "in conclusion, ", "应该", "--", "\n", "1 ", "x.", "~~~", "<prompt>"):
        text = piece * (6_000 // len(piece))
        read(text, "stop")
        read_prompts(f"<prompt>{text}</prompt>")
        for labels in SETS:
            assert read_label(f"{text} 4?", labels).label is None
