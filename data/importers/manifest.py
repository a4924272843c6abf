"""The manifest beside a dataset file: where every example came from and what was left out."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..arrow import atomic_path
from ..examples import SPLITS, Split
from .binning import Binning
from .sampling import SamplePlan


@dataclass(frozen=True, slots=True)
class Skipped:
    """Rows left out for one reason, and the first of them."""

    count: int
    first: list[str]


@dataclass(frozen=True, slots=True)
class Drawn:
    """An example of the dataset; sha256 is that of its image bytes."""

    example_id: str
    split: Split
    label: str
    category: str | None
    group: str
    sha256: str


@dataclass(frozen=True, slots=True)
class DrawnPair(Drawn):
    """A pair; sha256 is that of image A. swapped: whether the source has them the other way."""

    sha256_b: str
    swapped: bool


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an import saw, skipped, binned and wrote.

    revision: the commit that the source is a snapshot of, as far as known.
    own_splits: whether train and test are the source's.
    files: files read, with their columns. binning: None where the source has labels.
    near_duplicates: a test example, the train example nearest to it, and the bits in which their
        perceptual hashes differ; of pairs their images, the second one as "ID (B)".
    """

    importer: str
    source: str
    home: str
    hub_id: str | None
    revision: str | None
    licence: str
    gate: str | None
    notice: str | None
    task: str
    target: str
    seed: int
    own_splits: bool
    plan: SamplePlan
    label_map: Mapping[str, str]
    files: Mapping[str, list[str]]
    skipped: Mapping[str, Skipped]
    binning: Binning | None
    near_duplicates: list[tuple[str, str, int]]
    examples: list[Drawn]

    def counts(self) -> dict[Split, dict[str, int]]:
        """Examples by split and label."""
        return {split: dict(sorted(self._counted(split).items())) for split in SPLITS}

    def _counted(self, split: Split) -> Counter[str]:
        return Counter(example.label for example in self.examples if example.split == split)

    @property
    def num_groups(self) -> int:
        return len({example.group for example in self.examples})

    def to_json(self) -> dict[str, Any]:
        """What the manifest file holds."""
        return asdict(self) | {"counts": self.counts(), "num_groups": self.num_groups}


def manifest_path(dataset: Path) -> Path:
    """Where the manifest of a dataset file lies."""
    return dataset.with_suffix(".manifest.json")


def write_manifest(dataset: Path, manifest: Manifest) -> None:
    """Writes the manifest of a dataset file beside it; the same import gives the same bytes."""
    with atomic_path(manifest_path(dataset)) as temporary:
        content = json.dumps(manifest.to_json(), indent=2, ensure_ascii=False)
        temporary.write_text(content + "\n", encoding="utf-8")


def snapshot_revision(source: Path) -> str | None:
    """The commit in the path of a snapshot in the Hub's cache, None for a source elsewhere."""
    parts = source.absolute().parts
    return parts[parts.index("snapshots") + 1] if "snapshots" in parts[:-1] else None
