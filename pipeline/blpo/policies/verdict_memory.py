"""Verdicts of one search, each asked for once."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from ....data.examples import Example
from ....models.roles.judge import Verdict


class Judging(Protocol):
    """Verdicts on (judge prompt, example) pairs, in one batch, in order."""

    def __call__(self, pairs: Sequence[tuple[str, Example]]) -> list[Verdict]: ...


class Judgments:
    """The verdicts of a search, by judge prompt and example.

    ask_once: whether one that is known is not asked for again.
    """

    def __init__(self, judge: Judging, *, ask_once: bool) -> None:
        self._judge = judge
        self._ask_once = ask_once
        self._known: dict[str, dict[str, Verdict]] = {}

    def __call__(self, judge_prompt: str, examples: Sequence[Example]) -> list[Verdict]:
        """One verdict per example, in order."""
        return self.each([judge_prompt], examples)[0]

    def each(
        self, judge_prompts: Sequence[str], examples: Sequence[Example]
    ) -> list[list[Verdict]]:
        """For each judge prompt one verdict per example, in order; one batch."""
        pairs = [(prompt, example) for prompt in judge_prompts for example in examples]
        verdicts = self._ask(pairs)
        num = len(examples)
        return [verdicts[i * num : (i + 1) * num] for i in range(len(judge_prompts))]

    @property
    def all(self) -> Mapping[str, Mapping[str, Verdict]]:
        """All verdicts so far, by judge prompt and example_id."""
        return self._known

    def known(self, judge_prompt: str) -> dict[str, Verdict]:
        """All verdicts under a judge prompt so far, by example_id."""
        return dict(self._known.get(judge_prompt, {}))

    def _ask(self, pairs: Sequence[tuple[str, Example]]) -> list[Verdict]:
        """Verdicts on pairs, in order; `ask_once` leaves out those that are known."""
        wanted = [pair for pair in pairs if not (self._ask_once and self._knows(*pair))]
        verdicts = self._judge(wanted) if wanted else []
        for (prompt, example), verdict in zip(wanted, verdicts, strict=True):
            self._known.setdefault(prompt, {})[example.example_id] = verdict
        return [self._known[prompt][example.example_id] for prompt, example in pairs]

    def _knows(self, judge_prompt: str, example: Example) -> bool:
        return example.example_id in self._known.get(judge_prompt, {})
