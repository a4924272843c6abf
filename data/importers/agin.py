"""AGIN (Chen et al., arXiv 2312.05476): naturalness of generated images, mean opinion scores.

A csv with `filename`, `MOS_nat`, `MOS_tech`, `MOS_rat` somewhere in the download, and the images
it names. The authors do not say on which scale the scores lie: their range is checked, never
assumed. `...partitioned` folders hold shuffled patches of the same images and are passed over.
"""

from collections.abc import Iterator
from pathlib import Path

from ..errors import DataError
from .files import Table, find_files, folder_of, number_of, text_of
from .places import Files
from .protocol import Card, Intake, PaperSplit, RawRow

_HEADERS = ("filename", "MOS_nat", "MOS_tech", "MOS_rat")


class Agin:
    card = Card(
        name="agin",
        home="github.com/zijianchen98/AGIN (links to the files in its README)",
        licence="none given: ask the authors",
        targets={"MOS_nat": "agin", "MOS_tech": None, "MOS_rat": None},
        paper_split=PaperSplit("label", num_strata=5, per_stratum=20),
    )

    def rows(self, source: Path, target: str, intake: Intake) -> Iterator[RawRow]:
        table = _table(source, intake)
        images = Files(folder_of(source), ignored="partitioned")
        for _, row in table.rows(_HEADERS):
            name, score = text_of(row.values["filename"]), number_of(row.values[target])
            place = images.find(name) if name else None
            if name is None or score is None:
                intake.skip("no file name or no score", row.where)
            elif place is None:
                intake.skip("no such image file", f"{row.where}: {name}")
            else:
                # The generator is known from the file name alone.
                yield RawRow(name, place, score, category=name.rpartition("_")[0] or None)


def _table(source: Path, intake: Intake) -> Table:
    """The csv with the authors' headers. Raises DataError if there is none, or more than one."""
    paths = find_files(source, "*.csv")
    tables = {path: Table(path, Intake()) for path in paths}
    found = [path for path, table in tables.items() if table.has(*_HEADERS)]
    if len(found) != 1:
        names = ", ".join(path.name for path in (found or paths))
        raise DataError(
            f"{source}: needs one csv with the columns {', '.join(_HEADERS)}, found "
            f"{len(found)} ({names}): give the path of the right csv beside its images"
        )
    return Table(found[0], intake)
