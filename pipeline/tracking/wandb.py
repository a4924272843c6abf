"""Weights & Biases. Project and mode: `WANDB_PROJECT`, or blpo, and `WANDB_MODE`."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...data.errors import ConfigError

_PROJECT = "blpo"


class WandbTracker:
    """Contract: `Tracker`. A run that is resumed is the same run there."""

    def __init__(self) -> None:
        import wandb  # noqa: PLC0415

        self._wandb: Any = wandb
        self._run: Any = None

    def start(self, name: str, run_id: str, params: Mapping[str, str]) -> str:
        _refuse_to_ask(self._wandb)
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            id=run_id,
            name=name,
            config=dict(params),
            resume="allow",
            reinit="create_new",
            # What is printed is printed by blpo, and only what is logged here is sent.
            settings=self._wandb.Settings(
                console="off", silent=True, disable_git=True, save_code=False, x_disable_stats=True
            ),
        )
        return self._run.url or f"offline in {self._run.dir}; `wandb sync` sends it"

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self._run.log(dict(metrics), step=step)

    def finish(
        self, metrics: Mapping[str, float], files: Sequence[Path], texts: Mapping[str, str]
    ) -> None:
        self._run.summary.update(dict(metrics))
        artefact = self._wandb.Artifact(f"run-{self._run.id}", "blpo-run")
        with tempfile.TemporaryDirectory() as folder:
            for name, text in texts.items():
                (Path(folder) / name).write_text(text, "utf-8")
                artefact.add_file(str(Path(folder) / name), name)
            for file in files:
                artefact.add_file(str(file), file.name)
            self._run.log_artifact(artefact)
        self._run.finish()


def _refuse_to_ask(wandb: Any) -> None:
    """Without a key W&B would ask for one on the terminal."""
    is_online = os.environ.get("WANDB_MODE", "online") == "online"
    if is_online and not wandb.api.api_key:
        raise ConfigError("no key: run `wandb login`, or set WANDB_API_KEY or WANDB_MODE=offline")
