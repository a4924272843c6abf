"""What the proposals of one outer step are compared with, and what may not count for them."""

from collections.abc import Sequence
from dataclasses import dataclass

from ....data.examples import Example
from ...search.paired_gain import Losses, Strata
from ..records import InnerProblem


@dataclass(frozen=True, slots=True)
class Lineage:
    """p_t on the training examples.

    losses: under p_t. strata: whether p_t judges an item right. seen: example_ids that an
    optimizer call of p_t's lineage, or of this step, was shown: they tell nothing of a p'.
    """

    losses: Losses
    strata: Strata
    seen: frozenset[str]


def lineage_of(
    problem: InnerProblem, train: Sequence[Example], losses: Losses, seen: frozenset[str]
) -> Lineage:
    """losses: of p_t by example_id. seen: by its lineage before this step."""
    strata = {
        example.example_id: verdict.label == example.label
        for example, verdict in zip(train, problem.verdicts, strict=True)
    }
    shown_now = {example.example_id for example in problem.examples}
    return Lineage(losses, strata, seen | shown_now)
