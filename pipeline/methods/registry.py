"""The searches behind the methods: how each improves a judge prompt.

To add a method: a file with its configuration, `search` and `expected_calls`; its name in
`methods.Method`; its entry in `SEARCHES`; the section of its configuration in `RunConfig`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...models.wrappers.ledger import Role
from ..baselines import apo, opro, textgrad
from ..blpo import to_steps as blpo_steps
from ..search.step import Step
from .names import Method


@dataclass(frozen=True, slots=True)
class Search:
    """How a method searches.

    run: (roles, training examples, p_0, q_0, configuration, seed) -> steps. Every step is
        yielded as soon as it is done, and the next one starts from its next judge prompt. The
        search asks models through `roles` alone, which may raise `BudgetSpentError` on any
        question: a step ends there with what it has (`budget.until_spent`), or is left undone.
    expected_calls: (configuration, number of training examples) -> calls of every role if no step
        ends early and nothing has to be asked again.
    section: key of the method's configuration in a run file. fixed: values of it that the method
        decides. sees_images: whether the optimizer is shown images.
    """

    run: Callable[..., Iterator[Step]]
    expected_calls: Callable[[Any, int], Mapping[Role, int]]
    section: str
    fixed: Mapping[str, Any] = field(default_factory=dict[str, Any])
    sees_images: bool = False


def _blpo(**fixed: Any) -> Search:
    return Search(blpo_steps.search, blpo_steps.expected_calls, "algorithm", fixed)


def _apo(evidence: str) -> Search:
    fixed = {"evidence": evidence}
    return Search(apo.search, apo.expected_calls, "apo", fixed, evidence == "images")


SEARCHES: Mapping[Method, Search] = {
    Method.NONE: _blpo(outer_steps=0),
    Method.BLPO: _blpo(i2t="learned"),
    Method.BLPO_FIXED_I2T: _blpo(i2t="fixed"),
    Method.BLPO_JUDGE_I2T: _blpo(i2t="judge_prompt"),
    Method.OPRO: Search(opro.search, opro.expected_calls, "opro"),
    Method.APO: _apo("verbalizations"),
    Method.APO_IMAGE: _apo("images"),
    Method.TEXTGRAD: Search(textgrad.search, textgrad.expected_calls, "textgrad"),
}
