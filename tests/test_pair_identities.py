"""What stored replies and finished runs on pairs are found by: none of it may change."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from blpo.data.arrow import pa, pq
from blpo.data.examples import Dataset, Example, read_dataset, write_dataset
from blpo.data.tasks import Task, load_task
from blpo.models.engine import EngineIdentity, Reply, Request
from blpo.models.requests.layout import make_layout
from blpo.models.requests.seeds import sampling_seed
from blpo.models.roles.judge import Verdict
from blpo.models.roles.judges import make_judge
from blpo.models.roles.optimizer import PromptOptimizer, render_cases
from blpo.models.roles.pair_judge import Orders
from blpo.models.roles.verbalizer import Verbalization, Verbalizer
from blpo.models.wrappers.request_keys import request_key
from blpo.pipeline.baselines.cases import described_cases, image_cases, judged
from test_layout import processor, text_of

JOINT = load_task("imagereward-pairs")
SCORES = load_task("micro-pairs")
IDENTITY = EngineIdentity("vllm", "a-model", "1", "image-first-1/block=32")


@dataclass
class Recorder:
    """Notes what it is asked, and answers nothing of use."""

    asked: list[Request] = field(default_factory=list[Request])
    version: str = "1"
    identity: EngineIdentity = IDENTITY

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        self.asked.extend(requests)
        return [Reply("seen", "stop") for _ in requests]

    def close(self) -> None:
        pass


class Roles:
    def verbalize(self, i2t_prompt: str, examples: Sequence[Example]) -> list[Verbalization]:
        return Verbalizer(Recorder(), 64)(i2t_prompt, examples)


@pytest.fixture
def pairs(tmp_path: Path) -> Dataset:
    """Two pairs of each split."""
    rows = [
        {
            "example_id": f"pair-{number}",
            "image": {"bytes": f"a{number}".encode(), "path": None},
            "image_b": {"bytes": f"b{number}".encode(), "path": None},
            "text": f"fox {number}",
            "label": "AB"[number % 2],
            "group": f"g{number}",
            "category": None,
            "split": "train" if number < 2 else "test",
            "swapped": number == 1,
        }
        for number in range(4)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "pairs.parquet")
    return read_dataset(tmp_path / "pairs.parquet", no_ties(JOINT))


def no_ties(task: Task) -> Task:
    return task.model_copy(update={"labels": ("A", "B")})


def keys_of(requests: Sequence[Request]) -> str:
    told = [[request_key(r, IDENTITY), sampling_seed(r)] for r in requests]
    return digest(json.dumps(told))


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def test_a_dataset_of_pairs_keeps_its_fingerprint_and_its_columns(
    pairs: Dataset, tmp_path: Path
) -> None:
    assert pairs.fingerprint[:16] == "86ee7ce6dabdca3c"
    write_dataset(tmp_path / "out.parquet", [*pairs.train, *pairs.test], comments=True)
    assert read_dataset(tmp_path / "out.parquet", no_ties(JOINT)) == pairs
    schema = pq.read_schema(tmp_path / "out.parquet")
    assert digest(schema.to_string(truncate_metadata=False)) == "6c9b6f4174e45ad1"


def test_requests_about_pairs_keep_their_keys(pairs: Dataset) -> None:
    asked: dict[str, str] = {}
    joint = no_ties(JOINT)
    ways: list[tuple[str, Task, Orders, int | None]] = [
        ("joint", joint, "both", None),
        ("hashed", joint, "hashed", None),
        ("reasoned", joint, "both", 40),
        ("scores", SCORES, "both", None),
    ]
    for name, task, orders, reasoning_tokens in ways:
        engine = Recorder()
        make_judge(engine, task, orders, reasoning_tokens)(task.judge_prompt, pairs.test)
        asked[name] = keys_of(engine.asked)
    engine = Recorder()
    Verbalizer(engine, 64)("Describe it.", pairs.train)
    assert asked | {"described": keys_of(engine.asked)} == {
        "joint": "dceb3957e528789e",
        "hashed": "587687febaf2b342",
        "reasoned": "c7a37bb9a7bd5148",
        "scores": "0dad14c3f8339e48",
        "described": "4916b2e379ae3df2",
    }


def test_pairs_are_laid_out_as_they_were() -> None:
    layout = make_layout(processor(), 64)
    ids = layout.token_ids("Which?", num_images=2, text="a fox")
    assert digest(text_of(ids)) == "366fe2f780f3c4b1"


def test_the_optimizer_is_shown_pairs_in_the_same_words(pairs: Dataset) -> None:
    items = judged(pairs.train, [Verdict("B"), Verdict("B")])
    described = described_cases(Roles(), "Describe it.", items)
    told = [digest(render_cases(cases)) for cases in (described, image_cases(items))]
    assert told == ["dae056ad2047fda6", "568e3b17b604ab76"]
    optimizer = PromptOptimizer(
        engine := Recorder(), JOINT, max_tokens=64, temperature=0.0, max_attempts=1
    )
    optimizer.update_judge_prompt("Which?", described)
    prompt = engine.asked[0].prompt
    assert (
        "each\nis described in words.\n\nEach case is a pair of images, A and B, and its verdict "
        "names the one that is preferred. The\ndescriptions are written of one image at a time.\n"
        "The model sees both images at once, in both orders: which of them is A must not matter."
        "\n\nThe possible verdicts, in order: A, tie, B\n"
    ) in prompt
