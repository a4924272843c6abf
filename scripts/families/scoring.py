"""Log-probabilities that a network in transformers gives to what may follow a prompt."""
# ruff: noqa: PLC0415

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from blpo.models.requests.label_logprobs import logsumexp


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between what a label's log-probability lies.

    low: of the label as it is written, closed by one of the model's ends of a turn. high: of all
    its surface variants, of their first tokens where one token is a whole label.
    """

    low: float
    high: float


@dataclass(frozen=True)
class Scorer:
    """Log-probabilities behind one prompt."""

    network: Any
    inputs: dict[str, Any]

    def logprobs(self, ids: Sequence[int]) -> Any:
        """Rows: of what follows the prompt, then of what follows each of `ids` behind it."""
        import torch

        inputs = lengthened(self.inputs, ids)
        with torch.inference_mode():
            output = self.network(**inputs, use_cache=False, logits_to_keep=len(ids) + 1)
        return output.logits[0, -len(ids) - 1 :].float().log_softmax(-1)

    def of(self, ids: Sequence[int]) -> float:
        """Log-probability that the reply begins so."""
        rows = self.logprobs(ids[:-1])
        return math.fsum(float(rows[i, token_id]) for i, token_id in enumerate(ids))

    def closed(self, ids: Sequence[int], ends: Sequence[int]) -> float:
        """Log-probability that this is the whole reply."""
        rows = self.logprobs(ids)
        said = math.fsum(float(rows[i, token_id]) for i, token_id in enumerate(ids))
        return said + logsumexp([float(rows[-1, end]) for end in ends])


def lengthened(inputs: dict[str, Any], ids: Sequence[int]) -> dict[str, Any]:
    """Inputs with further text tokens; all that has one value for each token grows by zeros."""
    import torch

    tokens = inputs["input_ids"]
    shape = tokens.shape
    more = torch.tensor([list(ids)], dtype=tokens.dtype)
    grown = {
        name: torch.cat([value, torch.zeros((1, len(ids)), dtype=value.dtype)], dim=1)
        for name, value in inputs.items()
        if getattr(value, "shape", None) == shape
    }
    longer = torch.cat([tokens, more], dim=1)
    return inputs | grown | {"input_ids": longer, "attention_mask": torch.ones_like(longer)}


def without_images_marked(inputs: dict[str, Any]) -> dict[str, Any]:
    """Inputs that do not say which tokens are an image's: so they see only those before them."""
    marks = ("token_type_ids", "mm_token_type_ids")
    return {name: value for name, value in inputs.items() if name not in marks}


def firsts(variants: Sequence[Sequence[int]]) -> list[list[int]]:
    """The variants' first tokens, each once."""
    return [[first] for first in sorted({variant[0] for variant in variants})]


def any_of(scorer: Scorer, paths: Sequence[Sequence[int]]) -> float:
    """Log-probability that the reply begins in one of these ways."""
    distinct = {tuple(path) for path in paths}
    return logsumexp([scorer.of(path) for path in distinct])
