"""How often verdicts that carry no information pass for a gain, by simulation without a model.

    python scripts/study_chance.py

Human labels, verdicts before and verdicts after are drawn independently of one another, many
times, and each time the intervals of the gain are taken as a run takes them. Whatever is found is
luck, and an interval of 95 % should lie above 0 in 2.5 % of the draws. The printed shares say how
often it does, by metric, and in the last column how often `Gain.is_found` says so of macro F1.
The last line is JSON.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from blpo.pipeline.metrics.agreement import GAIN_METRICS, resample
from blpo.pipeline.metrics.intervals import Counts, percentiles

_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Setting:
    """Shares of the labels among people, and among the verdicts before and after."""

    name: str
    people: Sequence[float]
    before: Sequence[float]
    after: Sequence[float]
    num_test: int = 200


_AGIN = (0.14, 0.18, 0.22, 0.23, 0.23)
_IMAGEREWARD = (0.03, 0.06, 0.12, 0.16, 0.19, 0.22, 0.22)
_ONE_OF_FIVE = (0.02, 0.03, 0.05, 0.1, 0.8)
_ONE_OF_SEVEN = (0.01, 0.01, 0.02, 0.03, 0.03, 0.1, 0.8)

SETTINGS = (
    Setting("two labels, shares as people's", (0.5, 0.5), (0.5, 0.5), (0.5, 0.5)),
    Setting("two labels, from one to both", (0.5, 0.5), (0.1, 0.9), (0.5, 0.5)),
    Setting("rare label, from half to rare", (0.12, 0.88), (0.5, 0.5), (0.12, 0.88)),
    Setting("five labels, shares as people's", _AGIN, _AGIN, _AGIN),
    Setting("five labels, from one to all", _AGIN, _ONE_OF_FIVE, _AGIN),
    Setting("seven labels, shares as people's", _IMAGEREWARD, _IMAGEREWARD, _IMAGEREWARD),
    Setting("seven labels, from one to all", _IMAGEREWARD, _ONE_OF_SEVEN, _IMAGEREWARD),
    Setting("the same, 70 images", (1 / 7,) * 7, _ONE_OF_SEVEN, (1 / 7,) * 7, num_test=70),
)


def main() -> None:
    parser = argparse.ArgumentParser(description="gains found where there is no information")
    parser.add_argument("--draws", type=int, default=1000, help="per setting")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    columns = [*GAIN_METRICS, "macro F1 and kappa"]
    print(f"{'share of draws with a gain':36}", *(f"{name:>10}" for name in columns))
    shares: dict[str, dict[str, float]] = {}
    for setting in SETTINGS:
        own = found_shares(setting, arguments.draws, np.random.default_rng(arguments.seed))
        shares[setting.name] = own
        print(f"{setting.name:36}", *(f"{own[n]:>{max(len(n), 10)}.3f}" for n in columns))
    print(json.dumps(shares))


def found_shares(setting: Setting, draws: int, rng: np.random.Generator) -> dict[str, float]:
    """By metric, and for `Gain.is_found`, the share of draws whose interval lies above 0."""
    num_labels = len(setting.people)
    counts = np.diff(np.round(np.cumsum([0, *setting.people]) * setting.num_test).astype(int))
    people = np.repeat(np.arange(num_labels), counts)
    found = dict.fromkeys([*GAIN_METRICS, "macro F1 and kappa"], 0)
    for _ in range(draws):
        sides = [
            one_each(people, rng.choice(num_labels, len(people), p=shares), num_labels)
            for shares in (setting.before, setting.after)
        ]
        before, after = (resample(side, seed=0, resamples=_RESAMPLES) for side in sides)
        is_above = {
            name: percentiles(metric(after) - metric(before))[0] > 0
            for name, metric in GAIN_METRICS.items()
        }
        is_above["macro F1 and kappa"] = is_above["macro_f1"] and is_above["kappa"]
        for name, above in is_above.items():
            found[name] += above
    return {name: number / draws for name, number in found.items()}


def one_each(people: Counts, verdicts: Counts, num_labels: int) -> Counts:
    """Confusion counts of examples that are a group each: [examples, labels, labels + 1]."""
    counts = np.zeros((len(people), num_labels, num_labels + 1), dtype=np.int64)
    counts[np.arange(len(people)), people, verdicts] = 1
    return counts


if __name__ == "__main__":
    main()
