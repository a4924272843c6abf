"""Label probabilities read off listed tokens are probabilities, in the order of the tokens."""

import math
from collections.abc import Mapping

import pytest
from blpo.models.engine import Reply
from blpo.models.engines.openai.top_logprobs import are_probabilities, label_logprobs_of
from blpo.models.roles.judge import read_verdict
from hypothesis import given
from hypothesis import strategies as st

LABELS = ("Safe", "Unsafe", "Unclear", "Other")
TOKENS = ("Safe", "Unsafe", "Unclear", "Other", "The", "Image")


@st.composite
def listings(draw: st.DrawFn) -> list[tuple[str, float]]:
    """Distinct tokens with probabilities of at most 1 in all, likeliest first."""
    tokens = draw(st.lists(st.sampled_from(TOKENS), min_size=1, unique=True))
    weights = [draw(st.floats(1e-9, 1.0)) for _ in tokens]
    whole = math.fsum(weights) * draw(st.floats(1.0, 10.0))
    shares = sorted((weight / whole for weight in weights), reverse=True)
    return [(token, math.log(share)) for token, share in zip(tokens, shares, strict=True)]


@given(listings())
def test_labels_have_no_more_than_all_probability(listed: list[tuple[str, float]]) -> None:
    assert are_probabilities(listed)
    found = label_logprobs_of(listed, LABELS)
    if found is not None:
        assert math.fsum(map(math.exp, found.values())) <= 1 + 1e-9


@given(listings())
def test_listed_labels_keep_their_probability_and_beat_all_that_are_not(
    listed: list[tuple[str, float]],
) -> None:
    found = label_logprobs_of(listed, LABELS)
    named = {token: logprob for token, logprob in listed if token in LABELS}
    if found is None:
        assert not named
        return
    assert {label: found[label] for label in named} == pytest.approx(named)
    unlisted = [logprob for label, logprob in found.items() if label not in named]
    assert all(logprob < least for logprob in unlisted for least in named.values())
    assert all(logprob <= listed[-1][1] for logprob in unlisted)
    left = 1 - math.fsum(math.exp(logprob) for _, logprob in listed)
    assert math.fsum(map(math.exp, unlisted)) <= max(left, 0) + 1e-9


@given(listings(), st.floats(0.0, 1.0))
def test_a_token_that_becomes_likelier_never_makes_its_label_less_likely(
    listed: list[tuple[str, float]], share: float
) -> None:
    left = 1 - math.fsum(math.exp(logprob) for _, logprob in listed)
    token, logprob = listed[0]
    raised = math.log(math.exp(logprob) + share * max(left, 0.0))
    before, after = (
        label_logprobs_of(of, LABELS) for of in (listed, [(token, raised), *listed[1:]])
    )
    if before is not None and after is not None and token in LABELS:
        assert after[token] >= before[token]
        # Of a single token, the cap for what is not listed rises with it.
        least = before if len(listed) > 1 else dict.fromkeys(LABELS, 0.0)
        assert all(after[label] <= least[label] + 1e-9 for label in LABELS if label != token)


@given(st.fixed_dictionaries({label: st.floats(-50.0, -2.0) for label in LABELS}))
def test_a_verdict_is_the_likeliest_label_and_its_probabilities_add_up_to_1(
    logprobs: Mapping[str, float],
) -> None:
    verdict = read_verdict(Reply("", "label", logprobs), LABELS)
    assert verdict.probabilities is not None
    assert math.fsum(verdict.probabilities.values()) == pytest.approx(1.0)
    assert verdict.label is not None
    assert logprobs[verdict.label] == pytest.approx(max(logprobs.values()))
    assert verdict.label_mass is not None
    assert 0 < verdict.label_mass <= 1


@given(st.sampled_from(LABELS), st.sampled_from([math.nan, math.inf, 0.5, 900.0, 0.0]))
def test_what_is_no_probability_or_more_than_1_in_all_is_no_verdict(
    label: str, logprob: float
) -> None:
    logprobs = {other: math.log(0.3) for other in LABELS} | {label: logprob}
    verdict = read_verdict(Reply(label, "label", logprobs), LABELS)
    assert verdict.label is None
    assert verdict.reason == "the label probabilities are none: NaN, or more than 1 in all"
