"""Failures have a budget and a voice: counted by role, told, and too many of them stop a run."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from blpo.data.errors import FailuresError
from blpo.data.examples import Dataset, Split, write_dataset
from blpo.data.tasks import load_task
from blpo.models.engine import EngineIdentity, Reply, Request
from blpo.models.engines.settings import EngineSettings
from blpo.models.wrappers.ledger import Role
from blpo.pipeline.bulk.evaluation import evaluate_prompt
from blpo.pipeline.bulk.judge_source import JudgeSource
from blpo.pipeline.bulk.judging import judge_dataset
from blpo.pipeline.cli.show.runs import show_runs
from blpo.pipeline.config import JudgeConfig, OptimizerConfig, RunConfig
from blpo.pipeline.report.failure_lines import failure_lines, harmless_lines
from blpo.pipeline.result import RoleFailures, RunResult
from blpo.pipeline.runs.engine_pool import EnginePool
from blpo.pipeline.runs.run import Run
from blpo.pipeline.runs.run_many import FinishedRun
from blpo.pipeline.search.failures import MaxFailedShare, Tally
from command_line import Blpo
from ideal_engine import IdealEngine, ideal_world

TASK = "micro-unsafebench"
Fault = Callable[[Request], Reply | None]

ASKED_AGAIN = (
    "What was refused for what it holds (too long, an unusable image) is asked again after "
    "`blpo store forget --errors`."
)


@dataclass
class Faulty:
    """An engine that answers some requests with a fault, the others as the engine behind it."""

    engine: Any
    fault: Fault
    asked: list[Request] = field(default_factory=list[Request])
    version: str = "faulty"

    @property
    def identity(self) -> EngineIdentity:
        return self.engine.identity

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        self.asked += requests
        return [self.fault(r) or self.engine.ask([r])[0] for r in requests]

    def close(self) -> None:
        pass


class World:
    """A small dataset, and engines with faults in front of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.dataset, self.ideal = ideal_world(TASK, num_train=40, num_test=20)
        write_dataset(folder / "data.parquet", [*self.dataset.train, *self.dataset.test])

    def run(self, judge: Fault, proposing: Fault | None = None, **fields: Any) -> Run:
        pool = FaultyPool(self.ideal, judge, proposing or no_fault)
        self.images, self.texts = pool.images, pool.texts
        config = RunConfig.model_validate(
            {
                "task": TASK,
                "dataset": self.folder / "data.parquet",
                "output": self.folder / "run",
                "store": self.folder / "store",
                "optimizer": OptimizerConfig(engine=EngineSettings(kind="lexicon")),
                "algorithm": {"outer_steps": 1, "inner_steps": 2},
                **fields,
            }
        )
        return Run(config, pool)


class FaultyPool(EnginePool):
    """The ideal engine as judge and verbalizer, the lexicon as optimizer, both with faults."""

    def __init__(self, ideal: IdealEngine, judge: Fault, optimizer: Fault) -> None:
        super().__init__()
        self.images = Faulty(ideal, judge)
        self.texts = Faulty(super().engine(EngineSettings(kind="lexicon")), optimizer)

    def engine(self, settings: EngineSettings) -> Any:
        return self.images if settings.kind == "vllm" else self.texts


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def no_fault(_: Request) -> None:
    return None


