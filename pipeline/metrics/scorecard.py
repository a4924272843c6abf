"""The judge against reference raters: majority class, chance, and annotators among themselves."""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from ...data.examples import Example
from ...data.tasks import Task
from ...models.roles.judge import Verdict
from .human_ceiling import HumanCeiling, human_ceiling, simulated_ceiling
from .intervals import Values
from .libraries import sklearn_metrics
from .probabilities import Calibration, calibration
from .scores import NO_LABEL, Scores, Steps, score, to_steps


class CategoryScores(BaseModel):
    """Agreement within one category; macro F1 over all declared labels."""

    model_config = ConfigDict(frozen=True)

    n: int
    accuracy: float
    macro_f1: float
    no_label: int


class Scorecard(BaseModel):
    """The judge and its references on the same examples.

    majority: always the label most frequent among these examples, the first declared of several.
    chance: expected scores of labels drawn uniformly.
    human: None unless examples have ratings of several annotators, or raw scores with their spread.
    calibration: of the judge's probabilities; None without any.
    """

    model_config = ConfigDict(frozen=True)

    judge: Scores
    majority: Scores
    chance: Scores
    human: HumanCeiling | None
    categories: dict[str, CategoryScores]
    calibration: Calibration | None = None

    def rows(self) -> dict[str, Scores]:
        """Scores by the name that tables give the rater."""
        humans = {self.human.name: self.human.scores} if self.human else {}
        references = {"majority class": self.majority, "chance": self.chance}
        return {"judge": self.judge} | humans | references


def scorecard(examples: Sequence[Example], verdicts: Sequence[Verdict], task: Task) -> Scorecard:
    """The scorecard of verdicts, one per example in order."""
    human = to_steps([example.label for example in examples], task)
    judged = to_steps([verdict.label for verdict in verdicts], task)
    raw = _raw_scores(examples)
    judge = score(human, judged, task, raw)
    return Scorecard(
        judge=judge.model_copy(update={"auroc": _auroc(human, verdicts, task)}),
        majority=score(human, np.full_like(human, _majority(human)), task, raw),
        chance=_chance(human, task),
        human=human_ceiling([example.ratings for example in examples], task)
        or simulated_ceiling(examples, task),
        categories=_by_category(examples, human, judged, task),
        calibration=calibration(human, verdicts, task),
    )


def _majority(human: Steps) -> int:
    return int(np.argmax(np.bincount(human)))


def _raw_scores(examples: Sequence[Example]) -> Values | None:
    scores = [example.score for example in examples if example.score is not None]
    return np.array(scores) if len(scores) == len(examples) else None


def _chance(human: Steps, task: Task) -> Scores:
    """Every answer to every example, each counted 1 / K; independent answers do not correlate."""
    num_labels = len(task.labels)
    answers = np.tile(np.arange(num_labels), len(human))
    weights = np.full(len(answers), 1 / num_labels)
    scores = score(np.repeat(human, num_labels), answers, task, weights=weights)
    if task.kind != "ordinal":
        return scores
    return scores.model_copy(update={"spearman": 0.0, "kendall": 0.0})


def _auroc(human: Steps, verdicts: Sequence[Verdict], task: Task) -> float | None:
    positive = task.labels[-1]
    found = [v.probabilities[positive] for v in verdicts if v.probabilities is not None]
    if task.kind != "binary" or len(found) < len(verdicts) or len(np.unique(human)) < 2:
        return None
    return float(sklearn_metrics().roc_auc_score(human, found))


def _by_category(
    examples: Sequence[Example], human: Steps, judged: Steps, task: Task
) -> dict[str, CategoryScores]:
    names = np.array([example.category or "" for example in examples])
    found: dict[str, CategoryScores] = {}
    for name in sorted(set(names.tolist()) - {""}):
        inside = names == name
        scores = score(human[inside], judged[inside], task)
        found[name] = CategoryScores(
            n=int(inside.sum()),
            accuracy=scores.accuracy,
            macro_f1=scores.macro_f1,
            no_label=int((judged[inside] == NO_LABEL).sum()),
        )
    return found
