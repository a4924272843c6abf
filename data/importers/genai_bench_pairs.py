"""GenAI-Bench of TIGER-Lab (Jiang et al., arXiv 2406.04485): votes between two generated images.

`image_generation/*.parquet`, under whatever split name: a vote is for left, right, both or
neither. Both and neither are ties; which of the two it was is the pair's category. The tables of
edited images and of videos are left alone.
"""

from collections.abc import Iterator
from pathlib import Path

from ..errors import DataError
from ..pairs import Preference
from .files import Table, find_files, text_of
from .pairs import PairRow, PairSource, presented
from .places import ImagePlace
from .protocol import Card, Intake

_COLUMNS = ("prompt", "left_image", "right_image", "vote_type")
_VOTES: dict[str, tuple[Preference, str]] = {
    "leftvote": ("A", "one preferred"),
    "rightvote": ("B", "one preferred"),
    "tievote": ("tie", "both good"),
    "bothbad_vote": ("tie", "both bad"),
}


def pair_rows(source: Path, intake: Intake) -> Iterator[PairRow]:
    """The pairs of a download; rows that cannot be used go to `intake`."""
    tables = [Table(path, intake) for path in find_files(source, "*.parquet")]
    usable = [table for table in tables if table.has(*_COLUMNS)]
    if not usable:
        raise DataError(
            f"{source}: no table has the columns {', '.join(_COLUMNS)}: give the folder with "
            "image_generation/*.parquet"
        )
    for table in usable:
        for number, row in table.rows(("prompt", "vote_type")):
            prompt, vote = text_of(row.values["prompt"]), _VOTES.get(row.values["vote_type"])
            if prompt is None or vote is None:
                intake.skip("no prompt, or a vote of another kind", row.where)
            else:
                pair = PairRow(
                    f"{table.path.stem}/{number}",
                    ImagePlace(table.path, number, "left_image"),
                    ImagePlace(table.path, number, "right_image"),
                    text=prompt,
                    label=vote[0],
                    groups=(f"prompt: {prompt}",),
                    category=vote[1],
                )
                yield presented(pair)


GENAI_BENCH_PAIRS = PairSource(
    Card(
        name="genai-bench-pairs",
        home="the Hugging Face Hub, TIGER-Lab/GenAI-Bench",
        licence="cc-by-4.0",
        targets={"preference": "genai-bench-pairs"},
        hub_id="TIGER-Lab/GenAI-Bench",
        patterns=("image_generation/*.parquet",),
        notice="a test set, whatever its split is called",
    ),
    pair_rows,
)
