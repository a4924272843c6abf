"""AGIQA-3K (Li et al., arXiv 2306.04717): quality and alignment of generated images.

`data.csv` and a folder of images. Scores are normalised: quality runs from 0 to about 4.5 with
mean 2.5, which is no 1-5 scale, so that an import has to say how they become labels. Single
ratings are not public; their standard deviations are, one column per score.
"""

from collections.abc import Iterator
from pathlib import Path

from .files import Table, find_files, folder_of, number_of, text_of
from .places import Files
from .protocol import Card, Intake, RawRow


class Agiqa:
    card = Card(
        name="agiqa-3k",
        home="github.com/lcysyzxdxc/AGIQA-3k-Database",
        licence="MIT",
        targets={"mos_quality": "agiqa-3k", "mos_align": "agiqa-3k-align"},
    )

    def rows(self, source: Path, target: str, intake: Intake) -> Iterator[RawRow]:
        for path in find_files(source, "data.csv"):
            images = Files(folder_of(path))
            table = Table(path, intake)
            for _, row in table.rows(["name", "prompt", target]):
                name, score = text_of(row.values["name"]), number_of(row.values[target])
                place = images.find(name) if name else None
                if name is None or score is None:
                    intake.skip("no name or no score", row.where)
                elif place is None:
                    intake.skip("no such image file", f"{row.where}: {name}")
                else:
                    prompt = text_of(row.values["prompt"])
                    yield RawRow(
                        name,
                        place,
                        score,
                        text=prompt,
                        groups=(f"prompt: {prompt or name}",),
                        category=name.partition("_")[0],
                        score_sd=number_of(row.values.get(f"std_{target.partition('_')[2]}")),
                    )
