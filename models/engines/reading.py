"""How a local engine reads labels off its model."""

from collections.abc import Sequence

from ...data.errors import EngineError
from ..engine import Request
from ..requests.choices import LabelReading
from ..requests.label_logprobs import LabelPlan
from ..requests.layout import Layout
from .settings import EngineSettings


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
