"""What a model's own code makes of a question, without ours: the processor's chat template applied
to images and text in our order, and the network's probabilities behind it.
"""
# ruff: noqa: PLC0415

import copy
from collections.abc import Sequence
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
from .scoring import Bounds, Scorer, any_of, firsts, lengthened, without_images_marked

_SENTINEL = "where0the0text0stands"


class OtherPromptError(Exception):
    """A prompt is not what the processor's chat template makes of it."""


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
        self._is_causal = False
        self._is_dated = "strftime_now" in family.template
        self._network: Any = auto.from_pretrained(folder, attn_implementation="eager").eval()
        ends: int | list[int] = generation.eos_token_id
        vocabulary: dict[str, int] = self.tokenizer.get_added_vocab()
        self._texts = markup_of(self.tokenizer)
        self._markup = {vocabulary[text] for text in self._texts}
        self.ends = [ends] if isinstance(ends, int) else list(ends)

    def attending_causally(self) -> "Official":
        """The same with image tokens that see only those before them."""
        other = copy.copy(self)
        other._is_causal = True
        return other

    def read(self, question: Question, token_ids: Sequence[int]) -> Prompt:
        """A prompt taken apart at what the template puts around the user's text.

        Raises OtherPromptError if it does not begin and end as the template says, or if text and
        start of the reply are not those of the question.
        """
        before, _, after = self._rendered(question, _SENTINEL).partition(_SENTINEL)
        tail, head = self._tail(before), self._head(after)
        start = self._expanded(question.request, before.removesuffix(tail))
        end = self.plain(after.removeprefix(head))
        at = self._end_of_text(question, list(token_ids), start, end)
        said = self._decode(token_ids[len(start) : at])
        if not (said.startswith(tail) and said.endswith(head)):
            raise OtherPromptError(f"has {said[-80:]!r} between {tail!r} and {head!r}")
        text = said.removeprefix(tail).removesuffix(head)
        prompt = Prompt(text, tuple(token_ids[at + len(end) :]))
        self._check(question, prompt, after)
        return prompt

    def _end_of_text(
        self, question: Question, ids: list[int], start: list[int], end: list[int]
    ) -> int:
        """Where the markup behind the user's text begins."""
        if ids[: len(start)] != start:
            raise OtherPromptError(f"begins otherwise: {self._difference(ids, start)}")
        at = _last(ids, end) if question.request.reply_start else len(ids) - len(end)
        if at is None or ids[at : at + len(end)] != end:
            shown = self.tokenizer.decode(ids[-len(end) :])
            raise OtherPromptError(f"ends in {shown!r}, not in {self.tokenizer.decode(end)!r}")
        return at

    def difference(
        self, question: Question, prompt: Prompt, token_ids: Sequence[int]
    ) -> str | None:
        """Where a prompt differs from the official one with its text; None if it does not."""
        official = self._expanded(question.request, self._rendered(question, prompt.text))
        ids = list(token_ids)[: len(token_ids) - len(prompt.reply_ids)]
        return None if ids == official else self._difference(ids, official)

    def _tail(self, before: str) -> str:
        """What of a text stands behind its last markup: it may be one token with what follows."""
        return before[max(before.rfind(m) + len(m) for m in self._texts if m in before) :]

    def _head(self, after: str) -> str:
        """What of a text stands before its first markup."""
        return after[: min(after.find(m) for m in self._texts if m in after)]

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

    def label_bounds(self, question: Question, prompt: Prompt) -> dict[str, Bounds]:
        scorer = self._scorer(question, prompt)
        encoded = {
            label: [self.plain(variant) for variant in surface_variants(label)]
            for label in question.request.labels
        }
        whole = any(len(variants[0]) > 1 for variants in encoded.values())
        return {
            label: Bounds(
                self._low(scorer, label), any_of(scorer, variants if whole else firsts(variants))
            )
            for label, variants in encoded.items()
        }

    def written(self, question: Question, prompt: Prompt) -> str:
        """The most probable reply, of as many tokens as asked for, without its end."""
        scorer, ids = self._scorer(question, prompt), list[int]()
        for _ in range(question.request.sampling.max_tokens):
            token_id = int(scorer.logprobs(ids)[-1].argmax())
            if token_id in self.ends:
                break
            ids.append(token_id)
        return self.tokenizer.decode(ids, skip_special_tokens=True)

    def _low(self, scorer: Scorer, label: str) -> float:
        forms = [label, f" {label}"] if self._family.answers_after_space else [label]
        return logsumexp([scorer.closed(self.plain(form), self.ends) for form in forms])

    def _scorer(self, question: Question, prompt: Prompt) -> Scorer:
        inputs = self._inputs(question.request, self._rendered(question, prompt.text))
        return Scorer(self._network, lengthened(inputs, prompt.reply_ids))

    def _check(self, question: Question, prompt: Prompt, after: str) -> None:
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
        arguments: dict[str, Any] = {"strftime_now": TODAY.strftime} if self._is_dated else {}
        if thought is not None:
            arguments |= thought.on if question.thinks else thought.off
        rendered: str = self.processor.apply_chat_template(
            [{"role": "user", "content": content}],
            tokenize=False,
            add_generation_prompt=True,
            **arguments,
        )
        return rendered + (thought.closed if thought and not question.thinks else "")

    def _expanded(self, request: Request, rendered: str) -> list[int]:
        return self._inputs(request, rendered)["input_ids"][0].tolist()

    def _inputs(self, request: Request, rendered: str) -> dict[str, Any]:
        images = [decode_image(image) for image in request.images]
        how: dict[str, Any] = {"images": images} if images else {}
        processed = self.processor(
            text=[rendered], add_special_tokens=False, return_tensors="pt", **how
        )
        inputs = dict(processed.to(self._network.dtype))
        return without_images_marked(inputs) if self._is_causal else inputs

    def plain(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False)

    def _decode(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=False)

    def _difference(self, found: list[int], official: list[int]) -> str:
        pairs = zip(found, official, strict=False)
        at = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(found), len(official)))
        ours, theirs = (self.tokenizer.decode(ids[at : at + 6]) for ids in (found, official))
        return f"at token {at} of {len(official)} it has {ours!r}, the official one {theirs!r}"


def _last(ids: Sequence[int], part: Sequence[int]) -> int | None:
    """Where a part stands last."""
    places = range(len(ids) - len(part), -1, -1)
    return next((at for at in places if list(ids[at : at + len(part)]) == list(part)), None)
