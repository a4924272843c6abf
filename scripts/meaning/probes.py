"""Readings of inner layers that tell the language half, layer by layer, what a prompt says."""

from collections.abc import Sequence

import torch
import train_micro as micro
from torch import Tensor, nn
from torch.nn import functional

from .batches import AT_FAULT, CLEAN, NUM_PLACES, WEIGHED, MeaningNotes, Row

CLAUSE_LAYER, SENTENCE_LAYER, TOLD_LAYER, MEANING_LAYER, COST_LAYER = 2, 3, 4, 5, 7
_OLD_LAYERS = (0, 2, 4, 8)
"""Where the layers went that the shipped model's probes read."""
_NUM_CLASSES = 7
"""Statuses without the place of the other aspect."""
_NUM_COSTS = 3
_NUM_TOLD = NUM_PLACES + 1


def _per_aspect(num: int) -> nn.Linear:
    return nn.Linear(micro.HIDDEN, len(micro.ASPECTS) * num)


class MeaningProbes(nn.Module):
    """Linear readings; they guide the training and are thrown away.

    What a clause does at its end; what a sentence says of each aspect at its end; at a prompt's
    end, what all of it says of each aspect, and what each costs in this scene; in a description,
    how many aspects are told.
    """

    def __init__(self) -> None:
        super().__init__()
        self.old = micro.Probes()
        self.clause = nn.Linear(micro.HIDDEN, 4)
        self.kind = nn.Linear(micro.HIDDEN, _NUM_CLASSES)
        self.kind2 = nn.Linear(micro.HIDDEN, _NUM_CLASSES)
        self.sentence = _per_aspect(_NUM_CLASSES)
        self.sentence_partner = _per_aspect(NUM_PLACES)
        self.meaning = _per_aspect(_NUM_CLASSES)
        self.meaning_partner = _per_aspect(NUM_PLACES)
        self.cost = _per_aspect(_NUM_COSTS)
        self.told = nn.Linear(micro.HIDDEN, _NUM_TOLD)
        self.second_claim = nn.Linear(micro.HIDDEN, 1)
        self.second_value = nn.Linear(micro.HIDDEN, len(micro.VALUES))
        self.second_fault = nn.Linear(micro.HIDDEN, 1)
        self.second_cost = _per_aspect(_NUM_COSTS)

    def forward(
        self, states: Sequence[Tensor], batch: micro.Batch
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and 0/1 by what was read whether it was read right."""
        loss = 0.5 * self.old([states[layer] for layer in _OLD_LAYERS], batch)
        notes, right = batch.notes, dict[str, Tensor]()
        assert isinstance(notes, MeaningNotes)
        if notes.clauses:
            row, place, kind = torch.tensor(notes.clauses).T
            logits = self.clause(states[CLAUSE_LAYER][row, place])
            loss = loss + 0.5 * functional.cross_entropy(logits, kind)
            right["clause"] = logits.argmax(-1) == kind
        if notes.sentences:
            loss = loss + self._kinds(states, notes.sentences)
            heads = (self.sentence, self.sentence_partner)
            more, right["sentence"] = _statuses(*heads, states[SENTENCE_LAYER], notes.sentences)
            loss = loss + more
        heads = (self.meaning, self.meaning_partner)
        more, right["meaning"] = _statuses(*heads, states[MEANING_LAYER], notes.meanings)
        loss = loss + more
        if notes.costs:
            state, mine, cost = _split(states[COST_LAYER], notes.costs)
            logits = _own(self.cost(state), mine, _NUM_COSTS)
            loss = loss + _balanced(logits, cost)
            right["cost"] = (logits.argmax(-1) == cost).all(-1)
        if notes.second_costs:
            loss = loss + self._second(states, notes, right)
        if notes.told:
            row, place, told = torch.tensor(notes.told).T
            logits = self.told(states[TOLD_LAYER][row, place])
            loss = loss + 0.5 * functional.cross_entropy(logits, told)
            right["told"] = logits.argmax(-1) == told
        return loss, right

    def _second(
        self, states: Sequence[Tensor], notes: MeaningNotes, right: dict[str, Tensor]
    ) -> Tensor:
        """What is told of a pair's second picture, on the layers that tell it of the first."""
        binary = functional.binary_cross_entropy_with_logits
        state, mine, cost = _split(states[COST_LAYER], notes.second_costs)
        logits = _own(self.second_cost(state), mine, _NUM_COSTS)
        loss = _balanced(logits, cost)
        right["second cost"] = (logits.argmax(-1) == cost).all(-1)
        if notes.seconds:
            row, place, value, fault = torch.tensor(notes.seconds).T
            at_value, at_fault = (states[_OLD_LAYERS[k]][row, place] for k in (1, 2))
            loss = loss + 0.5 * functional.cross_entropy(self.second_value(at_value), value)
            read_off = self.second_fault(at_fault)[:, 0]
            loss = loss + binary(read_off, fault.float())
            right["second fault"] = (read_off > 0) == (fault > 0)
        if notes.second_claims:
            row, place, kept = torch.tensor(notes.second_claims).T
            read_off = self.second_claim(states[_OLD_LAYERS[1]][row, place])[:, 0]
            loss = loss + binary(read_off, kept.float())
        return loss

    def _kinds(self, states: Sequence[Tensor], sentences: Sequence[Row]) -> Tensor:
        """What a sentence mainly says, shared by all aspects."""
        table = torch.tensor(sentences)
        row, place, (status, _) = table[:, 0], table[:, 1], _classes(table[:, 3:])
        special = status * (status != WEIGHED)
        main = torch.where(special.any(1), special.amax(1), WEIGHED)
        return torch.stack([
            0.5 * functional.cross_entropy(head(states[layer][row, place]), main)
            for head, layer in ((self.kind, SENTENCE_LAYER), (self.kind2, SENTENCE_LAYER + 1))
        ]).sum()  # fmt: skip


def _split(states: Tensor, rows: Sequence[Row]) -> tuple[Tensor, Tensor, Tensor]:
    """States at the rows' tokens, the family's places among all aspects, and the truth."""
    table = torch.tensor(rows)
    mine = table[:, 2:3] + torch.arange(NUM_PLACES)
    return states[table[:, 0], table[:, 1]], mine, table[:, 3:]


def _classes(truth: Tensor) -> tuple[Tensor, Tensor]:
    """Statuses without the place of the other aspect, and that place, negative without one."""
    classes = torch.where(truth >= AT_FAULT, AT_FAULT + (truth >= CLEAN).int(), truth)
    place = (truth - AT_FAULT) % NUM_PLACES
    return classes.long(), torch.where(truth >= AT_FAULT, place, -1)


def _own(logits: Tensor, mine: Tensor, num: int) -> Tensor:
    """Logits of the family's aspects, (rows, places, classes)."""
    return logits.view(len(mine), -1, num).gather(1, mine[..., None].expand(-1, -1, num))


def _balanced(logits: Tensor, truth: Tensor) -> Tensor:
    """Cross-entropy with equal weight on what is 0 and on the rest."""
    each = functional.cross_entropy(logits.flatten(0, 1), truth.flatten(), reduction="none")
    some = truth.flatten() > 0
    parts = [(each * part).sum() / part.sum().clamp(min=1) for part in (some, ~some)]
    return 0.5 * (parts[0] + parts[1])


def _statuses(
    head: nn.Linear, partner_head: nn.Linear, states: Tensor, rows: Sequence[Row]
) -> tuple[Tensor, Tensor]:
    """Loss of the statuses, and whether all of a row are read right."""
    state, mine, truth = _split(states, rows)
    classes, other = _classes(truth)
    logits = _own(head(state), mine, _NUM_CLASSES)
    loss, right = _balanced(logits, classes), (logits.argmax(-1) == classes).all(-1)
    has_other = other >= 0
    if has_other.any():
        places = _own(partner_head(state), mine, NUM_PLACES)
        loss = loss + 0.5 * functional.cross_entropy(places[has_other], other[has_other])
        right = right & ((places.argmax(-1) == other) | ~has_other).all(-1)
    return loss, right
