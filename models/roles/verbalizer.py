"""The verbalizer: g(x; q), an image written down as text under an I2T prompt.

A pair is written down image by image, each under the prompt on its own, and read together: as
many verbalizations as there are images, however many pairs they stand in, and none that depends
on the order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ...data.examples import Example
from ..engine import Engine, Reply, Request, Sampling


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
            Request(i2t_prompt, image, example.text, sampling=self._sampling)
            for i2t_prompt in i2t_prompts
            for example in examples
            for image in example.images
        ]
        replies = iter([_verbalization(reply) for reply in self._engine.ask(requests)])
        return [
            [_of_example([next(replies) for _ in example.images]) for example in examples]
            for _ in i2t_prompts
        ]


def _of_example(verbalizations: Sequence[Verbalization]) -> Verbalization:
    """What an example's images were written down as, under the names of a pair's images."""
    if len(verbalizations) == 1:
        return verbalizations[0]
    named = list(zip("AB", verbalizations, strict=True))
    reasons = [f"image {name}: {v.reason}" for name, v in named if v.reason is not None]
    texts = [f"Image {name}: {v.text or '(no description)'}" for name, v in named]
    is_empty = not any(v.text for v in verbalizations)
    return Verbalization("" if is_empty else "\n".join(texts), "; ".join(reasons) or None)


def _verbalization(reply: Reply) -> Verbalization:
    if reply.finish_reason == "error":
        return Verbalization("", reply.error)
    text = reply.text.strip()
    return Verbalization(text, None if text else "empty reply")
