"""Agreement of a judge with labels, from Python."""

from pathlib import Path

from ...data.examples import Split, read_dataset
from ...data.frames import pl
from ..bulk.evaluation import Evaluation, measured
from .errors import with_parameters
from .frames import examples
from .judge import Judge


@with_parameters
def evaluate(
    judge: Judge,
    data: pl.DataFrame | str | Path,
    split: Split = "test",
    *,
    image_root: str | Path | None = None,
) -> Evaluation:
    """Agreement of a judge's verdicts with labels, and the judge beside its references.

    data: a dataset file, of which `split` is taken; or a frame with the columns of `Images` and
        `label`, all of whose rows count.
    image_root: folder that paths in a frame start from; the working directory if not given.

    Raises DataError for what is wrong with the data, FailuresError if more rows get no verdict
    than max_failed_share allows.
    """
    bounds = judge.source.config.images.bounds
    if isinstance(data, pl.DataFrame):
        root = None if image_root is None else Path(image_root)
        return measured(judge.source, judge.engine, examples(data, judge.task, bounds, root))
    dataset = read_dataset(Path(data), judge.task, bounds)
    chosen = dataset.test if split == "test" else dataset.train
    return measured(judge.source, judge.engine, chosen)
