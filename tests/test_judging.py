"""Judging in bulk: streamed, in shards, and after a kill only what was in flight again."""

import gc
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any
from weakref import WeakSet

import polars as pl
import pytest
from blpo.data.arrow import pq
from blpo.data.errors import ConfigError, DataError, EngineError, OutputError
from blpo.data.examples import Example, Split, write_dataset
from blpo.data.images import decode_image
from blpo.data.shards import Shard
from blpo.data.store.store import ReplyStore
from blpo.data.tasks import load_task
from blpo.models.engine import EngineIdentity, Reply, Request
from blpo.models.engines.settings import EngineSettings
from blpo.pipeline.bulk import judging
from blpo.pipeline.bulk.counts import JudgedCounts, warn_of_missing
from blpo.pipeline.bulk.evaluation import evaluate_prompt
from blpo.pipeline.bulk.judge_source import JudgeSource, judge_source
from blpo.pipeline.bulk.judging import Workers, judge_dataset, map_ahead
from blpo.pipeline.bulk.manifest import JudgeManifest, judge_manifest, shard_folder, write_manifest
from blpo.pipeline.bulk.shards import collect_shards, judge_missing, judge_shard
from blpo.pipeline.cli.show.runs import show_runs
from blpo.pipeline.config import JudgeConfig
from blpo.pipeline.readings.cutpoints import CutPoints
from blpo.pipeline.result import LAYOUT_NOTE
from blpo.pipeline.runs.engine_pool import EnginePool
from blpo.pipeline.runs.finished_run import read_past_run
from blpo.pipeline.runs.run_many import FinishedRun
from blpo.pipeline.search.failures import MaxFailedShare, reason_kind
from command_line import Blpo
from ideal_engine import IdealEngine, ideal_world
from ideal_runs import ideal_dataset, ideal_run
from killable_run import IdealPool

TASK = "micro-unsafebench"
PROMPT = "Is there a weapon in the image?"


