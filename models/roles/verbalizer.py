"""The verbalizer: g(x; q), an image written down as text under an I2T prompt.

Of an example of several images, a pair or images with roles, each is written down under the prompt
on its own, and they are read together: as many verbalizations as there are images, however many
examples they stand in, and none that depends on the order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ...data.examples import Example
from ...data.image_names import image_titles
from ..engine import Engine, Reply, Request, Sampling
from ..replies.budget import ReplyBudget
from ..replies.leads import without_boxes


@dataclass(frozen=True, slots=True)
class Verbalization:
    """What the verbalizer wrote, without a thought.

    reason: why the text is empty, or that it was cut off. is_cut_off: whether it ended at its limit
    of tokens. has_failed: whether there is none for another reason. Of an example of several images
    each of the three tells of any of them.
    """

    text: str
    reason: str | None = None
    is_cut_off: bool = False
    has_failed: bool = False


class Verbalizer:
    """Asks an engine for verbalizations; in tasks with a text it sees the text as well.

    thinking_tokens: on top of max_tokens for a thought; 0 for an engine that does not think.
    image_roles: of the images of an example; empty where they have none.
    """

    def __init__(
        self,
        engine: Engine,
        max_tokens: int,
        thinking_tokens: int = 0,
        image_roles: Sequence[str] = (),
    ) -> None:
        self._engine = engine
        self._image_roles = image_roles
        self._budget = ReplyBudget(
            max_tokens, thinking_tokens, "verbalizer.max_tokens", "verbalizer.thinking_tokens"
        )
        self._sampling = Sampling(self._budget.max_tokens)

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
        replies = iter([self._written(reply) for reply in self._engine.ask(requests)])
        return [
            [
                _of_example([next(replies) for _ in example.images], self._image_roles)
                for example in examples
            ]
            for _ in i2t_prompts
        ]

    def _written(self, reply: Reply) -> Verbalization:
        if reply.finish_reason == "error":
            return Verbalization("", reply.error, has_failed=True)
        text = self._budget.read(reply)
        fault = self._budget.fault(text)
        return Verbalization(
            without_boxes(text.answer).strip(),
            fault,
            is_cut_off=text.is_at_limit,
            has_failed=fault is not None and not text.is_at_limit,
        )


def _of_example(
    verbalizations: Sequence[Verbalization], image_roles: Sequence[str]
) -> Verbalization:
    """What an example's images were written down as, each under what it is called."""
    if len(verbalizations) == 1:
        return verbalizations[0]
    titles = image_titles(image_roles, len(verbalizations))
    named = list(zip(titles, verbalizations, strict=True))
    reasons = [f"{title}: {v.reason}" for title, v in named if v.reason is not None]
    texts = [f"{title[0].upper()}{title[1:]}: {v.text or '(no description)'}" for title, v in named]
    is_empty = not any(v.text for v in verbalizations)
    return Verbalization(
        "" if is_empty else "\n".join(texts),
        "; ".join(reasons) or None,
        is_cut_off=any(v.is_cut_off for v in verbalizations),
        has_failed=any(v.has_failed for v in verbalizations),
    )
