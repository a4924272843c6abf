"""Running an importer in a test."""

from pathlib import Path
from typing import Any

import pytest
from blpo.data.errors import DataError
from blpo.data.examples import Dataset, Example, read_dataset
from blpo.data.importers.driver import import_source
from blpo.data.importers.manifest import Manifest
from blpo.data.importers.options import ImportOptions
from blpo.data.importers.registry import IMPORTERS
from blpo.data.tasks import load_task


def imported(name: str, source: Path, **options: Any) -> tuple[Manifest, Dataset]:
    """What an import wrote beside its source."""
    out = output(source)
    manifest = import_source(IMPORTERS[name], source, out, ImportOptions(**options))
    return manifest, read_dataset(out, load_task(options.get("task") or manifest.task))


def refused(name: str, source: Path, **options: Any) -> str:
    """The message with which a source is refused, after checking that nothing was written."""
    with pytest.raises(DataError) as caught:
        import_source(IMPORTERS[name], source, output(source), ImportOptions(**options))
    assert not output(source).parent.exists()
    return str(caught.value)


def output(source: Path) -> Path:
    return source.parent / "out" / "dataset.parquet"


def by_id(dataset: Dataset) -> dict[str, Example]:
    return {example.example_id: example for example in (*dataset.train, *dataset.test)}


def skipped(manifest: Manifest) -> dict[str, int]:
    return {reason: found.count for reason, found in manifest.skipped.items()}
