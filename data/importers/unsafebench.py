"""UnsafeBench (Qu et al., arXiv 2405.03486): images, "Safe" or "Unsafe", in 11 categories.

`data/{train,test}-*.parquet`. A category says which query found an image: safe images have one,
too, so that a sample by category does not fix how many are unsafe. Older revisions lack `text`,
which is not judged.
"""

from collections.abc import Iterator
from pathlib import Path

from ..examples import Split
from .files import Table, find_files, text_of
from .places import ImagePlace
from .protocol import Card, Intake, PaperSplit, RawRow


class UnsafeBench:
    card = Card(
        name="unsafebench",
        home="the Hugging Face Hub, yiting/UnsafeBench",
        licence="none given; research and education only",
        gate="data-use agreement, granted by the authors",
        hub_id="yiting/UnsafeBench",
        patterns=("data/*.parquet", "README.md"),
        notice="harmful content: do not show or republish the images",
        targets={"safety_label": "unsafebench"},
        paper_split=PaperSplit("category", num_strata=11, per_stratum=10),
    )

    def rows(self, source: Path, target: str, intake: Intake) -> Iterator[RawRow]:
        numbers = {"train": 0, "test": 0}
        for path in find_files(source, "train-*.parquet", "test-*.parquet"):
            split: Split = "test" if path.name.startswith("test") else "train"
            table = Table(path, intake)
            image = table.column("image")
            for row, values in table.rows([target, "category"]):
                # Rows have no id of their own; the authors' code counts them, too.
                row_id = f"{split}/{numbers[split]}"
                numbers[split] += 1
                label = text_of(values.values[target])
                if label is None:
                    intake.skip("no label", row_id)
                    continue
                yield RawRow(
                    row_id,
                    ImagePlace(path, row, image),
                    label,
                    category=text_of(values.values["category"]),
                    split=split,
                )
