"""Label log-probabilities from reads of single next tokens.

A label has surface variants ("Safe", "safe", " Safe"), and a variant is a token sequence. Where
the first token is the whole label, or is all that is asked for, the probability of a label is read
off the first token of the reply. Else ("Un" also begins "Unclear"), and where two labels start
with the same token ("natural", "naturally"), whole labels are scored: the sequences form a trie,
each inner node is one read with the node's tokens appended to the request, and the
log-probabilities are summed along the path.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...data.errors import EngineError
from .choices import LabelReading

MAX_IDS_PER_READ = 128
_MAX_UPPER_CHARS = 8

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """One question to the model: log P(id | request, prefix_ids) for each candidate id."""

    prefix_ids: Tokens
    candidate_ids: Tokens


@dataclass(frozen=True, slots=True)
class LabelPlan:
    """The reads that give the log-probabilities of a set of labels.

    paths: for each label, disjoint token paths whose probabilities add up to the label's. Where
        first tokens are read, the sum equals P(label) up to P(rest of the label | its first
        token).
    """

    paths: Mapping[str, tuple[Tokens, ...]]
    reads: tuple[Read, ...]

    @classmethod
    def make(
        cls,
        tokenizer: Any,
        labels: Sequence[str],
        end_ids: int | Sequence[int],
        reading: LabelReading = "first_token",
        *,
        after_space: bool = False,
    ) -> "LabelPlan":
        """end_ids: end the assistant's turn; they close a label that another one continues.

        after_space: the reply begins with a space, which may be a token of its own.
        Raises EngineError if two labels are the same tokens.
        """
        forms = _label_forms(labels)
        encoded = {
            label: {text: _encode(tokenizer, text) for text in texts}
            for label, texts in forms.items()
        }
        _check_distinct({label: encoded[label][label] for label in labels})
        space = _encode(tokenizer, " ") if after_space else ()
        ends = (end_ids,) if isinstance(end_ids, int) else tuple(end_ids)
        whole = reading == "whole" or (
            reading == "auto" and any(len(encoded[label][label]) > 1 for label in labels)
        )
        paths = None if whole else _first_token_paths(encoded, space)
        paths = paths or _whole_label_paths(encoded, ends, after_space=after_space)
        return cls(paths, _make_reads(path for p in paths.values() for path in p))

    def combine(self, answers: Sequence[Mapping[int, float]]) -> dict[str, float]:
        """Log-probability of each label; `answers` holds token id -> log-probability per read."""
        if len(answers) == 1:  # every path is one token
            [answer] = answers
            return {
                label: logsumexp([answer[token_id] for (token_id,) in paths])
                for label, paths in self.paths.items()
            }
        step = {
            (*read.prefix_ids, token_id): answer[token_id]
            for read, answer in zip(self.reads, answers, strict=True)
            for token_id in read.candidate_ids
        }
        return {
            label: logsumexp([_path_logprob(path, step) for path in paths])
            for label, paths in self.paths.items()
        }


def surface_variants(label: str) -> list[str]:
    """Ways in which a model may write a label, the label itself first, without repetition."""
    cased = [label, label.lower(), label[:1].upper() + label[1:]]
    if len(label) <= _MAX_UPPER_CHARS:
        cased.append(label.upper())
    return list(dict.fromkeys([*cased, *(f" {text}" for text in cased)]))


def logsumexp(values: Sequence[float]) -> float:
    """log of the sum of exponentials; -inf for nothing."""
    top = max(values, default=-math.inf)
    if top == -math.inf:
        return top
    return top + math.log(math.fsum([math.exp(value - top) for value in values]))


def _label_forms(labels: Sequence[str]) -> dict[str, list[str]]:
    """Surface variants per label, without those that also belong to another label."""
    owners: defaultdict[str, set[str]] = defaultdict(set)
    for label in labels:
        for text in surface_variants(label):
            owners[text].add(label)
    return {
        label: [t for t in surface_variants(label) if t == label or _owns(label, owners[t], t)]
        for label in labels
    }


def _owns(label: str, owners: set[str], text: str) -> bool:
    return owners == {label} and text != ""


def _encode(tokenizer: Any, text: str) -> Tokens:
    tokens = tuple(tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True))
    if not tokens:
        raise EngineError(f"label {text!r} has no tokens")
    return tokens


def _check_distinct(tokens: Mapping[str, Tokens]) -> None:
    labels_by_tokens: dict[Tokens, str] = {}
    for label, sequence in tokens.items():
        other = labels_by_tokens.setdefault(sequence, label)
        if other != label:
            raise EngineError(f"labels {other!r} and {label!r} are the same tokens to this model")


def _first_token_paths(
    encoded: Mapping[str, Mapping[str, Tokens]], space: Tokens
) -> dict[str, tuple[Tokens, ...]] | None:
    """Paths of one token each; None if the labels as declared share a first token.

    A variant that starts like another label is left out: " 1" and " 2" may both start with a
    token for the space. space: that token, where the reply begins with it; it is read past then.
    """

    def start(tokens: Tokens) -> Tokens:
        return tokens[: len(space) + 1] if space and tokens[: len(space)] == space else tokens[:1]

    starts = {label: {start(t) for t in forms.values()} for label, forms in encoded.items()}
    paths: dict[str, tuple[Tokens, ...]] = {}
    declared = {label: start(forms[label]) for label, forms in encoded.items()}
    if len(set(declared.values())) < len(declared):
        return None
    for label in encoded:
        shared = _union(starts[other] for other in encoded if other != label)
        shared -= {declared[label]}
        shared |= {declared[other] for other in encoded if other != label}
        paths[label] = tuple(sorted(starts[label] - shared))
    return paths


def _whole_label_paths(
    encoded: Mapping[str, Mapping[str, Tokens]], end_ids: Tokens, *, after_space: bool
) -> dict[str, tuple[Tokens, ...]]:
    """Full token sequences, made prefix-free, so that the probabilities add up to at most 1.

    Of one label's sequences, one that continues another is part of that one. A sequence that
    another label continues is closed with each of the end tokens.
    """
    sequences = {label: _unshared_sequences(encoded, label, after_space) for label in encoded}
    paths: dict[str, tuple[Tokens, ...]] = {}
    for label, own in sequences.items():
        others = _union(s for other, s in sequences.items() if other != label)
        shortest = [s for s in own if not any(_continues(s, t) for t in own)]
        paths[label] = tuple(
            path
            for s in sorted(shortest)
            for path in _closed(s, end_ids, is_continued=any(_continues(t, s) for t in others))
        )
    return paths


def _closed(tokens: Tokens, end_ids: Tokens, *, is_continued: bool) -> list[Tokens]:
    return [(*tokens, end) for end in end_ids] if is_continued else [tokens]


def _unshared_sequences(
    encoded: Mapping[str, Mapping[str, Tokens]], label: str, after_space: bool
) -> set[Tokens]:
    """Token sequences of a label that no other label has.

    Variants with a leading space that would cost reads of their own are left out, unless the reply
    begins with a space: they hardly occur.
    """
    others = [forms for other, forms in encoded.items() if other != label]
    taken = {tokens for forms in others for tokens in forms.values()}
    return {
        tokens
        for text, tokens in encoded[label].items()
        if text == label
        or (tokens not in taken and (after_space or not text.startswith(" ") or len(tokens) == 1))
    }


def _continues(longer: Tokens, shorter: Tokens) -> bool:
    return len(longer) > len(shorter) and longer[: len(shorter)] == shorter


def _make_reads(paths: Iterable[Tokens]) -> tuple[Read, ...]:
    """One read per inner node of the trie of `paths`, more where it has too many children."""
    children: defaultdict[Tokens, set[int]] = defaultdict(set)
    for path in paths:
        for depth, token_id in enumerate(path):
            children[path[:depth]].add(token_id)
    return tuple(
        Read(prefix, tuple(chunk))
        for prefix in sorted(children)
        for chunk in _chunks(sorted(children[prefix]))
    )


def _chunks(ids: list[int]) -> list[list[int]]:
    return [ids[i : i + MAX_IDS_PER_READ] for i in range(0, len(ids), MAX_IDS_PER_READ)]


def _path_logprob(path: Tokens, step: Mapping[Tokens, float]) -> float:
    """step: log-probability of the last token of a path that starts like this one."""
    if len(path) == 1:
        return step[path]
    return math.fsum(step[path[: depth + 1]] for depth in range(len(path)))


def _union(sets: Iterable[set[Any]]) -> set[Any]:
    return set[Any]().union(*sets)
