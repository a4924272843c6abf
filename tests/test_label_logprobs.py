import math
from collections.abc import Sequence

import pytest
from blpo.data.errors import EngineError
from blpo.models.requests.label_logprobs import (
    MAX_IDS_PER_READ,
    LabelPlan,
    logsumexp,
    surface_variants,
)

END = 999


class Tokenizer:
    """Greedy longest-match tokenizer over given pieces; single characters always exist."""

    def __init__(self, *pieces: str) -> None:
        self.ids = {piece: 1000 + i for i, piece in enumerate(pieces)}

    def encode(self, text: str, **_: bool) -> list[int]:
        ids: list[int] = []
        while text:
            piece = next(p for n in range(len(text), 0, -1) if self._known(p := text[:n]))
            ids.append(self.ids.get(piece, ord(piece[0])))
            text = text[len(piece) :]
        return ids

    def _known(self, piece: str) -> bool:
        return piece in self.ids or len(piece) == 1


def plan_for(tokenizer: Tokenizer, labels: Sequence[str]) -> LabelPlan:
    return LabelPlan.make(tokenizer, labels, END)


def uniform_answers(plan: LabelPlan, num_tokens: int) -> list[dict[int, float]]:
    return [{i: -math.log(num_tokens) for i in read.candidate_ids} for read in plan.reads]


def test_labels_with_different_first_tokens_need_one_read() -> None:
    plan = plan_for(Tokenizer("Safe", "safe", "Un", "un", " Safe", " Un"), ("Safe", "Unsafe"))
    assert [read.prefix_ids for read in plan.reads] == [()]


def test_surface_variants_of_a_label_are_summed() -> None:
    tokenizer = Tokenizer("Yes", "yes", "YES", " Yes", " yes", " YES", "No", "no", "NO")
    plan = plan_for(tokenizer, ("Yes", "No"))
    probability = {"Yes": 0.25, "yes": 0.125, " Yes": 0.125, "No": 0.25}
    answer = dict.fromkeys(plan.reads[0].candidate_ids, -math.inf)
    answer |= {tokenizer.ids[text]: math.log(p) for text, p in probability.items()}
    logprobs = plan.combine([answer])
    assert math.exp(logprobs["Yes"]) == pytest.approx(0.5)
    assert math.exp(logprobs["No"]) == pytest.approx(0.25)


def test_a_shared_token_for_the_leading_space_costs_no_read_and_counts_for_no_label() -> None:
    plan = plan_for(Tokenizer(), ("1", "2", "3"))
    assert [(r.prefix_ids, r.candidate_ids) for r in plan.reads] == [((), (49, 50, 51))]


def test_a_variant_that_starts_like_another_label_is_left_out() -> None:
    plan = plan_for(Tokenizer(), ("A", "a bit"))
    assert plan.paths["A"] == ((ord("A"),),)
    assert plan.paths["a bit"] == ((ord("a"),),)


def test_labels_with_a_common_first_token_are_scored_whole() -> None:
    tokenizer = Tokenizer("Nat", "ural", "ion", "al")
    plan = plan_for(tokenizer, ("Natural", "National"))
    nat, ural, ion, al = (tokenizer.ids[t] for t in ("Nat", "ural", "ion", "al"))
    assert (nat, ural) in plan.paths["Natural"]
    assert (nat, ion, al) in plan.paths["National"]
    step: dict[tuple[tuple[int, ...], int], float] = {
        ((), nat): 0.5,
        ((nat,), ural): 0.5,
        ((nat,), ion): 0.25,
        ((nat, ion), al): 0.5,
    }
    answers = [
        {
            i: math.log(p) if (p := step.get((r.prefix_ids, i))) else -math.inf
            for i in r.candidate_ids
        }
        for r in plan.reads
    ]
    logprobs = plan.combine(answers)
    assert math.exp(logprobs["Natural"]) == pytest.approx(0.25)
    assert math.exp(logprobs["National"]) == pytest.approx(0.0625)


def test_a_label_that_another_one_continues_must_be_ended() -> None:
    plan = plan_for(Tokenizer(), ("1", "10"))
    one, zero = ord("1"), ord("0")
    assert (one, END) in plan.paths["1"]
    assert (one, zero) in plan.paths["10"]
    answers = [
        {i: {one: 0.8, zero: 0.25, END: 0.5}.get(i, 0.0) for i in r.candidate_ids}
        for r in plan.reads
    ]
    logs = [{i: math.log(p) if p else -math.inf for i, p in a.items()} for a in answers]
    logprobs = plan.combine(logs)
    assert math.exp(logprobs["1"]) == pytest.approx(0.4)
    assert math.exp(logprobs["10"]) == pytest.approx(0.2)


def test_a_label_that_is_one_token_does_not_collide_with_a_longer_one() -> None:
    plan = plan_for(Tokenizer("1", "10"), ("1", "10"))
    assert len(plan.reads) == 1


