"""A word that nobody knows: the message proposes the one that may be meant."""

import pytest
from blpo.data.near_words import did_you_mean, near_words

KNOWN = ("seed", "store", "Label", "judge_prompt")


@pytest.mark.parametrize(
    ("word", "meant"),
    [("sed", "seed"), ("STORE", "store"), ("lable", "Label"), ("judge_promt", "judge_prompt")],
)
def test_the_nearest_word_is_proposed_in_whatever_case(word: str, meant: str) -> None:
    assert near_words(word, KNOWN)[0] == meant
    assert did_you_mean(word, KNOWN) == f"; did you mean '{meant}'?"
    assert did_you_mean(word, KNOWN, "`{}`".format) == f"; did you mean `{meant}`?"


@pytest.mark.parametrize("word", ["", "dataset", "so", "judge"])
def test_a_word_of_which_more_than_a_quarter_differs_is_not_proposed(word: str) -> None:
    assert near_words(word, KNOWN) == []
    assert did_you_mean(word, KNOWN) == ""
