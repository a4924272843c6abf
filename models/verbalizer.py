"""The verbalizer: g(x; q), an image written down as text under an I2T prompt."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..data.examples import Example
from .engine import Engine, Reply, Request, Sampling


@dataclass(frozen=True, slots=True)
class Verbalization:
    """What the verbalizer wrote; empty text where it failed, and `reason` says why."""

    text: str
    reason: str | None = None


class Verbalizer:
    """Asks an engine for verbalizations; in tasks with a text it sees the text as well."""

    def __init__(self, engine: Engine, max_tokens: int) -> None:
        self._engine = engine
        self._sampling = Sampling(max_tokens=max_tokens)

    def __call__(self, i2t_prompt: str, examples: Sequence[Example]) -> list[Verbalization]:
        """One verbalization per example, in order."""
        return self.each([i2t_prompt], examples)[0]

    def each(
        self, i2t_prompts: Sequence[str], examples: Sequence[Example]
    ) -> list[list[Verbalization]]:
        """For each I2T prompt one verbalization per example, in order; one batch."""
        requests = [
            Request(i2t_prompt, example.image, example.text, sampling=self._sampling)
            for i2t_prompt in i2t_prompts
            for example in examples
        ]
        replies = [_verbalization(reply) for reply in self._engine.ask(requests)]
        num = len(examples)
        return [replies[i * num : (i + 1) * num] for i in range(len(i2t_prompts))]


def _verbalization(reply: Reply) -> Verbalization:
    if reply.finish_reason == "error":
        return Verbalization("", reply.error)
    text = reply.text.strip()
    return Verbalization(text, None if text else "empty reply")
