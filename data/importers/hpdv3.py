"""HPDv3 (Ma et al., arXiv 2508.03789): which of two images annotators prefer for a prompt.

`{train,test}.json` with paths into the folder, unpacked from `images.tar.gz.*` by
`cat images.tar.gz.* | tar -xz`. The preferred image is always `path1`; `choice_dist` and
`confidence` are null for rows taken over from elsewhere. The official splits share prompts.
"""

from collections.abc import Iterator
from pathlib import Path

from .files import Table, find_files, folder_of, text_of
from .pairs import PairRow, PairSource, presented
from .places import ImagePlace
from .protocol import Card, Intake


def pair_rows(source: Path, intake: Intake) -> Iterator[PairRow]:
    """The pairs of a download; rows that cannot be used go to `intake`."""
    for path in find_files(source, "train.json", "test.json"):
        folder = folder_of(path)
        table = Table(path, intake)
        for _, row in table.rows(["prompt", "path1", "path2"]):
            values = row.values
            first, second = values["path1"], values["path2"]
            prompt, votes = text_of(values["prompt"]), values.get("choice_dist")
            if prompt is None:
                intake.skip("no prompt", row.where)
            elif not ((folder / first).is_file() and (folder / second).is_file()):
                intake.skip("image was not unpacked", row.where)
            else:
                pair = PairRow(
                    f"{path.stem}/{first}/{second}",
                    ImagePlace(folder, 0, first),
                    ImagePlace(folder, 0, second),
                    text=prompt,
                    label="A",
                    votes=(votes[0], votes[1]) if votes else None,
                    groups=(f"prompt: {prompt}", f"image: {first}", f"image: {second}"),
                    category=text_of(values.get("source")),
                    split="train" if path.stem == "train" else "test",
                )
                yield presented(pair)


HPDV3 = PairSource(
    Card(
        name="hpdv3",
        home="the Hugging Face Hub, MizzenAI/HPDv3",
        licence="MIT",
        targets={"preference": "hpdv3"},
        notice="unpack the parts of images.tar.gz first; the official train and test share prompts",
    ),
    pair_rows,
)
