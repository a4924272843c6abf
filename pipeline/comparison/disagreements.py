"""Test images on which the final verdicts of compared runs differ, and who is right there."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ...data.errors import BlpoError
from ...data.examples import Example, read_dataset
from ...models.roles.judge import Verdict
from ..report.gallery import MAX_IMAGES
from ..runs.directory import run_task
from ..runs.finished_run import PastExample, PastRun

Side = Literal["lost", "won", "neither"]

SIDES: dict[Side, str] = {
    "lost": "right in the reference, wrong elsewhere",
    "won": "wrong in the reference, right elsewhere",
    "neither": "wrong in all, with other labels",
}
"""Who is right where runs disagree; the order of the gallery."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """verdicts: under the final prompts, in the order of the runs. example: with image and text;
    None where the dataset is not there."""

    past: PastExample
    verdicts: tuple[Verdict, ...]
    example: Example | None

    @property
    def right(self) -> list[int]:
        """Numbers of the runs that are right, from 1."""
        return [n for n, v in enumerate(self.verdicts, 1) if v.label == self.past.label]

    @property
    def side(self) -> Side:
        if 1 in self.right:
            return "lost"
        return "won" if self.right else "neither"

    @property
    def is_disputed(self) -> bool:
        """Whether annotators gave it more than one label, as far as single ratings are known."""
        return self.example is not None and len(set(self.example.ratings)) > 1


@dataclass(frozen=True, slots=True)
class Disagreements:
    """cases: those that the page shows. counts: of all. missing: why there are no images, if so."""

    cases: list[Disagreement]
    counts: Counter[Side]
    missing: str

    @property
    def shown(self) -> dict[Side, int]:
        """Sides of the cases that the page shows, without those that have none."""
        counts: Counter[Side] = Counter(case.side for case in self.cases)
        return {name: counts[name] for name in SIDES if name in counts}

    @property
    def has_disputed(self) -> bool:
        return any(case.is_disputed for case in self.cases)


def find_disagreements(runs: Sequence[PastRun]) -> Disagreements:
    """The runs are of one test split; the first is the reference, whose dataset is read."""
    examples, missing = _examples(runs[0])
    by_run = [
        {e.example_id: v for e, v in zip(run.examples, run.final, strict=True)} for run in runs
    ]
    cases = [
        Disagreement(
            past, tuple(of[past.example_id] for of in by_run), examples.get(past.example_id)
        )
        for past in runs[0].examples
    ]
    found = [case for case in cases if len({verdict.label for verdict in case.verdicts}) > 1]
    found.sort(key=lambda case: list(SIDES).index(case.side))
    counts: Counter[Side] = Counter(case.side for case in found)
    most = MAX_IMAGES // max((len(example.images) for example in examples.values()), default=1)
    return Disagreements(found[:most], counts, missing)


def _examples(run: PastRun) -> tuple[dict[str, Example], str]:
    """The test examples by id; none, and why, where they are not to be had any more."""
    config = run.config
    try:
        dataset = read_dataset(config.dataset, run_task(config), config.images.bounds)
    except BlpoError as error:
        return {}, str(error).partition("\n")[0]
    if dataset.fingerprint != run.result.dataset_fingerprint:
        return {}, f"{config.dataset} is not the dataset of {run.path} any more"
    return {example.example_id: example for example in dataset.test}, ""
