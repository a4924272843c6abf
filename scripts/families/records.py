"""What came back from an engine on a family, as it is passed between processes."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from blpo.models.engine import Reply


@dataclass(frozen=True, slots=True)
class Answered:
    """One question's reply. token_ids: of the prompt as the engine's library got it.

    error: why there is no reply; of the request, or of the whole engine.
    """

    text: str = ""
    token_ids: tuple[int, ...] = ()
    label_logprobs: Mapping[str, float] | None = None
    error: str | None = None

    @classmethod
    def of(cls, reply: Reply, token_ids: list[int]) -> "Answered":
        return cls(reply.text, tuple(token_ids), reply.label_logprobs, reply.error)


@dataclass(slots=True)
class Record:
    """One engine on one family. answers: by the question's name. exact: the same without what is
    known to make the engines differ: vLLM's in float32, where by itself it computes in less;
    those of transformers attending causally, where vLLM does.

    num_images, num_encoded: under the first prompt over new images, then under each later one;
    None where the engine does not keep images. failure: why the engine did not get to the end.
    """

    answers: dict[str, Answered] = field(default_factory=dict[str, Answered])
    exact: dict[str, Answered] = field(default_factory=dict[str, Answered])
    num_images: int = 0
    num_encoded: list[int] | None = None
    failure: str | None = None

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, file: Path) -> "Record":
        stored = json.loads(file.read_text())
        answers, exact = (_answers(stored.pop(name)) for name in ("answers", "exact"))
        return cls(answers, exact, **stored)


def _answers(stored: Mapping[str, dict[str, Any]]) -> dict[str, Answered]:
    return {
        name: Answered(token_ids=tuple(entry.pop("token_ids")), **entry)
        for name, entry in stored.items()
    }