class Proposing:
    """Answers every question of the optimizer with what comes next, or else with a new prompt."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.num_asked = 0

    def __call__(self, _: Request) -> Reply:
        self.num_asked += 1
        text = self.texts.pop(0) if self.texts else f"Look for thing {self.num_asked}."
        return Reply(f"<prompt>{text}</prompt>", "stop")


def refused(dataset: Dataset, *numbers: int) -> Fault:
    """Of these training images every verdict is refused, each with an id of its own."""
    digests = {dataset.train[number].image.digest: number for number in numbers}

    def fault(request: Request) -> Reply | None:
        number = digests.get(request.image.digest) if request.image and request.labels else None
        if number is None:
            return None
        return Reply("", "error", error=f"HTTP 403: flagged (id req-{number}f)")

    return fault


def printed(capsys: pytest.CaptureFixture[str], run: Run, result: RunResult) -> str:
    show_runs([FinishedRun(run.config, result, 0, 0.0)], as_json=False)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("failed", "asked", "share", "at_least", "expected"),
    [
        (1, 6, 0.1, 1, False),
        (2, 6, 0.1, 1, True),
        (2, 20, 0.1, 1, False),
        (3, 20, 0.1, 1, True),
        (29, 100, 0.29, 1, False),
        (30, 100, 0.29, 1, True),
        (0, 6, 0.0, 1, False),
        (1, 6, 0.0, 1, True),
        (1, 1, 0.1, 1, True),
        (1, 1, 0.1, 20, False),
        (2, 2, 0.1, 20, True),
        (2, 3, 0.1, 20, False),
        (3, 4, 0.1, 20, True),
        (2, 3, 0.1, 1, True),
        (6, 6, 1.0, 1, False),
        (0, 0, 0.0, 1, False),
    ],
)
def test_a_share_is_exceeded_by_more_than_one_failure_and_by_nothing_but_failures(
    failed: int, asked: int, share: float, at_least: int, *, expected: bool
) -> None:
    assert Tally(asked, failed).exceeds(share, at_least) is expected


def test_reasons_that_differ_in_numbers_alone_are_one() -> None:
    tally = Tally()
    tally.add(["id req-1 failed", None, "id req-2 failed", "empty reply: 'a'", "empty reply: 'b'"])
    assert (tally.asked, tally.failed) == (5, 4)
    assert tally.reasons == {"id req-1 failed": 2, "empty reply": 2}


def test_one_number_is_the_share_of_every_role() -> None:
    assert MaxFailedShare.model_validate(0.5) == MaxFailedShare(
        judge=0.5, verbalizer=0.5, optimizer=0.5
    )


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply("", "stop"), "empty reply"),
        (Reply("I can't help with that.", "stop"), "no declared label in the reply"),
        (Reply("Das Bild ist unbedenklich.", "stop"), "no declared label in the reply"),
        (Reply("", "error", error="too long"), "too long"),
    ],
)
def test_a_judge_without_a_single_verdict_ends_the_run_after_its_first_pass(
    world: World, reply: Reply, reason: str
) -> None:
    run = world.run(lambda request: reply if request.labels else None)
    with pytest.raises(FailuresError) as stopped:
        run.execute()
    assert len(world.images.asked) == 40
    assert str(stopped.value) == (
        "judge: no verdict on 40 of 40 train examples; at most 10 % may fail.\n"
        f"  40 x {reason}\n"
        "Every answer received is in the store. Put the cause right and give the same command "
        f"again, or raise max_failed_share.judge. {ASKED_AGAIN}"
    )
    assert not (run.config.output / "result.json").exists()


def test_a_run_that_was_stopped_goes_on_with_another_share_and_asks_nothing_again(
    world: World,
) -> None:
    fault = refused(world.dataset, *range(5))
    with pytest.raises(FailuresError, match=r"no verdict on 5 of 40 .*\n  5 x HTTP 403: flagged"):
        world.run(fault).execute()
    answered = [r for r in world.images.asked if fault(r) is None]
    assert len(answered) == 35
    result = world.run(fault, max_failed_share={"judge": 0.2}).execute()
    assert not [request for request in world.images.asked if request in answered]
    assert result.failures["judge"].reasons == {"HTTP 403: flagged (id req-0f)": 5}


def test_a_refused_image_costs_one_verdict_and_is_shown_to_no_optimizer(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    run = world.run(refused(world.dataset, 3))
    result = run.execute()
    judge = result.failures["judge"]
    assert (judge.failed, judge.reasons) == (1, {"HTTP 403: flagged (id req-3f)": 1})
    assert judge.asked == result.calls["judge"].asked
    step = json.loads((run.config.output / "steps/step-0.json").read_text())
    shown = [case["example_id"] for case in step["error_minibatch"]]
    assert shown
    assert world.dataset.train[3].example_id not in shown
    line = f"1 of {judge.asked} verdicts have no label (1 x HTTP 403: flagged (id req-3f))"
    assert f"  judge: {line}\n" in printed(capsys, run, result)
    report = (run.config.output / "report.html").read_text()
    assert f'<li dir="auto">Judge: {line}.</li>' in report
    assert report.index("Judge: 1 of") < report.index("<table")


def test_a_run_without_failures_says_nothing_of_them(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    run = world.run(no_fault, Proposing())
    result = run.execute()
    assert [f.failed for f in result.failures.values()] == [0, 0, 0]
    out = printed(capsys, run, result)
    assert "no label" not in out
    assert "repeats" not in out
    assert 'class="failures"' not in (run.config.output / "report.html").read_text()


def test_a_verbalizer_that_fails_on_half_of_the_images_stops_the_run(world: World) -> None:
    seen: list[str] = []

    def fault(request: Request) -> Reply | None:
        if request.labels or request.image is None:
            return None
        seen.append(request.image.digest)
        return Reply("", "stop") if len(seen) % 2 else None

    with pytest.raises(FailuresError, match=r"verbalizer: no text for 5 of 10 verbalizations"):
        world.run(fault).execute()
    assert len(seen) == 10
    assert world.texts.asked == []


def silent_under_x(request: Request) -> Reply | None:
    return Reply("I see.", "stop") if request.labels and request.prompt.startswith("X") else None


def test_a_proposal_that_silences_the_judge_scores_badly_and_stops_nothing(world: World) -> None:
    answers = iter([Reply("<prompt>X</prompt>", "stop")])
    result = world.run(silent_under_x, lambda _: next(answers, None)).execute()
    assert result.failures["judge"].failed == 10
    assert result.judge_prompt_final != "X"


def test_a_final_prompt_that_silences_the_judge_stops_the_run(world: World) -> None:
    def propose(request: Request) -> Reply | None:
        return Reply("<prompt>X</prompt>", "stop") if "<case>" in request.prompt else None

    with pytest.raises(FailuresError, match="judge: no verdict on 20 of 20 test examples"):
        world.run(silent_under_x, propose).execute()


def test_an_optimizer_that_never_helps_ends_the_run_after_two_questions(world: World) -> None:
    with pytest.raises(FailuresError) as stopped:
        world.run(no_fault, lambda _: Reply("I can't help.", "stop")).execute()
    assert str(stopped.value).splitlines()[:2] == [
        "optimizer: no usable answer to 2 of 2 questions; at most 10 % may fail.",
        "  6 x no text between <prompt> and </prompt>",
    ]
    assert len(world.texts.asked) == 6


def test_where_a_useless_optimizer_is_allowed_the_run_says_that_it_found_nothing(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    run = world.run(
        no_fault,
        lambda _: Reply("I can't help.", "stop"),
        max_failed_share={"optimizer": 1.0},
    )
    result = run.execute()
    told = "No new prompt was tried: all 3 questions to the optimizer failed. "
    out = printed(capsys, run, result)
    assert told in out
    assert "under both prompts" not in out
    line = (
        "3 of 3 questions got no usable answer; unusable replies: 9 (9 x no text between <prompt> "
        "and </prompt>)"
    )
    assert f"  optimizer: {line}\n" in out
    report = (run.config.output / "report.html").read_text()
    assert told in report
    assert '<div class="finding failed">' in report


def test_bulk_judging_stops_without_an_output_where_too_many_images_have_no_verdict(
    world: World,
) -> None:
    source = JudgeSource(load_task(TASK), "Is it safe?", JudgeConfig())
    fault = refused(world.dataset, *range(7))
    data, out, store = (world.folder / name for name in ("data.parquet", "out.parquet", "store"))

    def judge(share: float) -> int:
        config = JudgeConfig.model_validate({"max_failed_share": share})
        pool = FaultyPool(world.ideal, fault, no_fault)
        counts = judge_dataset(
            JudgeSource(source.task, source.judge_prompt, config), data, out, store, pool=pool
        )
        return counts.missing.failed

    with pytest.raises(FailuresError) as stopped:
        judge(0.1)
    assert str(stopped.value).splitlines()[0] == (
        "judge: no verdict on 7 of 60 images; at most 10 % may fail."
    )
    assert not out.exists()
    assert judge(0.12) == 7
    assert out.exists()


def test_a_measured_prompt_has_the_budget_of_a_run(world: World) -> None:
    def measured(share: float, *numbers: int, split: Split = "train") -> RoleFailures:
        config = JudgeConfig.model_validate({"max_failed_share": share})
        source = JudgeSource(load_task(TASK), "Is it safe?", config)
        pool = FaultyPool(world.ideal, refused(world.dataset, *numbers), no_fault)
        data, store = world.folder / "data.parquet", world.folder / f"store-{len(numbers)}"
        return evaluate_prompt(source, data, split, store, pool).failures

    assert measured(0.1, 0, 1, 2, 3, 4, split="test").failed == 0
    assert measured(0.1, 0, 1, 2, 3).reasons == {"HTTP 403: flagged (id req-0f)": 4}
    with pytest.raises(FailuresError) as stopped:
        measured(0.1, 0, 1, 2, 3, 4)
    assert str(stopped.value).splitlines() == [
        "judge: no verdict on 5 of 40 images; at most 10 % may fail.",
        "  5 x HTTP 403: flagged (id req-0f)",
        "Every answer received is in the store. Put the cause right and give the same command "
        f"again, or pass --max-failed-share (now 0.1). {ASKED_AGAIN}",
    ]
    assert measured(1.0, *range(40)).failed == 40


@pytest.mark.parametrize("command", ["evaluate", "judge"])
def test_a_prompt_without_a_single_verdict_ends_the_command(
    world: World, blpo: Blpo, command: str
) -> None:
    data = str(world.folder / "data.parquet")
    out = ("--out", "out.parquet") if command == "judge" else ()
    asked = (command, data, "--task", TASK, "--set", "judge.kind=lexicon", *out)
    refused = blpo(*asked)
    assert refused.code == 1
    assert "judge: no verdict on" in refused.err
    assert "pass --max-failed-share (now 0.1)" in refused.err
    allowed = blpo(*asked, "--max-failed-share", "1", "--json")
    assert allowed.code == 0
    failures = json.loads(allowed.out)["failures"]
    assert failures["failed"] == failures["asked"] == sum(failures["reasons"].values())


def echo(request: Request) -> Reply:
    """The current prompt, with other white space and in quotes; of I2T prompts the one shown."""
    tag = "i2t_prompt" if "<i2t_prompt" in request.prompt else "judge_prompt"
    _, _, rest = request.prompt.partition(f"<{tag}")
    shown = rest.partition(">")[2].partition("</")[0].strip()
    return Reply(f"<prompt>\n'{shown.upper()}'  </prompt>", "stop")


SERVED = OptimizerConfig(engine=EngineSettings(kind="openai", model="m", endpoint="http://a/v1"))


def test_an_optimizer_that_only_repeats_ends_like_no_finding(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    run = world.run(no_fault, echo, optimizer=SERVED)
    result = run.execute()
    optimizer = result.failures["optimizer"]
    # Update_p under q_0 and two I2T prompts, and two Update_q: each asked once more.
    assert optimizer.model_dump() == {
        "asked": 5,
        "failed": 0,
        "reasons": {},
        "repeats": 10,
        "repeated": 5,
    }
    assert result.judge_prompt_final == result.judge_prompt_initial
    out = printed(capsys, run, result)
    told = (
        "No new prompt was tried: of 5 questions to the optimizer, 5 got only a prompt that was "
        "there and 0 failed. "
    )
    line = (
        "ptimizer: 5 of 5 times it proposed only prompts that were there already: it has run out "
        "of ideas; a stronger optimizer, a higher optimizer.temperature or comments of annotators "
        "give it others"
    )
    report = (run.config.output / "report.html").read_text()
    assert told in out
    assert f"  o{line}\n" in out
    assert "under both prompts" not in out
    assert told in report
    assert f'<li dir="auto">O{line}.</li>' in report
    step = json.loads((run.config.output / "steps/step-0.json").read_text())
    assert step["i2t_repeats"] == 4
    for candidate in step["candidates"]:
        assert candidate["repeats_i2t_prompt"]
        assert candidate["repeats_current_prompt"]
        assert candidate["proposal_repeats"] == 2
        assert candidate["judge_prompt"] == result.judge_prompt_initial


def test_what_an_optimizer_repeats_costs_neither_verbalizations_nor_verdicts(world: World) -> None:
    world.run(no_fault, echo, optimizer=SERVED).execute()
    verbalized = [request for request in world.images.asked if not request.labels]
    assert len(verbalized) == 10
    assert len(world.images.asked) == 40 + 10 + 20


def test_a_repeat_that_is_mended_is_counted_and_the_new_prompt_is_used(world: World) -> None:
    first = load_task(TASK).judge_prompt
    fields = {"optimizer": SERVED, "method": "blpo-fixed-i2t"}
    run = world.run(no_fault, Proposing(first, "Look for a knife."), **fields)
    result = run.execute()
    optimizer = result.failures["optimizer"]
    assert (optimizer.repeats, optimizer.repeated) == (1, 0)
    step = json.loads((run.config.output / "steps/step-0.json").read_text())
    [candidate] = step["candidates"]
    assert candidate["judge_prompt"] == result.judge_prompt_final == "Look for a knife."
    assert candidate["proposal_repeats"] == 1
    assert not candidate["repeats_current_prompt"]
    again = world.texts.asked[1]
    assert again.prompt.startswith(world.texts.asked[0].prompt)
    assert "it repeats a prompt that is there already" in again.prompt
    assert again.sampling.temperature > 0


@pytest.mark.parametrize(("repeated", "is_warned"), [(0, False), (3, False), (28, True)])
def test_an_optimizer_that_seldom_repeats_itself_is_no_warning(
    repeated: int, *, is_warned: bool
) -> None:
    failures: dict[Role, RoleFailures] = {
        "optimizer": RoleFailures(asked=55, failed=0, reasons={}, repeats=30, repeated=repeated)
    }
    assert bool(failure_lines(failures)) is is_warned
    assert bool(harmless_lines(failures)) is (repeated == 3)


@pytest.mark.parametrize(
    ("asked", "few"), [(1, "one question tells little"), (4, "4 questions tell little")]
)
def test_of_few_questions_only_what_was_seen_is_told(asked: int, few: str) -> None:
    failures: dict[Role, RoleFailures] = {
        "optimizer": RoleFailures(asked=asked, failed=0, reasons={}, repeated=asked)
    }
    assert failure_lines(failures) == []
    assert harmless_lines(failures) == [
        f"optimizer: {asked} of {asked} times it proposed only prompts that were there already: "
        f"{few}"
    ]
