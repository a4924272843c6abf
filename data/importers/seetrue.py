"""SeeTRUE (Yarom et al., arXiv 2305.10400): does an image show what its text says? 1 or 0.

`SeeTRUE.csv` beside `images.zip`, or the folder `images` unpacked from it. One text comes with
several images and one image with several texts; whatever is connected stays on one side.
"""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

from ..errors import DataError
from ..tasks import label_text
from .files import Table, find_files, folder_of, text_of
from .places import Files
from .protocol import Card, Intake, PaperSplit, RawRow


class SeeTrue:
    card = Card(
        name="seetrue",
        home="the Hugging Face Hub, yonatanbitton/SeeTRUE",
        licence="cc-by-4.0",
        gate="terms on its page",
        hub_id="yonatanbitton/SeeTRUE",
        revision="6cc46a6e5d9388f44fdf9096d5387cd3b7988676",
        patterns=("SeeTRUE.csv", "images.zip", "README.md"),
        notice="its authors want it used as a test set, not for training; a train split made of "
        "it, as in the BLPO paper, optimizes a prompt on it",
        targets={"label": "seetrue"},
        paper_split=PaperSplit("label", num_strata=2, per_stratum=100),
    )

    def rows(self, source: Path, target: str, intake: Intake) -> Iterator[RawRow]:
        for path in find_files(source, "SeeTRUE*.csv"):
            images = _images(folder_of(path))
            table = Table(path, intake)
            needed = ["image", "text", target]
            for _, row in table.rows(needed):
                values = row.values
                name, text = text_of(values["image"]), text_of(values["text"])
                place = images.find(name.rsplit("/", 1)[-1]) if name else None
                if label_text(values[target]) not in {"0", "1"}:
                    intake.skip("label is not 0 or 1", row.where)
                elif name is None or text is None:
                    intake.skip("no image name or no text", row.where)
                elif place is None:
                    intake.skip("image is not in the archive", f"{row.where}: {name}")
                else:
                    yield RawRow(
                        f"{name}#{sha256(text.encode()).hexdigest()[:8]}",
                        place,
                        label_text(values[target]),
                        text=text,
                        groups=(f"text: {text}", f"image: {place.name}"),
                        category=text_of(values.get("dataset_source")),
                    )


def _images(folder: Path) -> Files:
    for name in ("images.zip", "images"):
        if (folder / name).exists():
            return Files(folder / name)
    raise DataError(f"{folder}: holds no images.zip and no folder images: put one beside the csv")
