"""What a method is: a search for a better judge prompt."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from ...data.examples import Example
from ...models.wrappers.ledger import Role
from ..search.step import Step


class Search(Protocol):
    """How a method searches, and which values of its settings it decides.

    section: key of the method's settings in a run file. length: the one among them that says how
        many steps it takes.
    fixed: values of that section that the method decides.
    sees_images: whether the optimizer is shown images.
    rewrites_criteria: whether it rewrites the prompts of single criteria, one in a step.
    """

    @property
    def section(self) -> str: ...

    @property
    def length(self) -> str: ...

    @property
    def fixed(self) -> Mapping[str, Any]: ...

    @property
    def sees_images(self) -> bool: ...

    @property
    def rewrites_criteria(self) -> bool: ...

    def run(
        self,
        roles: Any,
        train: Sequence[Example],
        judge_prompt: str,
        i2t_prompt: str,
        config: Any,
        seed: int,
        /,
    ) -> Iterator[Step]:
        """The steps of a search from p_0 and q_0.

        Every step is yielded as soon as it is done, and the next one starts from its next judge
        prompt. The search asks models through `roles` alone, which may raise `BudgetSpentError` on
        any question: a step ends there with what it has (`budget.until_spent`), or is left undone.
        config: the method's section of the run file, with the values it decides.
        """
        ...

    def expected_calls(self, config: Any, num_train: int, /) -> Mapping[Role, int]:
        """Calls of every role if no step ends early and nothing has to be asked again."""
        ...
