"""How far verdicts agree with the human labels, with intervals.

A verdict without a label counts as wrong in every metric. Macro F1 is taken over the declared
label set, never over the labels that happen to occur.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from ...data.tasks import Metric
from ...models.roles.judge import Verdict
from .intervals import RESAMPLES, Counts, Interval, Values, bootstrap_weights, percentiles, wilson
from .labelled import Labelled
from .pairs import PairScores, pair_scores


class Agreement(BaseModel):
    """Agreement of one prompt's verdicts with the labels.

    ci95: accuracy by Wilson; macro_f1 by percentile bootstrap over groups within classes.
    confusion: rows the human labels, columns the verdicts, both in declared order, one more
        column for verdicts without a label.
    label_mass: mean probability on the declared labels; None without log-probabilities.
    pairs: for verdicts on pairs.
    """

    model_config = ConfigDict(frozen=True)

    macro_f1: float
    accuracy: float
    n: int
    ci95: dict[str, Interval]
    unparsable_share: float
    label_mass: float | None
    confusion: list[list[int]]
    pairs: PairScores | None = None


class Gain(BaseModel):
    """Paired difference, final minus initial, with bootstrap intervals as macro F1 has them.

    kappa: of Cohen's, the agreement beyond what the shares of the verdicts give by chance.
    """

    model_config = ConfigDict(frozen=True)

    accuracy: float
    macro_f1: float
    kappa: float
    ci95: dict[str, Interval]

    def is_found(self, metric: Metric) -> bool:
        """Whether the lower 95 % bounds of both the metric's gain and kappa's are above 0.

        The metric alone can rise, truly, when only the distribution of the verdicts moves towards
        that of the labels: guesses independent of the images have a higher macro F1 than a judge
        that always gives one label, significantly so in half of all tests of 200 examples. With
        kappa required as well, that happens in at most one test in forty
        (`scripts/study_chance.py`).
        """
        return is_gain(self.ci95[metric], self.ci95["kappa"])


def is_gain(metric: Interval, kappa: Interval) -> bool:
    """The one rule for a gain, see `Gain.is_found`: both lower bounds are above 0."""
    return metric[0] > 0 and kappa[0] > 0


def agreement(
    examples: Sequence[Labelled], verdicts: Sequence[Verdict], labels: Sequence[str], seed: int
) -> Agreement:
    """Metrics of verdicts, one per example in order."""
    by_group = group_confusions(examples, verdicts, labels)
    confusion = by_group.sum(axis=0)
    correct, total = int(np.trace(confusion)), int(confusion.sum())
    resampled = resample(by_group, seed)
    masses = [verdict.label_mass for verdict in verdicts if verdict.label_mass is not None]
    return Agreement(
        macro_f1=float(macro_f1(confusion)),
        accuracy=correct / total,
        n=total,
        ci95={
            "accuracy": wilson(correct, total),
            "macro_f1": percentiles(macro_f1(resampled)),
        },
        unparsable_share=float(confusion[:, -1].sum() / total),
        label_mass=float(np.mean(masses)) if masses else None,
        confusion=confusion.tolist(),
        pairs=pair_scores(examples, verdicts, seed),
    )


def gain(
    examples: Sequence[Labelled],
    initial: Sequence[Verdict],
    final: Sequence[Verdict],
    labels: Sequence[str],
    seed: int,
) -> Gain:
    """What the final verdicts gained over the initial ones on the same examples."""
    before = group_confusions(examples, initial, labels)
    after = group_confusions(examples, final, labels)
    before_resampled, after_resampled = resample(before, seed), resample(after, seed)
    before_total, after_total = before.sum(axis=0), after.sum(axis=0)
    values: dict[str, float] = {}
    ci95: dict[str, Interval] = {}
    for name, metric in GAIN_METRICS.items():
        values[name] = float(metric(after_total) - metric(before_total))
        ci95[name] = percentiles(metric(after_resampled) - metric(before_resampled))
    return Gain(**values, ci95=ci95)


def group_confusions(
    examples: Sequence[Labelled], verdicts: Sequence[Verdict], labels: Sequence[str]
) -> Counts:
    """Confusion counts of every group: int64 [groups, labels, labels + 1], groups sorted."""
    column = {label: index for index, label in enumerate(labels)}
    groups = {group: i for i, group in enumerate(sorted({e.group for e in examples}))}
    counts = np.zeros((len(groups), len(labels), len(labels) + 1), dtype=np.int64)
    for example, verdict in zip(examples, verdicts, strict=True):
        judged = len(labels) if verdict.label is None else column[verdict.label]
        counts[groups[example.group], column[example.label], judged] += 1
    return counts


def accuracy(confusion: Counts | Values) -> Values:
    """Accuracy of confusion counts [..., labels, labels + 1]."""
    correct = np.trace(confusion, axis1=-2, axis2=-1)
    return correct / np.maximum(confusion.sum(axis=(-2, -1)), 1)


def macro_f1(confusion: Counts | Values) -> Values:
    """Macro F1 of confusion counts [..., labels, labels + 1]; a label that never occurs is 0."""
    true_positives = np.diagonal(confusion[..., :-1], axis1=-2, axis2=-1)
    occurrences = confusion.sum(axis=-1) + confusion[..., :-1].sum(axis=-2)
    return np.mean(2 * true_positives / np.maximum(occurrences, 1), axis=-1)


def kappa(confusion: Counts | Values) -> Values:
    """Cohen's kappa of confusion counts [..., labels, labels + 1]; 0 where chance is always right.

    A verdict without a label agrees with no person, by chance neither.
    """
    total = np.maximum(confusion.sum(axis=(-2, -1)), 1)
    labels, verdicts = confusion.sum(axis=-1), confusion[..., :-1].sum(axis=-2)
    by_chance = np.sum(labels * verdicts, axis=-1) / total**2
    beyond = accuracy(confusion) - by_chance
    return np.divide(beyond, 1 - by_chance, out=np.zeros_like(beyond), where=by_chance < 1)


GAIN_METRICS: Mapping[str, Callable[[Counts | Values], Values]] = {
    "accuracy": accuracy,
    "macro_f1": macro_f1,
    "kappa": kappa,
}
"""The metrics of a gain, from confusion counts."""


def resample(by_group: Counts, seed: int, resamples: int = RESAMPLES) -> Values:
    """Confusion counts of groups drawn anew within classes: [resamples, labels, labels + 1].

    A group belongs to the class of most of its examples, the one declared first of several. With
    groups of one class each, the classes keep their sizes in every resample; otherwise nearly so.
    The same seed draws the same groups for all verdicts on the same examples, which makes
    differences between them paired ones.
    """
    weights = bootstrap_weights(classes(by_group), seed, resamples)
    return np.einsum("rg,gij->rij", weights, by_group, optimize=True)


def classes(by_group: Counts) -> Counts:
    """The class of each group, as an index into the declared labels."""
    return by_group.sum(axis=2).argmax(axis=1)