@pytest.mark.parametrize(
    "labels",
    [
        ("1", "10", "100"),
        ("Safe", "Unsafe"),
        ("a", "A b", "A"),
        ("safe", "Safe"),
        ("not natural", "not very natural", "natural"),
        ("x", " x"),
        ("Safe", "Not Safe", "N/A"),
        ("👍", "👎"),
        ("👍🏽", "👍"),
        ("安全", "不安全"),
        ("1", "1.5", "2", "2.5"),
        tuple(str(n) for n in range(1, 31)),
    ],
)
@pytest.mark.parametrize("pieces", [(), ("not", " ", "na", "10", "Saf")])
def test_label_probabilities_add_up_to_at_most_one(
    labels: tuple[str, ...], pieces: tuple[str, ...]
) -> None:
    plan = plan_for(Tokenizer(*pieces), labels)
    num_children = max(len(read.candidate_ids) for read in plan.reads)
    logprobs = plan.combine(uniform_answers(plan, num_children))
    assert list(logprobs) == list(labels)
    assert all(value > -math.inf for value in logprobs.values())
    assert sum(map(math.exp, logprobs.values())) <= 1 + 1e-9


def test_no_path_of_a_plan_is_the_beginning_of_another() -> None:
    plan = plan_for(Tokenizer(), ("1", "10", "100", "1 0"))
    paths = [path for label_paths in plan.paths.values() for path in label_paths]
    assert not [(a, b) for a in paths for b in paths if a != b and b[: len(a)] == a]


def test_a_read_asks_for_at_most_128_ids() -> None:
    labels = [chr(0x4E00 + i) for i in range(300)]
    plan = plan_for(Tokenizer(), labels)
    assert [len(read.candidate_ids) for read in plan.reads] == [128, 128, 44]
    assert MAX_IDS_PER_READ == 128
    assert len(plan.combine(uniform_answers(plan, 300))) == 300


def test_a_variant_that_is_another_label_belongs_to_that_label() -> None:
    tokenizer = Tokenizer("safe", "Safe")
    plan = plan_for(tokenizer, ("safe", "Safe"))
    assert (tokenizer.ids["Safe"],) not in plan.paths["safe"]
    assert (tokenizer.ids["Safe"],) in plan.paths["Safe"]


def test_labels_that_are_the_same_tokens_are_refused() -> None:
    class Blind(Tokenizer):
        def encode(self, text: str, **_: bool) -> list[int]:
            return [1] if text.strip() else [0]

    with pytest.raises(EngineError, match="'a' and 'b' are the same tokens"):
        plan_for(Blind(), ("a", "b"))


def test_the_label_itself_is_its_first_variant() -> None:
    assert surface_variants("Unsafe")[0] == "Unsafe"
    assert surface_variants("1") == ["1", " 1"]


def test_the_log_of_an_empty_sum_is_minus_infinity() -> None:
    assert logsumexp([]) == -math.inf
    assert logsumexp([-math.inf, -math.inf]) == -math.inf


def test_by_default_a_label_is_read_whole_where_its_first_token_is_not_all_of_it() -> None:
    tokenizer = Tokenizer("Un", "safe", "Safe")
    plan = LabelPlan.make(tokenizer, ("Safe", "Unsafe"), END, "auto")
    un, safe = tokenizer.ids["Un"], tokenizer.ids["safe"]
    assert (un, safe) in plan.paths["Unsafe"]
    assert all(len(path) > 1 for path in plan.paths["Unsafe"])
    one_read = LabelPlan.make(Tokenizer("Yes", "No"), ("Yes", "No"), END, "auto")
    assert [read.prefix_ids for read in one_read.reads] == [()]


def test_reading_the_first_token_or_the_whole_label_is_a_choice() -> None:
    tokenizer = Tokenizer("Un", "safe", "Safe", "un", " Un", " un")
    first = LabelPlan.make(tokenizer, ("Safe", "Unsafe"), END, "first_token")
    assert (tokenizer.ids["Un"],) in first.paths["Unsafe"]
    whole = LabelPlan.make(tokenizer, ("Safe", "Unsafe"), END, "whole")
    assert (tokenizer.ids["Un"], tokenizer.ids["safe"]) in whole.paths["Unsafe"]


def test_a_label_is_closed_by_every_end_of_the_turn() -> None:
    plan = LabelPlan.make(Tokenizer(), ("1", "10"), (END, END + 1))
    assert plan.paths["1"] == ((ord("1"), END), (ord("1"), END + 1))
    step = {ord("1"): 0.8, ord("0"): 0.25, END: 0.5, END + 1: 0.125}
    answers = [{i: math.log(step[i]) for i in read.candidate_ids} for read in plan.reads]
    assert math.exp(plan.combine(answers)["1"]) == pytest.approx(0.8 * 0.625)


def test_a_space_that_begins_the_reply_is_read_past() -> None:
    plan = LabelPlan.make(Tokenizer(), ("1", "2"), END, after_space=True)
    assert plan.paths["1"] == ((ord(" "), ord("1")), (ord("1"),))
    half = {ord(" "): 0.5, ord("1"): 0.25, ord("2"): 0.125}
    answers = [{i: math.log(half[i]) for i in read.candidate_ids} for read in plan.reads]
    assert math.exp(plan.combine(answers)["1"]) == pytest.approx(0.25 + 0.5 * 0.25)
