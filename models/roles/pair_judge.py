"""Judging pairs: which of two images is preferred, whatever their order.

`joint`: both images in one request, once in each order. The probability of a label is its mean
over the orders after the second is turned back, so that a judge that always answers the first
image is at one half. `scores`: one request per image, on a scale of its own; the probability that
A is preferred is that of a label drawn for A being higher than one drawn for B, and equal labels
are a tie. Both are made of ordinary verdicts on one request each.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from statistics import fmean
from typing import Literal, Protocol

from ...data.images import ImageRef
from ...data.pairs import SWAPPED_LABELS
from ...data.tasks import TIE, Task
from ..engine import Engine
from .judge import TEXT_VERDICT_TOKENS, Judge, Shown, Verdict, mean_mass, total_cost

Orders = Literal["both", "hashed"]
"""Whether a joint judge is asked about a pair in both orders, or in one that a hash decides."""


_ORDER_NAMES = ("image A first", "image B first")


class ShownPair(Shown, Protocol):
    """What of a pair a model is shown; its images are image A and image B."""

    @property
    def example_id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class PairVerdict(Verdict):
    """The verdict on a pair, and what a joint judge said in each order.

    in_order: with image A first, turned: with image B first; both name the images as the pair
    does, and are None for an order that was not asked, or got no label. num_orders: that were
    asked; 0 where the images were judged one at a time.
    """

    in_order: str | None = None
    turned: str | None = None
    num_orders: int = 0


@dataclass(frozen=True, slots=True)
class _View:
    """One request's share of a pair."""

    images: tuple[ImageRef, ...]
    text: str | None


class PairJudge:
    """Asks an engine which image of a pair is preferred, in the task's way of comparing."""

    def __init__(
        self,
        engine: Engine,
        task: Task,
        orders: Orders = "both",
        reasoning_tokens: int | None = None,
        max_tokens: int = TEXT_VERDICT_TOKENS,
        thinking_tokens: int = 0,
    ) -> None:
        self._task = task
        self._orders: Orders = orders
        asked = task
        if task.compare == "scores":
            asked = task.model_copy(
                update={
                    "kind": "ordinal",
                    "labels": task.score_labels,
                    "compare": None,
                    "score_labels": (),
                }
            )
        self._judge = Judge(engine, asked, reasoning_tokens, max_tokens, thinking_tokens)

    def __call__(
        self, judge_prompt: str, examples: Sequence[ShownPair], sample_index: int = 0
    ) -> list[Verdict]:
        """One verdict per pair, in order."""
        return self.pairs([(judge_prompt, example) for example in examples], sample_index)

    def pairs(self, pairs: Sequence[tuple[str, ShownPair]], sample_index: int = 0) -> list[Verdict]:
        """One verdict per (judge prompt, example), in order; one batch."""
        views = [self._views(example) for _, example in pairs]
        questions = [
            (prompt, view) for (prompt, _), some in zip(pairs, views, strict=True) for view in some
        ]
        answers = iter(self._judge.pairs(questions, sample_index))
        return [
            self._with_reasoning(example, [next(answers) for _ in some])
            for (_, example), some in zip(pairs, views, strict=True)
        ]

    def _with_reasoning(self, example: ShownPair, answers: Sequence[Verdict]) -> Verdict:
        """The verdict with what all answers cost, and what each rests on, by the image that it
        says it of."""
        names = ("image A", "image B") if self._task.compare == "scores" else _ORDER_NAMES
        if len(answers) == 1:
            names = names[is_turned(example.example_id) :]
        given = [
            f"{name}: {answer.reasoning}"
            for name, answer in zip(names, answers, strict=False)
            if answer.reasoning is not None
        ]
        return replace(
            self._verdict(example, answers),
            reasoning="\n\n".join(given) if given else None,
            cost=total_cost(answers),
        )

    def _views(self, example: ShownPair) -> list[_View]:
        if self._task.compare == "scores":
            return [_View((image,), example.text) for image in example.images]
        views = [_View(images, example.text) for images in (example.images, example.images[::-1])]
        return views if self._orders == "both" else [views[is_turned(example.example_id)]]

    def _verdict(self, example: ShownPair, answers: Sequence[Verdict]) -> Verdict:
        if self._task.compare == "scores":
            return compare_scores(answers[0], answers[1], self._task)
        if self._orders == "both":
            return average_orders(answers[0], turn_back(answers[1]), self._task)
        [answer] = answers
        turned = is_turned(example.example_id)
        given = turn_back(answer) if turned else answer
        return _pair_verdict(given, 1, **{"turned" if turned else "in_order": given.label})


