"""Reading verdicts from replies."""

import math

import pytest
from blpo.models.engine import Reply
from blpo.models.roles.judge import read_verdict

LABELS = ("Safe", "Unsafe")


def test_the_most_probable_label_is_the_verdict() -> None:
    reply = Reply("Unsafe", "label", {"Safe": math.log(0.2), "Unsafe": math.log(0.6)})
    verdict = read_verdict(reply, LABELS)
    assert verdict.label == "Unsafe"
    assert verdict.label_mass == pytest.approx(0.8)
    assert verdict.probabilities == pytest.approx({"Safe": 0.25, "Unsafe": 0.75})


def test_a_tie_goes_to_the_label_declared_first() -> None:
    reply = Reply("Unsafe", "label", {"Safe": math.log(0.3), "Unsafe": math.log(0.3)})
    assert read_verdict(reply, LABELS).label == "Safe"


def test_no_probability_on_any_label_is_no_verdict() -> None:
    verdict = read_verdict(Reply("", "label", dict.fromkeys(LABELS, -math.inf)), LABELS)
    assert verdict.label is None
    assert verdict.reason == "no probability on any declared label"


@pytest.mark.parametrize(
    ("text", "label"),
    [("Unsafe", "Unsafe"), ("safe.", "Safe"), ("The image is UNSAFE!", "Unsafe")],
)
def test_text_replies_are_parsed_as_whole_words_without_case(text: str, label: str) -> None:
    assert read_verdict(Reply(text, "stop"), LABELS).label == label


@pytest.mark.parametrize("text", ["", "I cannot say", "safe or unsafe", "safety"])
def test_a_text_without_exactly_one_label_is_no_verdict(text: str) -> None:
    verdict = read_verdict(Reply(text, "stop"), LABELS)
    assert verdict.label is None
    assert verdict.reason


def test_a_digit_inside_a_number_is_not_a_label() -> None:
    labels = tuple("1234567")
    assert read_verdict(Reply("15", "stop"), labels).label is None
    assert read_verdict(Reply("5/9", "stop"), labels).label is None
    assert read_verdict(Reply("5/7", "stop"), labels).label == "5"
    assert read_verdict(Reply("Score: 5.", "stop"), labels).label == "5"


@pytest.mark.parametrize(
    ("text", "label"),
    [("a", "A"), ("**b**.", "B"), ("B shows a cat", "B"), ("a cat, a dog", None), ("A or B", None)],
)
def test_an_article_is_not_a_label(text: str, label: str | None) -> None:
    assert read_verdict(Reply(text, "stop"), ("A", "B")).label == label


def test_of_labels_that_begin_alike_the_longer_one_is_read() -> None:
    assert read_verdict(Reply("Grade: a+", "stop"), ("A", "A+")).label == "A+"


def test_a_failed_request_is_no_verdict_and_says_why() -> None:
    verdict = read_verdict(Reply("", "error", error="prompt too long"), LABELS)
    assert (verdict.label, verdict.reason) == (None, "prompt too long")
