"""`blpo doctor`: what is wrong is told in one line with the remedy, and the exit code says so."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from blpo.data.errors import EngineError
from blpo.data.examples import read_dataset
from blpo.data.micro.graded import load_world
from blpo.data.tasks import Task, load_task
from blpo.models.engine import EngineIdentity, Reply, Request
from blpo.models.engines.settings import EngineSettings
from blpo.pipeline.config import RunConfig
from blpo.pipeline.doctor import environment, model
from blpo.pipeline.doctor.check import Check, Level, worst
from blpo.pipeline.doctor.diagnose import diagnose_model, diagnose_run
from blpo.pipeline.doctor.model import probe_checks
from blpo.pipeline.doctor.storage import gain_check, store_check
from blpo.pipeline.runs.demo import micro_dataset, write_graded
from command_line import Blpo

TASK = load_task("unsafebench")
SERVER = EngineSettings(kind="openai", model="m", api_key_env="DOCTOR_TEST_KEY")
SECRET = "sk-doctor-secret"


class Scripted:
    """An engine that gives these replies, one per request; more requests fail the test."""

    identity = EngineIdentity("scripted", "m", "0", "0")
    version = "scripted"

    def __init__(self, *replies: Reply | EngineError) -> None:
        self._replies = list(replies)

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        found = [self._replies.pop(0) for _ in requests]
        for reply in found:
            if isinstance(reply, EngineError):
                raise reply
        return [reply for reply in found if isinstance(reply, Reply)]

    def close(self) -> None:
        pass


def label_reply(safe: float, unsafe: float, cached: int = 0) -> Reply:
    logprobs = {"Safe": safe, "Unsafe": unsafe}
    return Reply("Safe", "label", logprobs, prompt_tokens=100, cached_tokens=cached)


def probed(
    monkeypatch: pytest.MonkeyPatch,
    settings: EngineSettings,
    *replies: Reply | EngineError,
    task: Task = TASK,
) -> dict[str, Check]:
    def make_engine(_: EngineSettings) -> Scripted:
        return Scripted(*replies)

    monkeypatch.setattr(model, "make_engine", make_engine)
    monkeypatch.setenv("DOCTOR_TEST_KEY", SECRET)
    checks = list(diagnose_model(settings, task, probe=True))
    assert not any(SECRET in check.found for check in checks)
    return {check.subject: check for check in checks}


def test_a_model_that_is_ready_gets_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = EngineSettings(model="micro")
    found = probed(monkeypatch, settings, label_reply(-0.01, -5), label_reply(-0.01, -5, cached=64))
    assert worst(found.values()) is Level.OK, found
    read = "1 read of the next token for a verdict"
    assert found["label tokens"].found == f"Safe = 'Safe', Unsafe = 'Unsafe'; {read}"
    assert found["end of turn"].found == "'<|im_end|>'"
    assert "64 of 100 tokens of a second prompt were cached" in found["encode once"].found


def test_low_label_mass_and_an_image_that_is_encoded_again_are_warnings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = EngineSettings(model="micro")
    found = probed(monkeypatch, settings, label_reply(-2, -5), label_reply(-2, -5))
    assert found["label mass"].level is Level.WARNING
    assert "answer_instruction" in found["label mass"].found
    assert found["encode once"].level is Level.WARNING


def test_a_shipped_judge_tells_its_labels_where_it_lacks_those_of_the_task(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    task = TASK.model_copy(update={"labels": ("fine", "unfit")})
    reply = Reply("fine", "label", {"fine": -9.0, "unfit": -9.5}, prompt_tokens=100)
    found = probed(monkeypatch, EngineSettings(model="micro"), reply, reply, task=task)
    assert "lacks: it gives 1, 2, 3, 4, 5 (micro-agin)" in found["label mass"].found


def test_a_server_without_log_probabilities_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    found = probed(monkeypatch, SERVER, Reply("Safe", "stop"), Reply("Safe", "stop"))
    assert found["key"].found == "DOCTOR_TEST_KEY is set, 16 characters"
    assert found["label mass"].level is Level.WARNING
    assert found["encode once"].level is Level.OK


def test_what_a_server_does_not_take_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    reply = replace(label_reply(-0.01, -5), departures=("without temperature",))
    found = probed(monkeypatch, SERVER, reply, reply)
    assert found["departures"].level is Level.WARNING
    assert "takes a request without temperature only" in found["departures"].found
    full = label_reply(-0.01, -5)
    assert "departures" not in probed(monkeypatch, SERVER, full, full)


def test_a_reply_without_a_label_and_a_failed_question_are_errors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    talk = Reply("I would rather not say.", "stop")
    assert probed(monkeypatch, SERVER, talk, talk)["probe"].level is Level.ERROR
    failed = Reply("", "error", error="image too large")
    assert "image too large" in probed(monkeypatch, SERVER, failed, failed)["probe"].found


def test_an_engine_that_does_not_start_is_an_error_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = probed(monkeypatch, SERVER, EngineError("nobody listens at port 1: start a server"))
    assert found["probe"] == Check("probe", Level.ERROR, "nobody listens at port 1: start a server")


@pytest.mark.parametrize("key", [None, "", "  ", "a\nb", "key ", "clé"])
def test_a_key_that_cannot_work_is_an_error_that_does_not_show_it(
    monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    if key is None:
        monkeypatch.delenv("DOCTOR_TEST_KEY", raising=False)
    else:
        monkeypatch.setenv("DOCTOR_TEST_KEY", key)
    [check, left_out] = diagnose_model(SERVER, TASK, probe=True)
    assert left_out.found == "left out: first mend the model"
    assert (check.subject, check.level) == ("key", Level.ERROR)
    assert "DOCTOR_TEST_KEY" in check.found
    assert not key or key not in check.found or not key.strip()


def test_a_model_that_is_nowhere_is_an_error(tmp_path: Path) -> None:
    [check] = diagnose_model(EngineSettings(model=str(tmp_path / "no")), TASK, probe=False)
    assert check.level is Level.ERROR
    assert "does not exist" in check.found


def test_an_argument_that_the_chat_template_does_not_read_is_an_error() -> None:
    settings = EngineSettings(model="micro-meaning", chat_template_kwargs={"leanig": "flat"})
    *_, check = diagnose_model(settings, TASK, probe=False)
    assert check.level is Level.ERROR
    assert "'leanig'; did you mean 'leaning'? It reads attention, leaning, room: " in check.found


def test_a_store_with_a_damaged_part_says_how_to_mend_it(tmp_path: Path) -> None:
    assert store_check(tmp_path / "new").level is Level.OK
    (tmp_path / "file").touch()
    assert store_check(tmp_path / "file").level is Level.ERROR
    part = tmp_path / "store/verdicts/judge=0123456789abcdef/part-00000001.parquet"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"PAR1 not really PAR1")
    found = store_check(tmp_path / "store")
    assert found.level is Level.ERROR
    assert "blpo store verify --quarantine --store" in found.found


def test_two_vllms_at_once_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    version = "1.0"

    def installed_version(_: str) -> str:
        return version

    monkeypatch.setattr(environment, "installed_version", installed_version)
    levels = {check.subject: check.level for check in environment.environment_checks()}
    assert levels["vllm"] is Level.ERROR
    version = "not installed"
    found = {check.subject: check for check in environment.environment_checks()}
    assert found["vllm"].level is Level.WARNING
    assert found["torch"].level is Level.ERROR


def test_gpus_are_told_with_the_largest_judge_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "visible_gpus", lambda: ["0", "1"])
    monkeypatch.setattr(environment, "gpu_bytes", lambda: 80 * 10**9)
    monkeypatch.setattr(environment, "find_device", lambda: "cuda")
    found = {check.subject: check.found for check in environment.environment_checks()}
    assert found["gpu"].startswith("2 with 80 GB each: weights of up to InternVL3.5-38B fit")


def test_a_run_is_checked_with_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    dataset = micro_dataset(Path("datasets"), "micro-unsafebench")
    config = RunConfig(task="micro-unsafebench", dataset=dataset, output=Path("run"))
    subjects = {check.subject: check for check in diagnose_run(config, probe=False)}
    assert "train" in subjects["dataset"].found
    assert worst(subjects.values()) is not Level.ERROR
    Path("run").mkdir()
    Path("run/notes.txt").write_text("x")
    taken = {check.subject: check for check in diagnose_run(config, probe=False)}["output"]
    assert (taken.level, "holds other files (notes.txt" in taken.found) == (Level.ERROR, True)
    missing = config.model_copy(update={"dataset": Path("no.parquet")})
    [first, *_] = diagnose_run(missing, probe=False)
    assert (first.subject, first.level) == ("dataset", Level.ERROR)


def test_how_small_a_gain_the_test_split_can_show_is_told_before_a_run() -> None:
    few, some, enough = map(gain_check, (4, 31, 100))
    assert few.found.startswith("4 examples are too few to show any gain: label more")
    assert "with 31 examples a gain in accuracy below about 24 points often" in some.found
    assert enough.found.endswith(
        "with 100 examples a gain in accuracy below about 13 points often goes unnoticed"
    )
    assert (few.level, some.level, enough.level) == (Level.WARNING, Level.WARNING, Level.OK)


def test_many_problems_of_a_dataset_are_one_line_and_the_probe_is_told_to_be_left_out(
    blpo: Blpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "environment_checks", lambda: iter(()))
    world, dataset = tmp_path / "world.yaml", tmp_path / "data.parquet"
    world.write_text("draw: {num_train: 9, num_test: 9}\n")
    write_graded(dataset, "micro-unsafebench", load_world(world))
    judge = f"{{kind: ideal, model: {world}}}"
    (tmp_path / "run.yaml").write_text(
        f"task: micro-agin\ndataset: {dataset}\noutput: {tmp_path / 'run'}\njudge: {judge}\n"
    )
    lines = blpo("doctor", "run.yaml").out.splitlines()
    [told] = [line for line in lines if " dataset " in line]
    assert "problems, the first: " in told
    assert told.endswith("; `--json` shows all")
    assert len(told) < 500
    assert any("probe         left out: first mend the dataset" in line for line in lines)
    checks = json.loads(blpo("doctor", "run.yaml", "--json").out)
    assert {"subject", "level", "found"} == set(checks[0])
    assert sum(len(check["found"]) for check in checks) > 1000


def test_the_exit_code_says_the_worst(blpo: Blpo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "environment_checks", lambda: iter(()))
    ended = blpo("doctor", "--model", "micro", "--no-probe", "--json")
    checks = json.loads(ended.out)
    assert {"subject", "level", "found"} == set(checks[0])
    assert ended.code in {0, 3}
    assert blpo("doctor", "--model", "nowhere/at/all", "--no-probe").code == 1
    assert blpo("doctor", "run.yaml", "--model", "micro").code == 1


def test_a_reply_without_a_label_is_shown_beside_the_labels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labels = "the labels are Safe, Unsafe"
    for replies, said in [
        ((Reply("4", "stop"), Reply("Safe", "stop")), f"the judge wrote '4', {labels}"),
        ((Reply("Safe", "stop"), Reply("good\nenough", "stop")), f"wrote 'good enough', {labels}"),
        (
            (Reply("", "stop"), Reply("", "stop")),
            f"(empty reply): the judge wrote nothing, {labels}",
        ),
    ]:
        found = probed(monkeypatch, SERVER, *replies)["probe"]
        assert found.level is Level.ERROR
        assert said in found.found
        assert "answer_instruction" in found.found


def test_a_judge_of_the_bench_that_has_no_such_labels_is_an_error(tmp_path: Path) -> None:
    world = tmp_path / "world.yaml"
    world.write_text("draw: {num_train: 2, num_test: 2}\n")
    judge = EngineSettings(kind="ideal", model=str(world))
    dataset = tmp_path / "data.parquet"
    write_graded(dataset, "micro-unsafebench", load_world(world))
    config = RunConfig(
        task="micro-unsafebench", dataset=dataset, output=tmp_path / "run", judge=judge
    )
    found = {check.subject: check for check in diagnose_run(config, probe=True)}
    assert found["probe"].level is Level.OK
    task = load_task("micro-unsafebench").model_copy(update={"labels": ("good", "bad")})
    example = next(iter(read_dataset(dataset, load_task("micro-unsafebench")).train))
    assert f"{example.example_id}, the first image of the train split, is" in found["probe"].found
    [refused] = probe_checks(judge, task, example)
    assert refused.level is Level.ERROR
    assert "no scale of the labels good, bad: it gives 1, 2, 3, 4, 5 (micro-agin)" in refused.found
    assert "Safe, Unsafe (micro-unsafebench); set `labels: [Safe, Unsafe]`" in refused.found
    assert "import with --label good=LABEL --label bad=LABEL, where each LABEL is" in refused.found
    assert "the one of Safe, Unsafe that means the same; or take another judge" in refused.found


def test_slurm_without_a_controller_is_said_not_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = {"sbatch": "echo slurm 24", "squeue": "echo fatal: no answer >&2; exit 1"}
    for name, script in scripts.items():
        command = tmp_path / name
        command.write_text(f"#!/bin/sh\n{script}\n")
        command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = {check.subject: check.found for check in environment.environment_checks()}
    assert found["slurm"] == (
        "not running on this machine (no answer); only --launcher slurm needs it"
    )