def is_turned(example_id: str) -> bool:
    """Whether the one order in which a pair is asked has image B first: for half of the ids.

    Independent of the hash by which importers order a pair: else it would undo theirs.
    """
    return hashlib.sha256(f"presented/{example_id}".encode()).digest()[0] % 2 == 1


def turn_back(verdict: Verdict) -> Verdict:
    """A verdict on a pair that was shown with image B first, in the pair's own terms."""
    label, probabilities = verdict.label, verdict.probabilities
    return replace(
        verdict,
        label=None if label is None else SWAPPED_LABELS[label],
        probabilities=probabilities
        and {k: probabilities[SWAPPED_LABELS[k]] for k in probabilities},
    )


def average_orders(in_order: Verdict, turned: Verdict, task: Task) -> PairVerdict:
    """The verdict of both orders, each in the pair's own terms.

    By the mean probability of each label. Without probabilities, orders that disagree are a tie,
    or no label in a task without one. An order without a label leaves the pair without one.
    """
    failed = next((verdict for verdict in (in_order, turned) if verdict.label is None), None)
    if failed is not None:
        verdict = replace(failed, probabilities=None, reasoning=None)
    elif in_order.probabilities and turned.probabilities:
        both = in_order.probabilities, turned.probabilities
        mean = {label: fmean(one[label] for one in both) for label in task.labels}
        verdict = Verdict(_likeliest(mean), mean, mean_mass((in_order, turned)))
    elif in_order.label == turned.label:
        verdict = Verdict(in_order.label)
    elif TIE in task.labels:
        verdict = Verdict(TIE)
    else:
        verdict = Verdict(None, reason="the two orders disagree")
    return _pair_verdict(verdict, 2, in_order=in_order.label, turned=turned.label)


def compare_scores(first: Verdict, second: Verdict, task: Task) -> PairVerdict:
    """The preference that two verdicts on single images come to; labels are worst first.

    P(A) is the probability that a label drawn for A is higher than one drawn for B. A task
    without ties shares equal labels out evenly. A verdict without probabilities counts as certain.
    """
    failed = next((verdict for verdict in (first, second) if verdict.label is None), None)
    if failed is not None:
        return _pair_verdict(replace(failed, probabilities=None), 0)
    step = {label: place for place, label in enumerate(task.score_labels)}
    shares: dict[str, float] = dict.fromkeys(("A", TIE, "B"), 0.0)
    for (one, p), (other, q) in product(first.shares.items(), second.shares.items()):
        higher = step[one] - step[other]
        shares[TIE if higher == 0 else "A" if higher > 0 else "B"] += p * q
    if TIE not in task.labels:
        tie = shares.pop(TIE)
        shares = {label: share + tie / 2 for label, share in shares.items()}
    return PairVerdict(_likeliest(shares), shares, mean_mass((first, second)))


def _likeliest(probabilities: Mapping[str, float]) -> str:
    """A draw between A and B goes to the tie where there is one, else to A."""
    a, b = probabilities["A"], probabilities["B"]
    if TIE in probabilities and (a == b or probabilities[TIE] >= max(a, b)):
        return TIE
    return "A" if a >= b else "B"


def _pair_verdict(
    verdict: Verdict, num_orders: int, *, in_order: str | None = None, turned: str | None = None
) -> PairVerdict:
    return PairVerdict(
        verdict.label,
        verdict.probabilities,
        verdict.label_mass,
        verdict.reason,
        is_error=verdict.is_error,
        in_order=in_order,
        turned=turned,
        num_orders=num_orders,
    )
