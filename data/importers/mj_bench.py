"""MJ-Bench (Chen et al., arXiv 2407.04842): which of two images fits a caption, by perspective.

`data/{alignment,safety,quality,bias}.parquet`: label 0 prefers image0. The newer schema adds
`category`, `subcategory` and `model`, and its label is always 0.
"""

from collections.abc import Iterator
from pathlib import Path

from ..pairs import Preference
from ..tasks import label_text
from .files import Table, find_files, text_of
from .pairs import PairRow, PairSource, presented
from .places import ImagePlace
from .protocol import Card, Intake

_PREFERENCES: dict[str, Preference] = {"0": "A", "1": "B"}


def pair_rows(source: Path, intake: Intake) -> Iterator[PairRow]:
    """The pairs of a download; rows that cannot be used go to `intake`."""
    for path in find_files(source, "*.parquet"):
        table = Table(path, intake)
        images = table.column("image0"), table.column("image1")
        category = [name for name in ("category",) if table.has(name)]
        for number, row in table.rows(["caption", "label", *category]):
            caption = text_of(row.values["caption"])
            label = _PREFERENCES.get(label_text(row.values["label"]))
            if caption is None or label is None:
                intake.skip("no caption, or a label that is not 0 or 1", row.where)
            else:
                pair = PairRow(
                    f"{path.stem}/{number}",
                    ImagePlace(path, number, images[0]),
                    ImagePlace(path, number, images[1]),
                    text=caption,
                    label=label,
                    groups=(f"caption: {caption}",),
                    category=text_of(row.values.get("category")) or path.stem,
                )
                yield presented(pair)


MJ_BENCH = PairSource(
    Card(
        name="mj-bench",
        home="the Hugging Face Hub, MJ-Bench/MJ-Bench",
        licence="see its page",
        targets={"preference": "mj-bench"},
        hub_id="MJ-Bench/MJ-Bench",
        patterns=("data/*.parquet",),
        gate="contact information",
    ),
    pair_rows,
)
