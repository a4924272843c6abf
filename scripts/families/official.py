"""What a model's own code makes of a question, without ours: the processor's chat template applied
to images and text in our order, and the network's probabilities behind it.
"""
# ruff: noqa: PLC0415

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from blpo.data.images import decode_image
from blpo.models.engine import Request
from blpo.models.requests.chat_template import TODAY
from blpo.models.requests.label_logprobs import logsumexp, surface_variants

from .asking import markup_of
from .questions import Question
from .registry import Family

_SENTINEL = "where0the0text0stands"


class OtherPromptError(Exception):
    """A prompt is not what the processor's chat template makes of it."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between what a label's log-probability lies.

    low: of the label as it is written, closed by one of the model's ends of a turn. high: of all
    its surface variants, of their first tokens where one token is a whole label.
    """

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Prompt:
    """text: all that the user says. reply_ids: the start of the reply behind the template's."""

    text: str
    reply_ids: tuple[int, ...]


class Official:
    """A checkpoint in transformers, used as its documentation says."""

    def __init__(self, family: Family, folder: Path) -> None:
        from transformers import AutoModelForImageTextToText, AutoProcessor, GenerationConfig

        auto: Any = AutoModelForImageTextToText
        processors: Any = AutoProcessor
        configs: Any = GenerationConfig
        generation = configs.from_pretrained(folder)
        self.processor: Any = processors.from_pretrained(folder)
        self.tokenizer: Any = self.processor.tokenizer
        self._family = family
        self._network: Any = auto.from_pretrained(folder, attn_implementation="eager").eval()
        ends: int | list[int] = generation.eos_token_id
        vocabulary: dict[str, int] = self.tokenizer.get_added_vocab()
        self._markup = {vocabulary[text] for text in markup_of(self.tokenizer)}
        self.ends = [ends] if isinstance(ends, int) else list(ends)

    def read(self, question: Question, token_ids: Sequence[int]) -> "Prompt":
        """A prompt taken apart at what the template puts around the user's text.

        Raises OtherPromptError if it does not begin and end as the template says, or if text and
        start of the reply are not those of the question.
        """
        before, _, after = self._rendered(question, _SENTINEL).partition(_SENTINEL)
        start, end = self._expanded(question.request, before), self.plain(after)
        ids = list(token_ids)
        if ids[: len(start)] != start:
            raise OtherPromptError(f"begins otherwise: {self._difference(ids, start)}")
        at = _last(ids, end) if question.request.reply_start else len(ids) - len(end)
        if at is None or ids[at : at + len(end)] != end:
            shown = self.tokenizer.decode(ids[-len(end) :])
            raise OtherPromptError(f"ends in {shown!r}, not in {self.tokenizer.decode(end)!r}")
        prompt = Prompt(self._decode(ids[len(start) : at]), tuple(ids[at + len(end) :]))
        self._check(question, prompt, after)
        return prompt

    def difference(
        self, question: Question, prompt: "Prompt", token_ids: Sequence[int]
    ) -> str | None:
        """Where a prompt differs from the official one with its text; None if it does not."""
        official = self._expanded(question.request, self._rendered(question, prompt.text))
        ids = list(token_ids)[: len(token_ids) - len(prompt.reply_ids)]
        return None if ids == official else self._difference(ids, official)

    def num_markup(self, ids: Sequence[int]) -> int:
        """Tokens of markup among these."""
        return sum(i in self._markup for i in ids)

    def num_own_markup(self, question: Question) -> int:
        """Tokens of markup that the template itself puts into a prompt."""
        rendered = self._rendered(question, "x")
        own = self._expanded(question.request, rendered)
        thought = self._family.thought
        tags = ""
        if thought is not None and question.request.reply_start:
            tags = self._opener(rendered) + thought.closer
        return self.num_markup([*own, *self.plain(tags)])

    def label_bounds(self, question: Question, prompt: "Prompt") -> dict[str, Bounds]:
        scorer = self._scorer(question, prompt)
        encoded = {
            label: [self.plain(variant) for variant in surface_variants(label)]
            for label in question.request.labels
        }
        whole = any(len(variants[0]) > 1 for variants in encoded.values())
        return {
            label: Bounds(
                self._low(scorer, label), _high(scorer, variants if whole else _firsts(variants))
            )
            for label, variants in encoded.items()
        }

    def written(self, question: Question, prompt: "Prompt") -> str:
        """The most probable reply, of as many tokens as asked for, without its end."""
        scorer, ids = self._scorer(question, prompt), list[int]()
        for _ in range(question.request.sampling.max_tokens):
            token_id = int(scorer.logprobs(ids)[-1].argmax())
            if token_id in self.ends:
                break
            ids.append(token_id)
        return self.tokenizer.decode(ids, skip_special_tokens=True)

    def _low(self, scorer: "_Scorer", label: str) -> float:
        forms = [label, f" {label}"] if self._family.answers_after_space else [label]
        return logsumexp([scorer.closed(self.plain(form), self.ends) for form in forms])

    def _scorer(self, question: Question, prompt: "Prompt") -> "_Scorer":
        inputs = self._inputs(question.request, self._rendered(question, prompt.text))
        return _Scorer(self._network, _lengthened(inputs, prompt.reply_ids))

    def _check(self, question: Question, prompt: "Prompt", after: str) -> None:
        request = question.request
        if not prompt.text.endswith(request.prompt):
            raise OtherPromptError(f"the prompt reads {prompt.text[-80:]!r}")
        if request.text is not None and request.text not in prompt.text[: -len(request.prompt)]:
            raise OtherPromptError(f"the example's text is not in it: {prompt.text[:80]!r}")
        begun, expected = self._decode(prompt.reply_ids), self._begun(question, after)
        if begun != expected:
            raise OtherPromptError(f"the reply begins with {begun!r}, not with {expected!r}")

    def _begun(self, question: Question, after: str) -> str:
        """The start of a reply in the family's own tags; after: the template's start of it."""
        start, thought = question.request.reply_start, self._family.thought
        if not start or thought is None:
            return start
        said, _, answer = start.removeprefix("<think>\n").partition("\n</think>\n\n")
        return f"{self._opener(after)}{said}{thought.closer}{answer}"

    def _opener(self, rendered: str) -> str:
        """What opens a thought, unless the template has."""
        opener = self._family.thought.opener if self._family.thought else ""
        return "" if rendered.endswith(opener) else opener

    def _rendered(self, question: Question, text: str) -> str:
        """The chat template's own text, with the start of the assistant's turn."""
        thought = self._family.thought
        images: list[dict[str, str]] = [{"type": "image"} for _ in question.request.images]
        content = [*images, {"type": "text", "text": text}]
        arguments: Mapping[str, Any] = {}
        if thought is not None:
            arguments = thought.on if question.thinks else thought.off
        rendered: str = self.processor.apply_chat_template(
            [{"role": "user", "content": content}],
            tokenize=False,
            add_generation_prompt=True,
            strftime_now=TODAY.strftime,
            **arguments,
        )
        return rendered + (thought.closed if thought and not question.thinks else "")

    def _expanded(self, request: Request, rendered: str) -> list[int]:
        return self._inputs(request, rendered)["input_ids"][0].tolist()

    def _inputs(self, request: Request, rendered: str) -> dict[str, Any]:
        images = [decode_image(image) for image in request.images]
        how: dict[str, Any] = {"images": images} if images else {}
        return dict(
            self.processor(
                text=[rendered], add_special_tokens=False, return_tensors="pt", **how
            ).to(self._network.dtype)
        )

    def plain(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False)

    def _decode(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=False)

    def _difference(self, found: list[int], official: list[int]) -> str:
        pairs = zip(found, official, strict=False)
        at = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(found), len(official)))
        ours, theirs = (self.tokenizer.decode(ids[at : at + 6]) for ids in (found, official))
        return f"at token {at} of {len(official)} it has {ours!r}, the official one {theirs!r}"


@dataclass(frozen=True)
class _Scorer:
    """Log-probabilities behind one prompt."""

    network: Any
    inputs: dict[str, Any]

    def logprobs(self, ids: Sequence[int]) -> Any:
        """Rows: of what follows the prompt, then of what follows each of `ids` behind it."""
        import torch

        lengthened = _lengthened(self.inputs, ids)
        with torch.inference_mode():
            output = self.network(**lengthened, use_cache=False, logits_to_keep=len(ids) + 1)
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


def _lengthened(inputs: dict[str, Any], ids: Sequence[int]) -> dict[str, Any]:
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


def _firsts(variants: Sequence[Sequence[int]]) -> list[list[int]]:
    return [[first] for first in sorted({variant[0] for variant in variants})]


def _high(scorer: _Scorer, paths: Sequence[Sequence[int]]) -> float:
    distinct = {tuple(path) for path in paths}
    return logsumexp([scorer.of(path) for path in distinct])


def _last(ids: Sequence[int], part: Sequence[int]) -> int | None:
    """Where a part stands last."""
    places = range(len(ids) - len(part), -1, -1)
    return next((at for at in places if list(ids[at : at + len(part)]) == list(part)), None)
