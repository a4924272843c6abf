"""What is told under `update_p: informed`: earlier judge prompts, images side by side."""

from blpo.data.examples import Example
from blpo.data.images import ImageBounds, ImageRef
from blpo.data.tasks import load_task
from blpo.models.roles.briefing import EarlierPrompt
from blpo.models.roles.judge import Verdict
from blpo.models.roles.optimizer import ScoredPrompt
from blpo.models.roles.verbalizer import Verbalization
from blpo.pipeline.blpo.policies.informing import (
    MOST_COMPARED,
    MOST_EARLIER,
    earlier_prompts,
    misses_of,
    side_by_side,
)
from blpo.pipeline.blpo.records import Misjudgment


def verdicts(*labels: str | None) -> dict[str, Verdict]:
    return {f"e{k}": Verdict(label, None) for k, label in enumerate(labels)}


def train(*labels: str) -> list[Example]:
    image = ImageRef(b"", ImageBounds())
    return [
        Example(f"e{k}", image, None, label, f"e{k}", None, "train")
        for k, label in enumerate(labels)
    ]


def test_closer_verdicts_of_an_ordinal_task_count_though_none_is_right() -> None:
    known = {
        "now": verdicts("5", "5", "5", "3", None),
        "nearer": verdicts("3", "4", "2", "4", "5"),
    }
    found = earlier_prompts(
        known, "now", train("1", "1", "1", "3", "1"), misses_of(load_task("micro-agin"))
    )
    assert found == [EarlierPrompt("nearer", 5, 0, 1, num_closer=4, num_further=1)]


def test_labels_without_an_order_are_right_or_wrong() -> None:
    known = {"now": verdicts("Safe", "Safe", None), "other": verdicts("Unsafe", "Unsafe", "Safe")}
    found = earlier_prompts(
        known, "now", train("Safe", "Unsafe", "Safe"), misses_of(load_task("micro-unsafebench"))
    )
    assert found == [EarlierPrompt("other", 3, 2, 1, num_closer=2, num_further=1)]


def test_the_surest_come_last_and_what_changed_nothing_is_left_out() -> None:
    safe = ["Safe"] * 40
    known = {
        "now": verdicts(*["Unsafe"] * 20, *["Safe"] * 20),
        "same": verdicts(*["Unsafe"] * 20),
        "lucky on few": verdicts("Safe"),
        "sure": verdicts(*["Safe"] * 12, *["Unsafe"] * 8, *["Safe"] * 20),
        "worse": verdicts(*["Unsafe"] * 25),
    }
    found = earlier_prompts(known, "now", train(*safe), misses_of(load_task("micro-unsafebench")))
    assert [one.judge_prompt for one in found] == ["worse", "lucky on few", "sure"]
    more = {f"p{k}": verdicts(*["Safe"] * k) for k in range(1, MOST_EARLIER + 3)}
    found = earlier_prompts(
        known | more, "now", train(*safe), misses_of(load_task("micro-unsafebench"))
    )
    assert len(found) == MOST_EARLIER


def history(*scores: float) -> list[ScoredPrompt]:
    return [ScoredPrompt(f"q{k}", score) for k, score in enumerate(scores, start=1)]


def described(**items: str) -> dict[str, dict[str, Verbalization]]:
    """By I2T prompt the examples that it has described: e0 to e9, in one word."""
    return {
        i2t_prompt: {f"e{k}": Verbalization(f"{i2t_prompt} of e{k}") for k in digits}
        for i2t_prompt, digits in items.items()
    }


def misjudged(examples: list[Example], verdict: str) -> list[Misjudgment]:
    return [Misjudgment(example, Verdict(verdict, None)) for example in examples]


def test_what_most_i2t_prompts_have_described_is_shown_side_by_side() -> None:
    examples = train("Safe", "Safe", "Safe", "Unsafe", "Safe")
    known = described(q1="134", q2="0134", q3="014")
    found = side_by_side(
        history(0.1, 0.0, 0.2), misjudged(examples[:3], "Unsafe"), examples[3:], known
    )
    assert [example.example_id for example, _ in found] == ["e1", "e4"]
    wrong, right = (shown for _, shown in found)
    assert (wrong.human_label, wrong.verdict) == ("Safe", "Unsafe")
    assert (right.human_label, right.verdict) == ("Safe", "Safe")
    assert [(place, v.text) for place, v in wrong.descriptions] == [
        (1, "q1 of e1"),
        (2, "q2 of e1"),
        (3, "q3 of e1"),
    ]


def test_the_right_one_has_the_label_that_the_other_was_taken_for() -> None:
    examples = train("Safe", "Safe", "Unsafe", "Unsafe")
    known = described(q1="0123", q2="0123")
    found = side_by_side(history(0, 0), misjudged(examples[:1], "Unsafe"), examples[1:], known)
    assert [example.example_id for example, _ in found] == ["e0", "e2"]


def test_the_best_i2t_prompts_are_shown_in_the_order_of_the_history() -> None:
    examples = train("Safe")
    scores = [0.1, -0.2, *[0.0] * MOST_COMPARED, 0.3]
    known = described(**{f"q{k}": "0" for k in range(1, len(scores) + 1)})
    [(_, shown)] = side_by_side(history(*scores), misjudged(examples, "Unsafe"), [], known)
    places = [place for place, _ in shown.descriptions]
    assert places == [1, *range(3, MOST_COMPARED + 1), len(scores)]


def test_what_fewer_than_two_have_described_is_not_shown() -> None:
    examples = train("Safe", "Unsafe")
    known = described(q1="01", q2="1")
    found = side_by_side(history(0, 0), misjudged(examples[:1], "Unsafe"), examples[1:], known)
    assert [example.example_id for example, _ in found] == ["e1"]
    assert side_by_side(history(0, 0), [], [], known) == []
    assert side_by_side(history(0, 0), misjudged(examples, "Safe"), examples, {}) == []
