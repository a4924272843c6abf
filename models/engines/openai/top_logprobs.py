"""Label log-probabilities from the most probable tokens that a server lists."""

import math
from collections.abc import Sequence

from ...requests.label_logprobs import logsumexp, surface_variants

_AMBIGUOUS_SHARE = 0.01
_MASS_TOLERANCE = 1e-3
_SMALLEST_MASS = 1e-12
"""The mass left for what is not listed, where rounding leaves nothing."""

TopTokens = Sequence[tuple[str, float]]


def are_probabilities(top: TopTokens) -> bool:
    """Whether listed log-probabilities can be such: no NaN, and no more than 1 altogether."""
    logprobs = [logprob for _, logprob in top]
    if any(math.isnan(logprob) or logprob > _MASS_TOLERANCE for logprob in logprobs):
        return False
    return math.fsum(map(math.exp, logprobs)) <= 1 + _MASS_TOLERANCE


def label_logprobs_of(top: TopTokens, labels: Sequence[str]) -> dict[str, float] | None:
    """Label log-probabilities from (token text, log-probability) of the likeliest first tokens.

    A token counts for a label if it starts a surface variant of that label alone. Labels without a
    token among them share the mass that is not listed, and none gets more than the least listed
    token, nor as much as a label that is listed. None if no label is among them, or if a likely
    token starts several labels ("1" of "1" and "10").
    """
    found: dict[str, list[float]] = {label: [] for label in labels}
    for token, logprob in top:
        starts = _labels_starting_with(token.strip(), labels)
        if len(starts) == 1:
            found[starts[0]].append(logprob)
        elif len(starts) > 1 and math.exp(logprob) >= _AMBIGUOUS_SHARE:
            return None
    listed = {label: logsumexp(values) for label, values in found.items() if values}
    if not listed:
        return None
    floor = _floor([logprob for _, logprob in top], min(listed.values()), len(labels) - len(listed))
    return {label: listed.get(label, floor) for label in labels}


def _floor(listed: Sequence[float], least_label: float, num_unlisted: int) -> float:
    """The log-probability of each label that is not listed. listed: of all tokens that are."""
    left = max(1 - math.fsum(map(math.exp, listed)), _SMALLEST_MASS)
    floor = min([*listed, math.log(left / max(num_unlisted, 1))])
    return floor if floor < least_label else math.nextafter(least_label, -math.inf)


def _labels_starting_with(token: str, labels: Sequence[str]) -> list[str]:
    if not token:
        return []
    if token in labels and not any(other != token and other.startswith(token) for other in labels):
        return [token]
    return [
        label
        for label in labels
        if any(variant.strip().startswith(token) for variant in surface_variants(label))
    ]
