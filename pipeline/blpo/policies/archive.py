"""The archive: every judge prompt that was judged, with what became of each item.

Proposals that were paid for are not thrown away: the final prompt is chosen among all of them,
and a step can start from any of them, accepted or not.
"""

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from ...search.paired_gain import Losses, PairedGain, Strata, paired_gain
from ...search.seeds import derived_seed


@dataclass(frozen=True, slots=True)
class Entry:
    """A judge prompt and its outcomes.

    losses: on the training items that it was judged on. seen: items that an optimizer call of
    its lineage was shown; they tell nothing about it. accepted: whether a step may start from it.
    """

    judge_prompt: str
    losses: dict[str, float] = field(default_factory=dict[str, float])
    seen: frozenset[str] = frozenset()
    accepted: bool = False

    @property
    def unseen_losses(self) -> Losses:
        return {item: loss for item, loss in self.losses.items() if item not in self.seen}


@dataclass(frozen=True, slots=True)
class Ranked:
    """An entry with its gain over p_0 on the items that its lineage has not seen."""

    entry: Entry
    gain: PairedGain


class Archive:
    """Entries in the order of their first proposal, p_0 first."""

    def __init__(self, judge_prompt: str, seen: frozenset[str] = frozenset()) -> None:
        """seen: items that may be shown to the optimizer, where others are held out."""
        self._entries = {judge_prompt: Entry(judge_prompt, seen=seen, accepted=True)}
        self._last = judge_prompt
        self._started_from = set[str]()

    @property
    def entries(self) -> list[Entry]:
        return list(self._entries.values())

    @property
    def last(self) -> Entry:
        """The prompt that was accepted last; p_0 at first."""
        return self._entries[self._last]

    def add(self, judge_prompt: str, losses: Losses, seen: Collection[str] = ()) -> Entry:
        """Add outcomes of a prompt. One that was proposed before keeps that lineage."""
        entry = self._entries.setdefault(judge_prompt, Entry(judge_prompt, seen=frozenset(seen)))
        entry.losses.update(losses)
        return entry

    def losses(self, judge_prompt: str) -> Losses:
        """What is known of a prompt; nothing of one that was never judged."""
        entry = self._entries.get(judge_prompt)
        return entry.losses if entry else {}

    def __getitem__(self, judge_prompt: str) -> Entry:
        return self._entries[judge_prompt]

    def has_accepted(self, judge_prompt: str) -> bool:
        entry = self._entries.get(judge_prompt)
        return entry is not None and entry.accepted

    def accept(self, judge_prompt: str) -> None:
        entry = self._entries[judge_prompt]
        self._entries[judge_prompt] = Entry(judge_prompt, entry.losses, entry.seen, accepted=True)
        self._last = judge_prompt

    def best_first(self, strata: Strata) -> Entry:
        """What was accepted last; once a step has started from it, the best of the others.

        That is the entry with the highest gain over it of those that no step has started from; with
        none left, what was accepted last again. strata: by its verdicts.
        """
        gains = {
            entry.judge_prompt: gain.shrunk
            for entry in self.entries
            if entry.judge_prompt not in self._started_from
            and (gain := paired_gain(self.last.losses, entry.unseen_losses, strata)).n
        }
        is_new = self._last not in self._started_from
        chosen = self._last if is_new else max(gains, key=gains.__getitem__, default=self._last)
        self._started_from.add(chosen)
        return self[chosen]

    def draw_parent(self, confidence: float, seed: int, outer_step: int) -> Entry:
        """What was accepted last; once a step has started from it, one of the Pareto front.

        As long as steps lead on there is no reason to go back. After that it is drawn among
        accepted entries, in proportion to the items that they are best on. Entries that are worse
        than the best one at `confidence` have no part in it: being best on a few items by luck is
        not a reason to start over.
        """
        if self._last not in self._started_from:
            self._started_from.add(self._last)
            return self.last
        accepted = [entry for entry in self.entries if entry.accepted]
        contenders = contending([entry.losses for entry in accepted], confidence)
        front = [accepted[i] for i in contenders]
        weights = pareto_weights([entry.losses for entry in front])
        generator = random.Random(derived_seed(seed, "parent", outer_step))
        return generator.choices(front, weights)[0]

    def rank(self, strata: Strata) -> list[Ranked]:
        """Gains of all entries over p_0, in order of entry; strata by p_0's verdicts."""
        first = self.entries[0].losses
        return [Ranked(e, paired_gain(first, e.unseen_losses, strata)) for e in self.entries]


def choose_final(ranked: Sequence[Ranked], confidence: float) -> Ranked:
    """The entry whose gain over p_0 has the highest lower bound; p_0 unless that is above 0."""
    best = max(ranked, key=lambda one: one.gain.lower(confidence))
    return best if best.gain.lower(confidence) > 0 else ranked[0]


def contending(losses: Sequence[Losses], confidence: float) -> list[int]:
    """Places of those that are not surely worse than the one with the lowest mean loss."""
    items = sorted(set(losses[0]).intersection(*losses))
    strata = dict.fromkeys(items, 0)
    # Of equal ones the later: it was accepted on a gain.
    best = min(reversed(losses), key=lambda own: sum(own[item] for item in items))
    return [
        i
        for i, own in enumerate(losses)
        if paired_gain(own, {item: best[item] for item in items}, strata).lower(confidence) <= 0
    ]


def pareto_weights(losses: Sequence[Losses]) -> list[int]:
    """On how many items each entry has the lowest loss; 0 for entries off the Pareto front.

    An entry is off the front if another is nowhere worse and somewhere better, or the same and
    later: what was accepted later gained on it. Items are those that all were judged on.
    """
    items = sorted(set(losses[0]).intersection(*losses))
    table = [[own[item] for item in items] for own in losses]
    best = [min(column) for column in zip(*table, strict=True)]
    return [
        0
        if any(_dominates(other, own, later=i > j) for i, other in enumerate(table) if i != j)
        else sum(loss == least for loss, least in zip(own, best, strict=True))
        for j, own in enumerate(table)
    ]


def _dominates(one: Sequence[float], other: Sequence[float], *, later: bool) -> bool:
    nowhere_worse = all(a <= b for a, b in zip(one, other, strict=True))
    return nowhere_worse and (later or list(one) != list(other))
