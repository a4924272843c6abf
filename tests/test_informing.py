"""What Update_p is told of earlier judge prompts under `update_p: informed`."""

from blpo.data.examples import Example
from blpo.data.images import ImageBounds, ImageRef
from blpo.data.tasks import load_task
from blpo.models.roles.briefing import EarlierPrompt
from blpo.models.roles.judge import Verdict
from blpo.pipeline.blpo.policies.informing import MOST_EARLIER, earlier_prompts, misses_of


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
