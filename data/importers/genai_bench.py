"""GenAI-Bench (Li et al., arXiv 2406.13743): how well images follow a prompt, three raters, 1-5.

`data/train-*.parquet`: one row per prompt, one image column per model, and the ratings in a
struct with the same field names. The score is the mean of the ratings.
"""

from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

from .files import Table, find_files, number_of, text_of
from .places import ImagePlace
from .protocol import Card, Intake, RawRow


class GenAiBench:
    card = Card(
        name="genai-bench",
        home="the Hugging Face Hub, BaiqiL/GenAI-Bench",
        licence="apache-2.0",
        hub_id="BaiqiL/GenAI-Bench",
        revision="94e543b0801feade1419873335191de90b68d164",
        patterns=("data/train-*.parquet", "README.md"),
        targets={"HumanRatings": "genai-bench"},
    )

    def rows(self, source: Path, target: str, intake: Intake) -> Iterator[RawRow]:
        intake.scale = (1, 5)
        for path in find_files(source, "train-*.parquet"):
            table = Table(path, intake)
            for number, row in table.rows(["Index", "Prompt", target]):
                ratings: dict[str, Any] = row.values[target] or {}
                for model in filter(table.has, ratings):
                    yield from _image(row.values, model, ratings[model], path, number, intake)
                for model in ratings:
                    if not table.has(model):
                        intake.skip("ratings without an image column", f"{row.where}: {model}")


def _image(
    values: dict[str, Any], model: str, given: Any, path: Path, number: int, intake: Intake
) -> Iterator[RawRow]:
    row_id = f"{values['Index']}/{model}"
    ratings = [rating for rating in map(number_of, given or ()) if rating is not None]
    if not ratings:
        intake.skip("no ratings", row_id)
        return
    yield RawRow(
        row_id,
        ImagePlace(path, number, model),
        fmean(ratings),
        text=text_of(values["Prompt"]),
        groups=(str(values["Index"]),),
        category=model,
        ratings=tuple(ratings),
    )
