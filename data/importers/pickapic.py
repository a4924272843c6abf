"""Pick-a-Pic v2 (Kirstain et al., arXiv 2305.01569): which of two images a user picked.

`data/{train,test_unique}-*.parquet`: images are bare bytes, a tie is .5 and .5. `test_unique` has
one pair per prompt; `test` and the validation files are left alone. One image id comes in many
rows, so that a pair is named after its ranking.
"""

from collections.abc import Iterator
from pathlib import Path

from ..examples import Split
from .files import Table, find_files, text_of
from .pairs import PairRow, PairSource, by_weight, presented
from .places import ImagePlace
from .protocol import Card, Intake

_COLUMNS = ("caption", "has_label", "label_0", "label_1", "ranking_id", "jpg_0", "jpg_1")


def pair_rows(source: Path, intake: Intake) -> Iterator[PairRow]:
    """The pairs of a download; rows that cannot be used go to `intake`."""
    for path in find_files(source, "train-*.parquet", "test_unique-*.parquet"):
        split: Split = "train" if path.name.startswith("train") else "test"
        table = Table(path, intake)
        for name in _COLUMNS:
            table.column(name)
        for number, row in table.rows(_COLUMNS[:-2]):
            values = row.values
            labels = values["label_0"], values["label_1"]
            caption = text_of(values["caption"])
            if not values["has_label"]:
                intake.skip("no label", row.where)
            elif caption is None or sorted(map(float, labels)) not in ([0, 1], [0.5, 0.5]):
                intake.skip("no caption, or labels that are no preference", row.where)
            else:
                pair = PairRow(
                    f"{split}/{values['ranking_id']}",
                    ImagePlace(path, number, "jpg_0"),
                    ImagePlace(path, number, "jpg_1"),
                    text=caption,
                    label=by_weight(*labels),
                    groups=(f"prompt: {caption}",),
                    split=split,
                )
                yield presented(pair)


PICKAPIC = PairSource(
    Card(
        name="pickapic",
        home="mirrors of yuvalkirstain/pickapic_v2, which was withdrawn",
        licence="none given",
        targets={"preference": "pickapic"},
        notice="holds images that are not safe for work",
    ),
    pair_rows,
)
