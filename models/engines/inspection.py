"""What a local model makes of a request, found out without loading its weights."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..requests.label_logprobs import LabelPlan
from .checkpoint import load_processor, locate, make_model_layout, snapshot_folder
from .reading import label_plan
from .settings import EngineSettings


@dataclass(frozen=True, slots=True)
class LabelTokens:
    """A label as the model sees it: the pieces into which its tokenizer cuts it, as text."""

    label: str
    tokens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model's files and chat template as requests will use them.

    folder: where the files are; None where the weights are not on this machine yet.
    max_images: most images in one request, of as many as were tried.
    ends: the tokens that end a reply, as text. thought: the tag that opens a thought; None for a
        model that answers at once. suffix: how the assistant's turn begins, as text.
    labels: empty where none were asked for. num_reads: next-token reads for a verdict.
    """

    folder: str | None
    max_images: int
    ends: tuple[str, ...]
    thought: str | None
    suffix: str
    labels: tuple[LabelTokens, ...]
    num_reads: int


def inspect_model(settings: EngineSettings, labels: Sequence[str]) -> ModelFacts:
    """Raises EngineError for a model that cannot be used, with the remedy; imports transformers.

    One that takes fewer images in a request than the settings name cannot.
    """
    checkpoint = locate(settings)
    layout = make_model_layout(load_processor(checkpoint), settings, checkpoint)
    folder = checkpoint.folder or snapshot_folder(checkpoint)
    plan = label_plan(layout, labels, settings.label_reading) if labels else LabelPlan({}, ())
    decode, encode = layout.tokenizer.decode, layout.tokenizer.encode
    return ModelFacts(
        folder=None if folder is None else str(folder),
        max_images=len(layout.prefixes) - 1,
        ends=tuple(decode([end]) for end in layout.ends),
        thought=layout.thought.opener.strip() if layout.thought else None,
        suffix=decode(list(layout.suffix)),
        labels=tuple(
            LabelTokens(label, tuple(decode([i]) for i in encode(label, add_special_tokens=False)))
            for label in labels
        ),
        num_reads=len(plan.reads),
    )