class World:
    """A dataset file and the engine that judges it, four images at a time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, engine_class: type[IdealEngine]) -> None:
        dataset, engine = ideal_world(TASK, num_train=24, num_test=16)
        self.examples: list[Example] = [*dataset.train, *dataset.test]
        self.engine = engine_class(engine.scenes, engine.scale)
        monkeypatch.setattr(judging, "BATCH_ROWS", 4)
        self.write(self.examples)

    def write(self, examples: Sequence[Example]) -> None:
        write_dataset(Path("data.parquet"), examples)

    def judge(self, out: str = "out.parquet", shard: Shard | None = None) -> JudgedCounts:
        source = JudgeSource(load_task(TASK), PROMPT, JudgeConfig())
        return judge_dataset(
            source,
            Path("data.parquet"),
            Path(out),
            Path("store"),
            shard=shard,
            pool=IdealPool(self.engine),
        )

    def asked(self) -> Counter[str]:
        return Counter(request.image.digest for request in self.engine.asked if request.image)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> World:
    monkeypatch.chdir(tmp_path)
    return World(monkeypatch, IdealEngine)


def test_the_output_has_a_row_per_image_in_file_order(world: World) -> None:
    counts = world.judge()
    frame = pl.read_parquet("out.parquet")
    assert frame["example_id"].to_list() == [example.example_id for example in world.examples]
    assert frame.columns == [
        "example_id",
        "verdict",
        "probabilities",
        "label_mass",
        "reason",
        "reasoning",
    ]
    assert Counter(frame["verdict"].to_list()) == counts.verdicts
    assert frame["label_mass"].round(9).unique().to_list() == [1.0]
    assert sum(frame["probabilities"].struct.unnest().row(0)) == pytest.approx(1.0)
    assert (counts.rows, counts.new_calls) == (40, 40)
    again = world.judge("again.parquet")
    assert (again.rows, again.new_calls) == (40, 0)
    assert Path("again.parquet").read_bytes() == Path("out.parquet").read_bytes()


def test_the_shards_one_after_the_other_are_the_dataset(world: World) -> None:
    found: list[list[str]] = []
    for index in range(1, 4):
        world.judge(f"{index}.parquet", Shard(index, 3))
        found.append(pl.read_parquet(f"{index}.parquet")["example_id"].to_list())
        metadata = pq.read_metadata(f"{index}.parquet").metadata
        assert metadata[b"blpo.shard"] == f"{index}/3".encode()
    assert [*chain.from_iterable(found)] == [example.example_id for example in world.examples]
    assert [len(shard) for shard in found] == [13, 13, 14]


def test_a_shard_without_rows_gives_a_file_without_rows(world: World) -> None:
    world.write(world.examples[:1])
    counts = world.judge(shard=Shard(1, 2))
    assert (counts.rows, counts.verdicts) == (0, Counter())
    assert pl.read_parquet("out.parquet").shape == (0, 6)
    assert world.engine.asked == []


def test_a_prompt_that_meets_another_judge_than_its_own_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    engine = ideal_dataset(tmp_path, num_test=20)
    run = ideal_run(tmp_path, engine, "run")
    source = judge_source(run, None, None, [])

    def judge(source: JudgeSource, out: str) -> str:
        pool = IdealPool(engine)
        judge_dataset(source, Path("data.parquet"), Path(out), Path("store"), pool=pool)
        return caplog.text

    assert judge(source, "own.parquet") == ""
    elsewhere = {**source.aligned, "layout": "image-first-1/block=32"}
    said = judge(replace(source, aligned=elsewhere), "other.parquet")
    assert "aligned with another judge: layout image-first-1/block=32, here none" in said


def test_a_run_says_at_its_end_that_its_judge_was_asked_by_messages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class ByChat(IdealEngine):
        @property
        def identity(self) -> EngineIdentity:
            return replace(super().identity, layout="chat-image-first-2")

    engine = ideal_dataset(tmp_path, num_test=8)
    local = ideal_run(tmp_path, engine, "local")
    chat = ideal_run(tmp_path, ByChat(engine.scenes, engine.scale), "chat")
    for run, is_chat in ((local, False), (chat, True)):
        past = read_past_run(run)
        assert past.result.aligned_by_chat == is_chat
        show_runs([FinishedRun(past.config, past.result, 0, 0.0)], as_json=False)
        assert (LAYOUT_NOTE in capsys.readouterr().out) == is_chat


@pytest.mark.parametrize("shard", ["5/4", "0/4", "1", "a/b", "-1/4", "1/0"])
def test_a_shard_that_does_not_exist_is_refused(world: World, blpo: Blpo, shard: str) -> None:
    outcome = blpo("judge", "data.parquet", "--task", TASK, "--out", "o.parquet", "--shard", shard)
    assert outcome.code == 1
    assert f"--shard {shard}" in outcome.err
    assert "1/4 to 4/4" in outcome.err
    assert world.engine.asked == []


def test_an_output_that_exists_is_refused_before_anything_is_asked(
    world: World, blpo: Blpo
) -> None:
    Path("out.parquet").write_text("mine")
    outcome = blpo("judge", "data.parquet", "--task", TASK, "--out", "out.parquet")
    assert (outcome.code, Path("out.parquet").read_text()) == (1, "mine")
    assert "--overwrite" in outcome.err
    assert world.engine.asked == []


def nothing_there_yet(*_: object, **__: object) -> None:
    """What a process finds that has looked before another one has written."""


def test_of_two_processes_that_judge_into_one_file_the_second_keeps_its_replies(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.judge()
    first = Path("out.parquet").read_bytes()
    monkeypatch.setattr(judging, "refuse_output", nothing_there_yet)
    with pytest.raises(OutputError) as caught:
        world.judge()
    told = "out.parquet: already there: another process has written it meanwhile; name another file"
    assert str(caught.value).startswith(told)
    assert "the replies are in the store store, and are not asked for again" in str(caught.value)
    assert Path("out.parquet").read_bytes() == first


def test_a_csv_of_verdicts_is_refused_with_the_line_that_makes_one(
    world: World,
) -> None:
    with pytest.raises(DataError, match=r"v\.csv: verdicts are written as Parquet") as refused:
        world.judge("v.csv")
    world.judge("v.parquet")
    code = str(refused.value).partition('-c "')[2].removesuffix('"`')
    exec(code, {})
    judged = pl.read_parquet("v.parquet")
    found = pl.read_csv("v.csv")
    assert found["verdict"].to_list() == judged["verdict"].to_list()
    assert set(load_task(TASK).labels) < set(found.columns)


def test_started_again_after_the_engine_died_it_asks_only_what_was_in_flight(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class DyingEngine(IdealEngine):
        batches_left = 5

        def ask(self, requests: Sequence[Request]) -> list[Reply]:
            with self._lock:
                self.batches_left -= 1
                died = self.batches_left < 0
            if died:
                raise EngineError("the GPU fell off the bus")
            return super().ask(requests)

    monkeypatch.chdir(tmp_path)
    world = World(monkeypatch, DyingEngine)
    with pytest.raises(EngineError, match="fell off"):
        world.judge()
    assert not Path("out.parquet").exists()
    assert world.asked().total() == 20
    assert isinstance(world.engine, DyingEngine)
    world.engine.batches_left = 100
    counts = world.judge()
    assert (counts.rows, counts.new_calls) == (40, 20)
    assert set(world.asked().values()) == {1}
    assert [path for path in tmp_path.iterdir() if path.name.endswith(".tmp")] == []


def test_later_images_are_asked_about_while_the_first_wait(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    third = threading.Event()

    class SlowStart(IdealEngine):
        def ask(self, requests: Sequence[Request]) -> list[Reply]:
            with self._lock:
                self.batches = getattr(self, "batches", 0) + 1
                number = self.batches
            if number == 3:
                third.set()
            assert number != 1 or third.wait(20), "the first batch kept all others waiting"
            return super().ask(requests)

    monkeypatch.chdir(tmp_path)
    world = World(monkeypatch, SlowStart)
    assert world.judge().rows == 40
    ids = pl.read_parquet("out.parquet")["example_id"].to_list()
    assert ids == [example.example_id for example in world.examples]


def test_what_is_read_ahead_is_bounded() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for number in range(100):
            taken += 1
            yield number

    with ThreadPoolExecutor(4) as threads:
        for number, result in enumerate(map_ahead(lambda item: item * 2, items(), threads, 4)):
            assert result == number * 2
            assert taken <= number + 4
    assert taken == 100


@pytest.mark.usefixtures("world")
def test_the_tasks_of_an_array_judge_as_this_process_would() -> None:
    config = JudgeConfig(judge=EngineSettings(kind="lexicon"))
    reading = CutPoints(labels=("Safe", "Unsafe"), cuts=(0.7,))
    source = JudgeSource(load_task(TASK), PROMPT, config, reading, {"model": "another"})
    manifest = judge_manifest(source, Path("data.parquet"), Path("out.parquet"), Path("store"), 3)
    assert JudgeManifest.model_validate_json(manifest.model_dump_json()).source == source


@pytest.mark.usefixtures("world")
def test_each_shard_and_the_merged_file_tell_of_another_judge(
    caplog: pytest.LogCaptureFixture,
) -> None:
    config = JudgeConfig(
        judge=EngineSettings(kind="lexicon"), max_failed_share=MaxFailedShare(judge=1)
    )
    aligned = {"model": "another", "revision": "1"}
    source = JudgeSource(load_task(TASK), PROMPT, config, aligned=aligned)
    manifest = judge_manifest(source, Path("data.parquet"), Path("out.parquet"), Path("store"), 2)
    folder = shard_folder(manifest)
    write_manifest(folder, manifest)
    for number in range(2):
        judge_shard(folder, number)
    said = "this prompt was aligned with another judge: model another, here lexicon"
    assert [record.getMessage() for record in caplog.records].count(said) == 2
    caplog.clear()
    _, counts = collect_shards(folder)
    assert (counts.rows, counts.verdicts[None]) == (40, 40)
    files = (manifest.part(0), manifest.part(1), manifest.out)
    marks = [pq.read_metadata(file).metadata[b"blpo.judged_by"] for file in files]
    assert len(set(marks)) == 1
    told, missing = (record.getMessage() for record in caplog.records)
    assert told == said
    assert missing.startswith("40 of 40 verdicts have no label; of 40 the reason is: the lexicon")


@pytest.mark.usefixtures("world")
def test_a_folder_of_shards_without_word_of_the_aligned_judge_is_gone_on_with() -> None:
    source = JudgeSource(load_task(TASK), PROMPT, JudgeConfig(), aligned={"model": "another"})
    paths = Path("data.parquet"), Path("out.parquet"), Path("store")
    folder = shard_folder(judge_manifest(source, *paths, 2))
    write_manifest(folder, judge_manifest(replace(source, aligned={}), *paths, 2))
    assert shard_folder(judge_manifest(source, *paths, 2)) == folder


def test_a_low_label_mass_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Elsewhere(IdealEngine):
        def ask(self, requests: Sequence[Request]) -> list[Reply]:
            return [
                replace(
                    reply,
                    label_logprobs={k: v - 2 for k, v in (reply.label_logprobs or {}).items()},
                )
                for reply in super().ask(requests)
            ]

    monkeypatch.chdir(tmp_path)
    World(monkeypatch, Elsewhere).judge()
    [record] = caplog.records
    assert record.getMessage().startswith(
        "label mass below 0.9 for 100% of the verdicts (mean 0.135): "
    )


def test_verdicts_without_a_label_are_told_with_the_commonest_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cut = "the answer was cut off at 16 tokens: raise max_tokens"
    reasons = [
        cut,
        "no declared label in the reply: 'a cat'",
        "no declared label in the reply: 'b'",
    ]
    warn_of_missing(Counter(map(reason_kind, reasons)), 1000)
    warn_of_missing(Counter(map(reason_kind, [cut])), 1000)
    warn_of_missing(Counter(), 1000)
    assert [record.getMessage() for record in caplog.records] == [
        "3 of 1,000 verdicts have no label; of 2 the reason is: no declared label in the reply",
        f"1 of 1,000 verdicts have no label; of 1 the reason is: {cut}",
    ]


class Decoding(IdealEngine):
    """Fails on images that cannot be decoded, as engines do."""

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Reply:
        assert request.image
        try:
            decode_image(request.image)
        except DataError as error:
            return Reply(text="", finish_reason="error", error=str(error), error_kind="request")
        return super().ask([request])[0]


def test_an_image_that_cannot_be_decoded_is_named_and_other_files_are_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, blpo: Blpo, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    world = World(monkeypatch, Decoding)
    Path("new").mkdir()
    for i, example in enumerate(world.examples[:30]):
        Path("new", f"{i}.png").write_bytes(example.image.data)
    for name in ("bad-a.png", "bad-b.png"):
        Path("new", name).write_bytes(b"\x89PNG\r\n\x1a\n" + name.encode())
    Path("new", "readme.txt").touch()

    def shared(_pool: EnginePool, _settings: EngineSettings) -> IdealEngine:
        return world.engine

    monkeypatch.setattr(EnginePool, "engine", shared)
    outcome = blpo("judge", "new", "--task", TASK, "--out", "v.parquet")
    assert outcome.code == 0, outcome.err
    frame = pl.read_parquet("v.parquet")
    reasons = dict(zip(frame["example_id"], frame["reason"], strict=True))
    assert reasons["bad-a.png"].startswith("image of example 'bad-a.png': cannot be decoded")
    assert "left out 1: file with suffix .txt (first: readme.txt)" in outcome.out
    assert "no label: 2" in outcome.out
    assert "cannot be decoded" not in outcome.out
    assert caplog.text.count("cannot be decoded") == 1
    assert "of 2 the reason is: image of example 'bad-a.png'" in caplog.text


def test_a_folder_is_judged_in_shards_as_the_dataset_is(world: World) -> None:
    for example in world.examples:
        path = Path("new", example.example_id).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(example.image.data)
    world.judge("dataset.parquet")
    source = JudgeSource(load_task(TASK), PROMPT, JudgeConfig())
    pool = IdealPool(world.engine)
    counts = judge_dataset(source, Path("new"), Path("new.parquet"), Path("store"), pool=pool)
    assert (counts.rows, counts.new_calls) == (40, 0)
    verdicts = [pl.read_parquet(f"{name}.parquet") for name in ("dataset", "new")]
    found = [dict(frame.select("example_id", "verdict").iter_rows()) for frame in verdicts]
    assert found[1] == {f"{name}.png": verdict for name, verdict in found[0].items()}
    manifest = judge_manifest(source, Path("new"), Path("merged.parquet"), Path("store"), 3)
    assert JudgeManifest.model_validate_json(manifest.model_dump_json()) == manifest
    write_manifest(shard_folder(manifest), manifest)
    for number in (2, 0, 1):
        judge_shard(manifest.folder, number, Workers(IdealPool(world.engine)))
    collect_shards(manifest.folder)
    assert pl.read_parquet("merged.parquet").equals(verdicts[1])


def shards_of(out: str = "verdicts", prompt: str = PROMPT) -> JudgeManifest:
    source = JudgeSource(load_task(TASK), prompt, JudgeConfig())
    paths = Path("data.parquet"), Path(out), Path("store")
    return judge_manifest(source, *paths, 4, own_stores=True)


def test_a_folder_of_parts_is_finished_where_it_was_left(world: World) -> None:
    world.judge("whole.parquet")
    manifest = shards_of()
    counts = judge_missing(manifest, Workers(IdealPool(world.engine)))
    assert (counts.rows, counts.new_calls) == (40, 40)
    assert sorted(path.name for path in Path("verdicts").iterdir()) == [
        "_manifest.json",
        *(f"part-0000{number}.parquet" for number in range(4)),
    ]
    assert {path.name for path in Path("store").glob("shard-*")} == {
        f"shard-0000{number}" for number in range(4)
    }
    whole = pl.read_parquet("whole.parquet")
    assert pl.read_parquet("verdicts/part-*.parquet").equals(whole)
    Path("verdicts/part-00002.parquet").unlink()
    Path("verdicts/part-00001.parquet").write_bytes(b"is not read")
    assert manifest.missing() == [2]
    judge_shard(Path("verdicts"), 1, Workers(IdealPool(world.engine)))
    assert judge_shard(Path("verdicts"), 2, Workers(IdealPool(world.engine))).new_calls == 0
    told = "part-00001.parquet: not a whole Parquet file .*: remove it, and run the `blpo judge`"
    with pytest.raises(DataError, match=told):
        collect_shards(Path("verdicts"))


def test_stores_of_shards_that_are_judged_take_no_memory(world: World) -> None:
    stores = WeakSet[ReplyStore]()

    class Pool(IdealPool):
        def store(self, root: Path) -> ReplyStore:
            store = super().store(root)
            stores.add(store)
            return store

    workers = Workers(Pool(world.engine))
    judge_missing(shards_of(), workers)
    gc.collect()
    assert len(stores) <= 1  # The last shard's, as long as its threads have not gone.


def test_a_folder_of_parts_is_a_dataset_of_hugging_face(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets: Any = pytest.importorskip("datasets")
    judge_missing(shards_of(), Workers(IdealPool(world.engine)))
    for arguments in [{"path": "verdicts"}, {"path": "parquet", "data_files": "verdicts/part-*"}]:
        loaded = datasets.load_dataset(**arguments, split="train", cache_dir="cache")
        assert loaded["example_id"][:] == [example.example_id for example in world.examples]
        assert set(loaded[0]["probabilities"]) == {"Safe", "Unsafe"}


def test_parts_of_another_job_or_dataset_are_refused(world: World) -> None:
    judge_missing(shards_of(), Workers(IdealPool(world.engine)))
    with pytest.raises(ConfigError, match="judge_prompt: "):
        shard_folder(shards_of(prompt="Is it safe?"))
    world.write(world.examples[1:])
    with pytest.raises(ConfigError, match="contents of the dataset"):
        shard_folder(shards_of())
    with pytest.raises(DataError, match="other rows than when it was judged"):
        collect_shards(Path("verdicts"))
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("")
    with pytest.raises(DataError, match="is no folder of shards"):
        shard_folder(shards_of("mine"))


@pytest.mark.usefixtures("world")
def test_shards_on_this_machine_become_a_folder_of_parts(blpo: Blpo) -> None:
    judge = ["judge", "data.parquet", "--task", TASK, "--set", "judge.kind=lexicon"]
    judge += ["--max-failed-share", "1", "--shards", "3", "--out"]
    assert "drop --shard" in blpo(*judge, "verdicts", "--shard", "1/3").err
    for _ in range(2):
        judged = blpo(*judge, "verdicts")
        assert judged.code == 0, judged.err
        assert "40 images" in judged.out
    assert len(list(Path("verdicts").glob("part-*.parquet"))) == 3
    assert blpo(*judge, "one.parquet").code == 0
    parts = pl.read_parquet("verdicts/part-*.parquet")
    assert pl.read_parquet("one.parquet").equals(parts)
    assert "--own-stores" in blpo(*judge[:-3], "--own-stores", "--out", "two.parquet").err


@pytest.mark.usefixtures("world")
def test_who_judges_a_single_shard_counts_from_1_as_with_shard(blpo: Blpo) -> None:
    judge = ["judge", "data.parquet", "--task", TASK, "--set", "judge.kind=lexicon"]
    judge += ["--max-failed-share", "1", "--out"]
    assert blpo(*judge, "verdicts", "--shards", "3").code == 0
    for number in (1, 3):
        Path(f"verdicts/part-{number - 1:05}.parquet").unlink()
        done = blpo("judge", "shard", "verdicts", str(number))
        assert (done.code, f"shard {number}: " in done.out) == (0, True), done.err
        share = ["--shard", f"{number}/3"]
        assert blpo(*judge, f"{number}.parquet", *share).code == 0
        part = pl.read_parquet(f"verdicts/part-{number - 1:05}.parquet")
        assert part.equals(pl.read_parquet(f"{number}.parquet"))
    for number in ("0", "4"):
        wrong = blpo("judge", "shard", "verdicts", number)
        told = f"verdicts: shard {number}: there are 3, counted from 1"
        assert (wrong.code, told in wrong.err) == (1, True), wrong


def test_an_evaluation_says_how_many_images_the_prompt_was_fitted_on(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    other = [replace(example, split="test") for example in world.examples[20:]]
    train = [replace(example, split="train") for example in world.examples[:20]]
    write_dataset(Path("other.parquet"), [*train, *other])

    def num_fitted_on(dataset: str, split: Split, of: str | None = "data.parquet") -> int:
        fitted_on = None if of is None else Path(of)
        source = JudgeSource(load_task(TASK), PROMPT, JudgeConfig(), fitted_on=fitted_on)
        pool = IdealPool(world.engine)
        return evaluate_prompt(source, Path(dataset), split, Path("store"), pool=pool).num_fitted_on

    assert num_fitted_on("data.parquet", "test") == 0
    assert not caplog.messages
    assert num_fitted_on("other.parquet", "test") == 4
    assert "fitted on 4 of these 20 images" in caplog.text
    assert "`blpo import table ... --split-as data.parquet` keeps old images on" in caplog.text
    assert num_fitted_on("other.parquet", "test", of=None) == 0
    assert num_fitted_on("other.parquet", "test", of="gone.parquet") == 0
    assert "gone.parquet, the dataset of the run, is not there" in caplog.text
