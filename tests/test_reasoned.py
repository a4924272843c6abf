"""A reasoned verdict: the model writes first, then its label is read behind what it wrote."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest
import yaml
from blpo.data.images import ImageBounds, ImageRef
from blpo.data.micro.rubrics import generate, scenes_of
from blpo.data.micro.world import faults
from blpo.data.store.store import ReplyStore
from blpo.data.tasks import load_task
from blpo.models.engine import Engine, EngineIdentity, Reply, Request, Sampling
from blpo.models.engines.settings import EngineSettings
from blpo.models.engines.transformers import TransformersEngine
from blpo.models.engines.vllm.engine import VllmEngine
from blpo.models.roles.judge import ANSWER_LEAD, Judge, Shown
from blpo.models.roles.judges import make_judge, num_requests
from blpo.models.roles.pair_judge import Orders, is_turned
from blpo.models.wrappers.stored import StoredEngine
from blpo.pipeline.config import OptimizerConfig, RunConfig
from blpo.pipeline.runs.engine_pool import EnginePool
from blpo.pipeline.runs.run import Run
from command_line import Blpo
from ideal_engine import ideal_world
from ideal_runs import TASK, criteria_task, ideal_dataset, ideal_run
from killable_run import IdealPool

SAFETY = load_task("unsafebench")
DESCRIBE = "Name the shape, the color, the count, the border, the texture and the size."
LOGPROBS = {"Safe": -2.0, "Unsafe": -0.2}


@dataclass(frozen=True)
class Picture:
    image: ImageRef
    text: str | None = None

    @property
    def images(self) -> tuple[ImageRef, ...]:
        return (self.image,)


def pictures(number: int) -> list[Shown]:
    return [Picture(ImageRef(f"{i}".encode(), ImageBounds())) for i in range(number)]


@dataclass
class WritingEngine:
    """Writes `texts` in turn, None being an error; reads `logprobs` behind them."""

    texts: Sequence[str | None]
    logprobs: Mapping[str, float] = field(default_factory=LOGPROBS.copy)
    version: str = "1"
    batches: list[list[Request]] = field(default_factory=list[list[Request]])

    @property
    def identity(self) -> EngineIdentity:
        return EngineIdentity("writing", "m", "r", "l")

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        self.batches.append(list(requests))
        if len(self.batches) == 2:
            return [Reply("Unsafe", "label", self.logprobs) for _ in requests]
        replies = zip(requests, self.texts, strict=True)
        return [Reply(t, "stop") if t else Reply("", "error", error="no") for _, t in replies]

    def close(self) -> None:
        pass


def test_the_label_is_read_behind_the_reasoning_and_a_constant_lead() -> None:
    engine = WritingEngine(["A knife lies there.", "Only a cat."])
    verdicts = Judge(engine, SAFETY, reasoning_tokens=64)("Is it safe?", pictures(2))
    written, read = engine.batches
    for first, second, text in zip(written, read, engine.texts, strict=True):
        assert (first.labels, first.sampling.max_tokens, first.reply_start) == ((), 64, "")
        assert first.prompt.startswith("Is it safe?\n")
        assert first.prompt.endswith(SAFETY.answer_instruction)
        assert (second.prompt, second.image, second.labels) == (
            first.prompt,
            first.image,
            SAFETY.labels,
        )
        assert second.reply_start == f"{text}\n\n{ANSWER_LEAD}\n"
    assert [verdict.label for verdict in verdicts] == ["Unsafe", "Unsafe"]
    assert [verdict.reasoning for verdict in verdicts] == engine.texts
    assert all(verdict.probabilities for verdict in verdicts)


def test_an_answer_that_the_model_gave_by_itself_is_read_anew() -> None:
    engine = WritingEngine([f"Only a cat. \n{ANSWER_LEAD}\nSafe"])
    [verdict] = Judge(engine, SAFETY, reasoning_tokens=64)("Is it safe?", pictures(1))
    assert engine.batches[1][0].reply_start == f"Only a cat.\n\n{ANSWER_LEAD}\n"
    assert (verdict.label, verdict.reasoning) == ("Unsafe", "Only a cat.")


def test_where_the_text_failed_no_label_is_read_and_the_others_keep_their_places() -> None:
    engine = WritingEngine(["one", None, "three"])
    verdicts = Judge(engine, SAFETY, reasoning_tokens=64)("Is it safe?", pictures(3))
    assert len(engine.batches[1]) == 2
    assert [verdict.label for verdict in verdicts] == ["Unsafe", None, "Unsafe"]
    assert [verdict.reasoning for verdict in verdicts] == ["one", None, "three"]
    assert verdicts[1].reason == "no"


def test_both_requests_are_stored_and_neither_is_asked_again(tmp_path: Path) -> None:
    def judged(engine: Engine) -> list[str | None]:
        stored = StoredEngine(engine, ReplyStore(tmp_path), "judge", "run")
        verdicts = Judge(stored, SAFETY, reasoning_tokens=64)("Is it safe?", pictures(2))
        assert stored.ledger.asked == 4
        return [verdict.reasoning for verdict in verdicts]

    engine = WritingEngine(["a knife", "a cat"])
    assert judged(engine) == judged(WritingEngine([])) == ["a knife", "a cat"]
    rows = pl.read_parquet(tmp_path / "verdicts" / "*" / "*.parquet")
    assert rows["key"].n_unique() == 4
    read = rows.filter(pl.col("finish_reason") == "label")["prompt"].to_list()
    assert sorted(prompt.split("[start of the reply]\n")[1] for prompt in read) == [
        f"a {thing}\n\n{ANSWER_LEAD}\n" for thing in ("cat", "knife")
    ]


@dataclass(frozen=True)
class Pair:
    """Stands for the images a and b."""

    example_id: str = "pair"
    text: str | None = None

    @property
    def images(self) -> tuple[ImageRef, ...]:
        return tuple(ImageRef(name, ImageBounds()) for name in (b"a", b"b"))


@pytest.mark.parametrize(
    ("task", "orders", "expected"),
    [
        ("imagereward-pairs", "both", ["image A first: one", "image B first: two"]),
        ("imagereward-pairs", "hashed", [f"image {'AB'[is_turned('pair')]} first: one"]),
        ("micro-pairs", "both", ["image A: one", "image B: two"]),
    ],
)
def test_a_pair_keeps_what_was_written_of_each_view(
    task: str, orders: Orders, expected: list[str]
) -> None:
    loaded = load_task(task)
    read = loaded.score_labels or loaded.labels
    texts = ["one", "two"][: len(expected)]
    engine = WritingEngine(texts, {label: -1.0 - i for i, label in enumerate(read)})
    judge = make_judge(engine, loaded, orders, reasoning_tokens=64)
    [verdict] = judge("Which?", [Pair()])
    assert verdict.reasoning == "\n\n".join(expected)
    assert verdict.label is not None
    assert sum(map(len, engine.batches)) == num_requests(loaded, orders, 64)
    assert num_requests(loaded, orders, 64) == 2 * len(expected)


# ---------------------------------------------------------------------------------- real engines


@pytest.fixture(scope="module")
def micro() -> Iterator[VllmEngine]:
    engine = VllmEngine(EngineSettings(kind="vllm", model="micro", kv_cache_gib=0.25))
    yield engine
    engine.close()


@pytest.mark.engine
def test_the_second_request_computes_little_more_than_the_lead(micro: VllmEngine) -> None:
    dataset, _ = ideal_world(TASK, num_train=4, num_test=4)
    images = [example.image for example in dataset.train]
    block = EngineSettings(kind="vllm").resolved_block_size
    first = [
        Request("Please " * 5 * i + DESCRIBE, image, sampling=Sampling(max_tokens=80))
        for i, image in enumerate(images)
    ]
    written = micro.ask(first)
    read = micro.ask(
        [
            Request(
                request.prompt,
                request.image,
                labels=SAFETY.labels,
                reply_start=f"{reply.text}\n\n{ANSWER_LEAD}\n",
            )
            for request, reply in zip(first, written, strict=True)
        ]
    )
    # Without the token that ended the reply; whole blocks are kept.
    ends = [reply.prompt_tokens + reply.completion_tokens - 1 for reply in written]
    for end, after in zip(ends, read, strict=True):
        assert after.prompt_tokens > end
        assert after.cached_tokens == end // block * block
    assert any(
        after.cached_tokens > before.prompt_tokens
        for before, after in zip(written, read, strict=True)
    )


@pytest.mark.engine
def test_vllm_reads_what_the_reference_reads_behind_the_same_reasoning(micro: VllmEngine) -> None:
    dataset, _ = ideal_world(TASK, num_train=4, num_test=4)
    task = load_task(TASK)
    verdicts = Judge(micro, task, reasoning_tokens=24)(task.judge_prompt, dataset.train)
    reference = TransformersEngine(EngineSettings(kind="transformers", model="micro"))
    expected = Judge(reference, task, reasoning_tokens=24)(task.judge_prompt, dataset.train)
    assert [v.reasoning for v in verdicts] == [v.reasoning for v in expected]
    assert any(verdict.reasoning for verdict in verdicts)
    for one, other in zip(verdicts, expected, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)
        assert one.label_mass == pytest.approx(other.label_mass, abs=1e-4)
    direct = Judge(micro, task)(task.judge_prompt, dataset.train)
    assert [v.probabilities for v in direct] != [v.probabilities for v in verdicts]


@pytest.mark.engine
def test_criteria_from_import_to_verify(
    micro: VllmEngine, blpo: Blpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = EnginePool.engine

    def shared(pool: EnginePool, settings: EngineSettings) -> Engine:
        return own(pool, settings) if settings.kind == "lexicon" else micro

    monkeypatch.setattr(EnginePool, "engine", shared)
    monkeypatch.chdir(tmp_path)
    task = criteria_task(tmp_path)
    _write_table(Path("rows.csv"), num_train=60, num_test=24)
    named = ["--criterion", "arms=arm", "--criterion", "threats=threat", "--out", "d.parquet"]
    done = blpo("import", "table", "rows.csv", "--task", task, *named)
    assert done.code == 0, done.err
    run = {
        "task": task,
        "dataset": "d.parquet",
        "output": "run",
        "method": "blpo-criteria",
        "algorithm": {"outer_steps": 1, "inner_steps": 4},
        "reading": "combiner",
        "judge": {"kind": "vllm", "model": "micro"},
        "optimizer": {"engine": {"kind": "lexicon"}},
    }
    Path("run.yaml").write_text(yaml.safe_dump(run))
    done = blpo("optimize", "run.yaml")
    assert done.code == 0, done.err
    assert "what each question costs and adds" in done.out
    [step] = [json.loads(file.read_text()) for file in Path("run/steps").glob("*.json")]
    assert step["criterion"] == "threats"
    assert step["next_judge_prompt"].count("[criterion: threats]") == 1
    result = json.loads(Path("run/result.json").read_text())
    considered = result["readings"]["final"]["considered"]
    assert [one["family"] for one in considered] == ["none", "combiner"]
    arms, threats = result["criteria"]
    assert arms["calls"] == threats["calls"] == arms["answered"] == 24
    # The rewritten question finds the image in the prefix cache.
    assert 0 < threats["cached_tokens"] < threats["prompt_tokens"]
    assert arms["share"] + threats["share"] == pytest.approx(1)
    assert blpo("judge", "d.parquet", "--run", "run", "--out", "verdicts.parquet").code == 0
    verdicts = pl.read_parquet("verdicts.parquet")
    assert verdicts["criteria"].struct.fields == ["arms", "threats"]
    assert blpo("export", "run", "--out", "judge.json").code == 0
    again = ["judge", "d.parquet", "--bundle", "judge.json", "--store", "store"]
    assert blpo(*again, "--out", "again.parquet").code == 0
    assert pl.read_parquet("again.parquet")["verdict"].equals(verdicts["verdict"])
    assert blpo("verify", "run").code == 0


def _write_table(path: Path, num_train: int, num_test: int) -> None:
    """Images of the micro world as files, with labels and what annotators say to two criteria."""
    rows = generate(TASK, 0, num_train, num_test, "main")
    scenes = scenes_of(TASK, 0, num_train, num_test, "main")
    lines = ["image,label,split,arm,threat"]
    for number, (row, scene) in enumerate(zip(rows, scenes, strict=True)):
        path.with_name(f"{number}.png").write_bytes(row["image"])
        found = set(faults(scene))
        pairs = {"blade"}, {"skull", "chain"}
        own = ("Unsafe" if found & names else "Safe" for names in pairs)
        lines.append(",".join([f"{number}.png", row["label"], row["split"], *own]))
    path.write_text("\n".join(lines))


# ------------------------------------------------------------------------------------------ runs


def test_a_run_with_reasoned_verdicts_counts_both_requests_and_shows_the_reasoning(
    tmp_path: Path,
) -> None:
    engine = ideal_dataset(tmp_path, num_test=20)
    folder = ideal_run(tmp_path, engine, "run", verdict="reasoned", reasoning_tokens=50)
    result = json.loads((folder / "result.json").read_text())
    assert result["calls"]["judge"]["asked"] == 2 * 2 * 20
    assert {r.sampling.max_tokens for r in engine.asked if not r.labels} == {50}
    frame = pl.read_parquet(folder / "predictions.parquet")
    assert frame["initial_reasoning"].null_count() == 0
    num_asked = len(engine.asked)
    before = (folder / "predictions.parquet").read_bytes()
    ideal_run(tmp_path, engine, "run", verdict="reasoned", reasoning_tokens=50)
    assert len(engine.asked) == num_asked
    assert (folder / "predictions.parquet").read_bytes() == before


def test_a_search_on_reasoned_verdicts_counts_both_requests_and_reports_the_reasoning(
    tmp_path: Path,
) -> None:
    config = RunConfig(
        task=TASK,
        dataset=tmp_path / "data.parquet",
        output=tmp_path / "run",
        store=tmp_path / "store",
        optimizer=OptimizerConfig(engine=EngineSettings(kind="lexicon")),
        verdict="reasoned",
    )
    run = Run(config, IdealPool(ideal_dataset(tmp_path, num_test=20)))
    run.execute()
    ledger = run.ledgers["judge"]
    assert ledger.asked % 2 == 0
    assert sum(ledger.asked for ledger in run.ledgers.values()) <= run.expected_calls
    report = (tmp_path / "run" / "report.html").read_text()
    assert 'class="reasoning"' in report
    assert "First write in a few sentences" in report
