"""HPDv2 (Wu et al., arXiv 2306.09341): which image annotators prefer for a prompt.

`{train,test}.json` and `{train,test}.tar.gz`, or folders unpacked from them. A train row is one
vote on a pair, so that rows of one pair are counted together; a test row ranks nine images, 0 the
best. The card and the files spell keys differently: both spellings are read.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

from ..errors import DataError
from .files import Table, find_files, folder_of
from .pairs import PairRow, PairSource, by_rank, by_weight, presented, rank_votes
from .places import Files, ImagePlace
from .protocol import Card, Intake

_PATHS = ("image_path", "file_path")


def pair_rows(source: Path, intake: Intake) -> Iterator[PairRow]:
    """The pairs of a download; rows that cannot be used go to `intake`."""
    for path in find_files(source, "train.json", "test.json"):
        images = _images(folder_of(path), path.stem)
        table = Table(path, intake)
        read = _test_pairs if table.has("rank") else _train_pairs
        yield from map(presented, read(table, images, intake))


def _images(folder: Path, split: str) -> Files:
    for name in (split, f"{split}.tar.gz"):
        if (folder / name).exists():
            return Files(folder / name)
    raise DataError(f"{folder}: holds no {split}.tar.gz and no folder {split}: download it")


def _train_pairs(table: Table, images: Files, intake: Intake) -> Iterator[PairRow]:
    paths = table.column(*_PATHS)
    votes: defaultdict[tuple[str, str, str], Counter[int]] = defaultdict(Counter)
    for _, row in table.rows(["human_preference", "prompt", paths]):
        given = row.values["human_preference"]
        if sorted(given or ()) != [0, 1]:
            intake.skip("preference is not 1 for one image and 0 for the other", row.where)
            continue
        first, second = row.values[paths]
        is_turned = first > second
        key = (row.values["prompt"], *sorted((first, second)))
        votes[key][(0 if given[0] else 1) ^ is_turned] += 1
    for (prompt, first, second), counted in votes.items():
        places = _both(images, first, second, intake)
        if places:
            pair = counted[0], counted[1]
            yield PairRow(
                f"train/{first}/{second}",
                *places,
                text=prompt,
                label=by_weight(*pair),
                votes=pair,
                groups=(f"prompt: {prompt}",),
                split="train",
            )


def _test_pairs(table: Table, images: Files, intake: Intake) -> Iterator[PairRow]:
    paths = table.column(*_PATHS)
    for _, row in table.rows(["prompt", paths, "rank"]):
        names, ranks = row.values[paths], row.values["rank"]
        rankings = _rankings(row.values)
        for i, j in combinations(range(len(names)), 2):
            places = _both(images, names[i], names[j], intake)
            if places:
                yield PairRow(
                    f"test/{names[i]}/{names[j]}",
                    *places,
                    text=row.values["prompt"],
                    label=by_rank(ranks[i], ranks[j]),
                    votes=rank_votes(rankings, i, j) if rankings else None,
                    groups=(f"prompt: {row.values['prompt']}",),
                    split="test",
                )


def _rankings(values: Mapping[str, Any]) -> list[list[float]]:
    """The rankings of the individual annotators."""
    given: list[dict[str, Any]] = values.get("raw_annotations") or []
    return [one.get("annotation") or one.get("rank") or [] for one in given]


def _both(
    images: Files, first: str, second: str, intake: Intake
) -> tuple[ImagePlace, ImagePlace] | None:
    found = images.find(first), images.find(second)
    if found[0] is None or found[1] is None:
        intake.skip("image is not in the archive", first if found[0] is None else second)
        return None
    return found[0], found[1]


HPDV2 = PairSource(
    Card(
        name="hpdv2",
        home="the Hugging Face Hub, ymhao/HPDv2",
        licence="apache-2.0",
        targets={"preference": "hpdv2"},
        hub_id="ymhao/HPDv2",
        patterns=("train.json", "test.json", "train.tar.gz", "test.tar.gz"),
    ),
    pair_rows,
)
