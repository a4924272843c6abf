"""Preference pairs of ImageRewardDB: any two images of a prompt, the lower rank preferred.

Files as for `imagereward`. Equal ranks are ties and are kept.
"""

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

from ..examples import Split
from .files import Table, find_files, folder_of
from .imagereward import Archives, ImageReward
from .pairs import PairRow, PairSource, by_rank, presented
from .places import ImagePlace
from .protocol import Card, Intake

_COLUMNS = ("image_path", "prompt_id", "prompt", "rank")
_Ranked = tuple[int, str, ImagePlace, str]


def pair_rows(source: Path, intake: Intake) -> Iterator[PairRow]:
    """The pairs of a download; images that cannot be used go to `intake`."""
    for path in find_files(source, "metadata-train.parquet", "metadata-test.parquet"):
        split: Split = "test" if path.stem.endswith("test") else "train"
        archives = Archives(folder_of(path))
        prompts: defaultdict[str, list[_Ranked]] = defaultdict(list)
        for _, row in Table(path, intake).rows(_COLUMNS):
            name, prompt_id, prompt, rank = (row.values[column] for column in _COLUMNS)
            place = archives.find(name)
            if isinstance(place, str):
                intake.skip(place, name)
            else:
                prompts[prompt_id].append((rank, Path(name).stem, place, prompt))
        for prompt_id, images in prompts.items():
            yield from _pairs(prompt_id, images, split)


def _pairs(prompt_id: str, images: list[_Ranked], split: Split) -> Iterator[PairRow]:
    for first, second in combinations(sorted(images, key=lambda image: image[1]), 2):
        pair = PairRow(
            f"{split}/{first[1]}/{second[1]}",
            first[2],
            second[2],
            text=first[3],
            label=by_rank(first[0], second[0]),
            groups=(prompt_id, f"text: {first[3]}"),
            split=split,
        )
        yield presented(pair)


IMAGEREWARD_PAIRS = PairSource(
    Card(
        name="imagereward-pairs",
        home="the Hugging Face Hub, zai-org/ImageRewardDB",
        licence="apache-2.0",
        targets={"preference": "imagereward-pairs"},
        hub_id=ImageReward.card.hub_id,
        revision=ImageReward.card.revision,
        patterns=ImageReward.card.patterns,
    ),
    pair_rows,
)
