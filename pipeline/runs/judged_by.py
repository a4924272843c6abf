"""What judged a file of verdicts, as the metadata of the file keep it."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel, ConfigDict

from ...data.errors import ConfigError
from ...models.engine import UNPINNED
from ..config import VerdictConfig
from ..readings.choose import Reading
from .directory import INPUTS_FILE, RunDirectory

JUDGED_BY_KEY = "blpo.judged_by"
"""Of the metadata of a file of verdicts: `JudgedBy` as JSON."""


class JudgedBy(BaseModel):
    """labels: of the task. judge: model, revision and layout. prompt, reading, asked: digests of
    the judge prompt, of how its verdicts are read, and of how they are asked for."""

    model_config = ConfigDict(frozen=True)

    labels: tuple[str, ...]
    judge: dict[str, str]
    prompt: str
    reading: str
    asked: str

    @classmethod
    def of(
        cls,
        labels: Sequence[str],
        judge: Mapping[str, str],
        prompt: str,
        reading: Reading | None,
        config: VerdictConfig,
    ) -> "JudgedBy":
        """judge: identity of its engine."""
        asked = config.model_dump(mode="json", include={"verdict", "orders", "images"})
        return cls(
            labels=tuple(labels),
            judge={name: judge[name] for name in ("model", "revision", "layout") if name in judge},
            prompt=_digest("\n".join(prompt.strip().splitlines())),
            reading=_digest(None if reading is None else reading.model_dump(mode="json")),
            asked=_digest(asked),
        )

    def differences(self, other: "JudgedBy") -> list[str]:
        """In what another differs, in words."""
        found = [
            f"its judge's {name} is {other.judge[name]}, that of the run {self.judge[name]}"
            for name in differing(self.judge, other.judge)
        ]
        if self.labels != other.labels:
            found.append(f"its labels are {', '.join(other.labels)}")
        parts = {
            "judge prompt": self.prompt != other.prompt,
            "reading": self.reading != other.reading,
            "way of asking (verdict, orders, images)": self.asked != other.asked,
        }
        return [*found, *(f"its {part} is another" for part, differs in parts.items() if differs)]


def differing(aligned: Mapping[str, str], judge: Mapping[str, str]) -> list[str]:
    """Of model, layout and revision of two judges what both know and is not the same.

    Revisions are compared of one model, as far as they are pinned.
    """
    names = ["model", "layout"]
    revisions = (aligned.get("revision"), judge.get("revision"))
    if aligned.get("model") == judge.get("model") and UNPINNED not in revisions:
        names.append("revision")
    return [
        name for name in names if name in aligned and name in judge and aligned[name] != judge[name]
    ]


def aligned_judge(directory: RunDirectory) -> Mapping[str, str]:
    """The identity of a run's judge. Raises ConfigError where the run names none."""
    models = directory.read_json(INPUTS_FILE).get("models")
    judge = cast("dict[str, Any]", models).get("judge") if isinstance(models, dict) else None
    if not isinstance(judge, dict):
        path = directory.path / INPUTS_FILE
        raise ConfigError(f"{path}: names no judge: restore the file, or start the run over")
    return cast("dict[str, str]", judge)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
