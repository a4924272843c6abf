"""An aligned judge as an object: images in, verdicts out."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from ...data.errors import ConfigError, DataError
from ...data.frames import pl
from ...data.near_paths import no_such
from ...data.tasks import Task, load_task
from ...models.roles.judge import Verdict
from ...models.wrappers.stored import StoredEngine
from ..bulk.counts import checked_missing
from ..bulk.judge_source import (
    JudgeSource,
    judge_source,
    other_judge,
    stored_judge,
    warn_of_other_judge,
)
from ..bulk.judging import judged_table
from ..config import JudgeConfig, parse_config
from ..runs.engine_pool import EnginePool
from .errors import with_parameters
from .frames import Images, items, one_item

Image = str | Path | bytes
"""A path, or the encoded image."""


class Judge:
    """A judge under one prompt. Its model starts with the first question; `close` ends it.

        with Judge("runs/photos") as judge:
            verdicts = judge(pl.DataFrame({"image": ["photos/1.png", "photos/2.png"]}))

    Replies go into the store and are never asked for twice.
    """

    @with_parameters
    def __init__(
        self,
        run_or_bundle: str | Path,
        *,
        store: str | Path | None = None,
        **settings: Any,
    ) -> None:
        """The judge of a finished run (a folder) or of a bundle (a file).

        store: folder of the replies; that of the run, or `store`.
        settings: keys of a run file that say how it judges, such as judge={...} or
            max_failed_share; they replace the run's. Raises ConfigError.
        """
        path = Path(run_or_bundle)
        if not path.exists():
            raise ConfigError(no_such(path, "run directory or bundle"))
        run, bundle = (path, None) if path.is_dir() else (None, path)
        source = judge_source(run, None, None, [], None if store is None else Path(store), bundle)
        self._open(source, settings)

    @classmethod
    @with_parameters
    def of_task(
        cls,
        task: Task | str | Path,
        *,
        prompt: str | None = None,
        store: str | Path = "store",
        **settings: Any,
    ) -> Self:
        """A judge that no run has aligned: a task under its own prompt, or another.

        settings: as of the constructor; judge={"kind": ..., "model": ...} names the model.
        """
        if prompt is not None and not prompt.strip():
            raise ConfigError("prompt: is empty: give a prompt, or leave it out for the task's")
        loaded = task if isinstance(task, Task) else load_task(task)
        source = JudgeSource(
            loaded, prompt or loaded.judge_prompt, JudgeConfig(), store=Path(store)
        )
        judge = cls.__new__(cls)
        judge._open(source, settings)
        return judge

    def _open(self, source: JudgeSource, settings: dict[str, Any]) -> None:
        self.source = _with_settings(source, settings)
        self._pool = EnginePool()
        self._engine: StoredEngine | None = None

    @property
    def task(self) -> Task:
        return self.source.task

    @property
    def prompt(self) -> str:
        """The judge prompt, without the task's answer instruction."""
        return self.source.judge_prompt

    @with_parameters
    def __call__(self, images: Images, *, image_root: str | Path | None = None) -> pl.DataFrame:
        """A verdict per row, in order.

        images: a frame, a list, or a folder. image_root: folder that paths start from; the working
        directory if not given.

        Columns: example_id; verdict (null where the reply holds no label); probabilities (a struct
        with a float per label, null without log-probabilities); label_mass; reason (why there is
        no verdict); reasoning; criteria, of a task that has some (a struct by criterion of what
        it was answered); and, where a decision was made, decision (act or abstain) and confidence.
        Raises DataError for what is wrong with the images, FailuresError if more rows
        get no verdict than max_failed_share allows.
        """
        root = None if image_root is None else Path(image_root)
        shown = items(images, self.task, self.source.config.images.bounds, root)
        verdicts = self.source.judge(self.engine, shown)
        checked_missing(verdicts, self.source.config.max_failed_share.judge)
        table = judged_table(shown, verdicts, self.source)
        return cast("pl.DataFrame", pl.from_arrow(table))  # pyright: ignore[reportUnknownMemberType]

    @with_parameters
    def one(
        self,
        image: Image | Mapping[str, Image],
        *,
        text: str | None = None,
        image_b: Image | None = None,
        image_root: str | Path | None = None,
    ) -> Verdict:
        """The verdict on one image or pair, or on images by their roles.

        One without a label is returned, with its reason. image_root: as of a call.
        """
        given = image if isinstance(image, Mapping) else {"image": image}
        if unknown := [name for name in given if name not in self.task.image_columns]:
            expected = ", ".join(self.task.image_columns)
            raise DataError(f"{', '.join(unknown)}: no image of task {self.task.name}: {expected}")
        cells = {**given, "image_b": image_b}
        row = {n: c if isinstance(c, bytes) else str(c) for n, c in cells.items() if c is not None}
        shown = one_item(
            row | ({} if text is None else {"text": text}),
            self.task,
            self.source.config.images.bounds,
            None if image_root is None else Path(image_root),
        )
        return self.source.judge(self.engine, [shown])[0]

    @property
    def engine(self) -> StoredEngine:
        """The model behind the store."""
        if self._engine is None:
            self._engine = stored_judge(self.source, self._pool, self.source.store)
            warn_of_other_judge(other_judge(self.source, self._engine))
        return self._engine

    def close(self) -> None:
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _with_settings(source: JudgeSource, settings: dict[str, Any]) -> JudgeSource:
    if not settings:
        return source
    fields = source.config.model_dump(mode="json") | settings
    return replace(source, config=parse_config(JudgeConfig, fields, "Judge"))
