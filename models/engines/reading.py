"""How requests are laid out for a model whose tokenizer is here, and labels read off it."""

from collections.abc import Sequence

from ...data.errors import EngineError
from ..engine import Request
from ..requests.choices import LabelReading
from ..requests.label_logprobs import LabelPlan
from ..requests.layout import Layout
from .settings import EngineSettings


def request_ids(layout: Layout, request: Request) -> list[int]:
    """Token ids of a request; raises as `Layout.token_ids` does."""
    return layout.token_ids(
        request.prompt,
        num_images=len(request.images),
        text=request.text,
        image_roles=request.image_roles,
        reply_start=request.reply_start,
    )


class LabelPlans:
    """Label plans of a model, each made once. Not for several threads at once."""

    def __init__(self, layout: Layout, reading: LabelReading) -> None:
        self._layout = layout
        self._reading: LabelReading = reading
        self._made: dict[tuple[str, ...], LabelPlan] = {}

    def of(self, labels: tuple[str, ...]) -> LabelPlan:
        """See `label_plan`."""
        if labels not in self._made:
            self._made[labels] = label_plan(self._layout, labels, self._reading)
        return self._made[labels]


def label_plan(layout: Layout, labels: Sequence[str], reading: LabelReading) -> LabelPlan:
    """The reads that give the log-probabilities of labels behind requests laid out so."""
    return LabelPlan.make(
        layout.tokenizer, labels, layout.ends, reading, after_space=layout.answers_after_space
    )


def refuse_direct_verdicts(settings: EngineSettings, requests: Sequence[Request]) -> None:
    """Raise EngineError for a label that is asked for before the model has thought."""
    if settings.thinking == "on" and any(r.labels and not r.reply_start for r in requests):
        raise EngineError(
            f"model {settings.model} thinks before it answers (thinking: on), and a direct verdict "
            "would be read inside its thought: set `verdict: reasoned` for the judge, or "
            "`thinking: off`"
        )
