"""gepa 0.1.4 with the components {judge, i2t}.

Settings, each where gepa leaves a choice:
 1. Training and validation set are stratified halves of the training examples, as in our TextGrad:
    no method gets more labels.
 2. A row of the reflective dataset is a case: the description under the candidate's own I2T
    prompt, human label, verdict; right and wrong ones. For the component `i2t` the candidate's
    judge prompt stands beside them.
 3. An I2T prompt never changes a score by itself, since the judge sees the image: `round_robin`
    with gepa's default `strict_improvement` would reject every one. Both components change at once
    (`all`), in minibatches of 10. Of the eight combinations of selector, acceptance and minibatches
    of 3 or 10 this did best on the ideal judge (mean gain .067; `round_robin` with
    `improvement_or_equal` .033, the others below).
 4. `cache_evaluation` stays off: its key does not tell the sets apart (gepa issue 424).
 5. The budget stops it: what it then holds to be best on the validation set is the result. Its own
    limit is the same number; it matters only where gepa goes on from a `run_dir`.
"""

import importlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from blpo.data.examples import Example
from blpo.models.wrappers.budget import BudgetSpentError
from blpo.pipeline.baselines.textgrad import split_validation

from .stand_in import evidence
from .world import Found, World


@dataclass(frozen=True, slots=True)
class GepaArm:
    """Contract: `Arm`."""

    name: str = "gepa"
    minibatch_size: int = 10
    module_selector: str = "all"
    acceptance: str = "strict_improvement"
    keeps_global_state: bool = False

    def run(self, world: World) -> Found:
        gepa: Any = importlib.import_module("gepa")
        validation, training = split_validation(world.train, 0.5, world.seed)
        best = BestCandidate(world)
        with suppress(BudgetSpentError):
            gepa.optimize(
                seed_candidate={"judge": world.judge_prompt, "i2t": world.i2t_prompt},
                trainset=training,
                valset=validation,
                adapter=JudgeAdapter(world),
                reflection_lm=world.ask_stand_in,
                module_selector=self.module_selector,
                reflection_minibatch_size=self.minibatch_size,
                acceptance_criterion=self.acceptance,
                max_metric_calls=world.max_judge_calls,
                callbacks=[best],
                logger=Silent(),
                run_dir=str(world.folder / "gepa"),
                seed=world.seed,
            )
        return best.found()


class Silent:
    """gepa's log, which would tell of the spent budget as of a crash."""

    def log(self, message: str) -> None:
        pass


class BestCandidate:
    """Follows which candidate gepa holds to be best, by its own validation scores."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._trajectory = world.trajectory()
        self._scores: list[float] = []

    def on_valset_evaluated(self, event: Mapping[str, Any]) -> None:
        score = float(event["average_score"])
        if not self._scores or score > max(self._scores):
            self._trajectory.now(self._world.judge_calls, event["candidate"]["judge"])
        self._scores.append(score)

    def found(self) -> Found:
        first = self._scores[0] if self._scores else None
        return Found(self._trajectory.points, first, max(self._scores, default=None))


@dataclass(slots=True)
class JudgeAdapter:
    """gepa's seam: judge a batch under a candidate, and show it to the reflection model."""

    world: World
    propose_new_texts: None = field(default=None)

    def evaluate(
        self, batch: list[Example], candidate: Mapping[str, str], capture_traces: bool = False
    ) -> Any:
        adapter: Any = importlib.import_module("gepa.core.adapter")
        verdicts = self.world.judge(candidate["judge"], batch)
        labels = [verdict.label for verdict in verdicts]
        scores = [float(v.label == e.label) for e, v in zip(batch, verdicts, strict=True)]
        cases = self.world.cases(candidate["i2t"], batch, verdicts) if capture_traces else None
        return adapter.EvaluationBatch(outputs=labels, scores=scores, trajectories=cases)

    def make_reflective_dataset(
        self, candidate: Mapping[str, str], eval_batch: Any, components_to_update: Sequence[str]
    ) -> dict[str, list[dict[str, str]]]:
        rows = [{"Judged image": evidence(self.world.task, [c])} for c in eval_batch.trajectories]
        beside = {"Judge prompt": f"<judge_prompt>{candidate['judge']}</judge_prompt>"}
        shown = {"judge": rows, "i2t": [{**beside, **row} for row in rows]}
        return {component: shown[component] for component in components_to_update}
