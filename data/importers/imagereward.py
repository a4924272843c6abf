"""ImageRewardDB (Xu et al., arXiv 2304.05977): ratings 1-7 of images for a prompt.

`metadata-{train,test}.parquet` and `images/{split}/{split}_{i}.zip`, or folders unpacked from
them. Rows whose archive was not downloaded are skipped: a few of the 36 are enough for a sample.
The validation split is left alone.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from ..examples import Split
from ..tasks import label_text
from .files import Table, find_files, folder_of, text_of
from .places import Files, ImagePlace
from .protocol import Card, Intake, PaperSplit, RawRow


class ImageReward:
    card = Card(
        name="imagereward",
        home="the Hugging Face Hub, zai-org/ImageRewardDB (once THUDM/ImageRewardDB)",
        licence="apache-2.0",
        hub_id="zai-org/ImageRewardDB",
        revision="c493721e19e296eb615420036f2a2eed08412bb4",
        patterns=(
            "metadata-train.parquet",
            "metadata-test.parquet",
            "images/train/train_1.zip",
            "images/train/train_2.zip",
            "images/test/*.zip",
            "README.md",
        ),
        targets={
            "image_text_alignment_rating": "imagereward",
            "fidelity_rating": None,
            "overall_rating": None,
        },
        paper_split=PaperSplit("label", num_strata=7, per_stratum=20, max_per_group=1),
    )

    def rows(self, source: Path, target: str, intake: Intake) -> Iterator[RawRow]:
        for path in find_files(source, "metadata-train.parquet", "metadata-test.parquet"):
            split: Split = "test" if path.stem.endswith("test") else "train"
            archives = Archives(folder_of(path))
            table = Table(path, intake)
            needed = ["image_path", "prompt_id", "prompt", target]
            category = [name for name in ("classification",) if table.has(name)]
            for _, row in table.rows([*needed, *category]):
                image_path = str(row.values["image_path"])
                found = archives.find(image_path)
                if row.values[target] is None:
                    intake.skip("no rating", image_path)
                elif isinstance(found, str):
                    intake.skip(found, image_path)
                else:
                    yield _row(row.values, found, split, target)


def _row(values: dict[str, Any], place: ImagePlace, split: Split, target: str) -> RawRow:
    text = text_of(values["prompt"])
    return RawRow(
        f"{split}/{Path(values['image_path']).stem}",
        place,
        label_text(values[target]),
        text=text,
        # One prompt text may have several ids.
        groups=(str(values["prompt_id"]), f"text: {text}"),
        category=text_of(values.get("classification")),
        split=split,
    )


class Archives:
    """The archives of a snapshot, each listed once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._files = cache(self._open)

    def find(self, image_path: str) -> ImagePlace | str:
        """The place of "images/train/train_1/<uuid>.webp", or why there is none."""
        folder, _, name = image_path.rpartition("/")
        files = self._files(folder)
        if files is None:
            return f"archive {folder}.zip was not downloaded"
        return files.find(name) or "image is not in the archive"

    def _open(self, folder: str) -> Files | None:
        for container in (self._root / f"{folder}.zip", self._root / folder):
            if container.exists():
                return Files(container)
        return None
