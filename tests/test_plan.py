"""`blpo optimize --dry-run`: the plan of a run, on the world's engine."""

import json
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from blpo import import_table
from blpo.data.errors import BlpoError, ConfigError, FailuresError
from blpo.models.engine import Engine, Reply, Request
from blpo.models.engines.settings import EngineSettings
from blpo.models.engines.vllm.residency import KvCache, Residency
from blpo.pipeline.cli.show.plan import show_plan
from blpo.pipeline.config import RunConfig, parse_config
from blpo.pipeline.doctor.check import Level
from blpo.pipeline.doctor.diagnose import diagnose_run
from blpo.pipeline.plan import probe as probe_module
from blpo.pipeline.plan.plan import Price, parse_prices, plan_run
from blpo.pipeline.plan.probe import NUM_PROBED
from blpo.pipeline.runs.engine_pool import EnginePool
from blpo.pipeline.runs.run_many import execute_runs
from documented_world import WorldEngine, furnish_photos, run_blpo, working_in

RUN: dict[str, Any] = {
    "task": "product-photos.yaml",
    "dataset": "photos.parquet",
    "output": "runs/photos",
    "algorithm": {"outer_steps": 2, "inner_steps": 2},
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Photos with a dataset file of 20 train and 20 test examples."""
    furnish_photos(tmp_path)
    with working_in(tmp_path):
        import_table("photos.csv", "photos.parquet", task="product-photos.yaml")
        yield tmp_path


def config(**keys: Any) -> RunConfig:
    return parse_config(RunConfig, RUN | keys, "test")


def test_a_plan_of_a_fresh_run_writes_nothing_and_is_no_less_than_the_run(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    plan = plan_run(config(), with_probe=False)
    assert sorted(folder.rglob("*")) == before
    assert (plan.num_images, plan.seconds, plan.is_finished) == (40, None, False)
    assert [role.held for role in plan.roles.values()] == [0, 0, 0]
    [finished] = execute_runs([config()])
    # The optimizer is asked again after a reply that is not usable.
    assert finished.result.calls["judge"].asked <= plan.roles["judge"].calls
    assert finished.result.calls["verbalizer"].asked <= plan.roles["verbalizer"].calls


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"reading": {"family": "offset", "prior": {"Foo": 1}}},
            "reading.prior: names Foo; the labels are",
        ),
        ({"reading": "ordered"}, "reading ordered: is not for this task"),
        ({"reading": "matrix", "task": "four.yaml"}, "reading matrix: needs 20 training groups"),
        ({"method": "blpo-criteria"}, "method blpo-criteria: task"),
        ({"method": "apo-image"}, "method apo-image: shows the optimizer several images"),
    ],
)
def test_what_a_run_refuses_its_plan_and_doctor_refuse_in_the_same_words(
    folder: Path, keys: dict[str, Any], message: str
) -> None:
    text = (folder / "product-photos.yaml").read_text()
    (folder / "four.yaml").write_text(text.replace("kind: binary", "kind: categorical"))
    refused = config(**keys)
    with pytest.raises(ConfigError) as of_run:
        execute_runs([refused], source="run.yaml")
    with pytest.raises(ConfigError) as of_plan:
        plan_run(refused, with_probe=False, source="run.yaml")
    [first, *_] = diagnose_run(refused, probe=False, source="run.yaml")
    assert str(of_run.value) == str(of_plan.value) == first.found
    assert first.level is Level.ERROR
    assert first.found.startswith(f"run.yaml: {message}")
    assert not (folder / "runs").exists()


def test_a_plan_of_a_finished_run_finds_all_its_calls_in_the_store(folder: Path) -> None:
    [finished] = execute_runs([config()])
    plan = plan_run(config(output="runs/photos"))
    assert plan.is_finished
    assert plan.probed is None
    asked = {role: calls.asked for role, calls in finished.result.calls.items()}
    assert {role: of.held for role, of in plan.roles.items()} == asked
    other = plan_run(config(output="runs/other", seed=1), with_probe=False)
    # The first prompt is judged on the same examples, whatever the seed.
    assert 40 <= other.roles["judge"].held < asked["judge"]
    assert not (folder / "runs/other").exists()


@pytest.mark.usefixtures("folder")
def test_a_plan_tells_what_of_its_settings_leads_nowhere(
    capsys: pytest.CaptureFixture[str],
) -> None:
    keys = {"budget": {"judge_calls": 0}, "algorithm": {"second_look": True}}
    show_plan(plan_run(config(**keys), with_probe=False), as_json=False)
    told = capsys.readouterr().out
    assert "the search changes no prompt" in told
    assert "algorithm.second_look has no effect without algorithm.accept: paired." in told
    show_plan(plan_run(config(), with_probe=False), as_json=False)
    told = capsys.readouterr().out
    assert "changes no prompt" not in told
    assert "no effect" not in told


def test_nothing_is_left_to_ask_of_a_finished_run_whatever_follows_its_search(folder: Path) -> None:
    keys: dict[str, Any] = {"reading": "auto", "noise_floor": True}
    fresh = plan_run(config(**keys), with_probe=False)
    [finished] = execute_runs([config(**keys)])
    plan = plan_run(config(**keys), with_probe=False)
    asked = {role: calls.asked for role, calls in finished.result.calls.items()}
    assert {role: of.held for role, of in plan.roles.items()} == asked
    assert {role: of.to_ask for role, of in plan.roles.items()} == dict.fromkeys(asked, 0)
    assert asked["judge"] <= fresh.roles["judge"].to_ask
    assert folder.exists()


def test_a_directory_of_another_run_is_refused_as_by_the_run(folder: Path) -> None:
    execute_runs([config(method="none")])
    with pytest.raises(ConfigError, match="belongs to another run"):
        plan_run(config(), with_probe=False)
    assert folder.exists()


def test_the_probe_gives_time_and_cost_and_its_replies_are_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = count()
    monkeypatch.setattr(probe_module.time, "monotonic", lambda: float(next(ticks)))
    plan = plan_run(config(), prices={"optimizer": Price(1e6, 0.0)})
    probed = plan.probed
    assert probed is not None
    assert probed.judge is not None
    assert probed.judge.calls == NUM_PROBED
    judge, optimizer = plan.roles["judge"], plan.roles["optimizer"]
    assert judge.held == 1 + NUM_PROBED
    assert judge.seconds == pytest.approx(
        40 * probed.judge.seconds + (judge.to_ask - 40) * probed.again.seconds  # pyright: ignore
    )
    assert optimizer.cost == optimizer.prompt_tokens
    assert plan.cost == optimizer.cost
    again = plan_run(config())
    assert again.seconds is None
    assert folder.exists()


def test_the_command_prints_the_plan_and_runs_nothing(folder: Path) -> None:
    Path("r.yaml").write_text(json.dumps(RUN))
    code, printed = run_blpo(["optimize", "r.yaml", "--dry-run", "--price", "judge=1/1"])
    assert code == 0
    for told in ("Calls at most", "verbalizer", "Images: 40", "Time: at most about", "Cost: at"):
        assert told in printed
    code, printed = run_blpo(["optimize", "r.yaml", "--dry-run", "--no-probe", "--json"])
    told = json.loads(printed)
    judge = told["roles"]["judge"]
    assert (code, told["train"], told["test"]) == (0, 20, 20)
    assert judge["to_ask"] == judge["calls"] - 9
    assert not (folder / "runs").exists()


@pytest.mark.parametrize("price", ["judge=1", "jugde=1/2", "judge=-1/2", "judge=a/b", "judge"])
def test_a_price_that_is_none_is_refused(price: str) -> None:
    with pytest.raises(BlpoError, match=r"--price .*ROLE=PROMPT/COMPLETION"):
        parse_prices([price])
    assert parse_prices(["optimizer=2/8.5"]) == {"optimizer": Price(2, 8.5)}


def test_how_many_images_stay_is_known_after_the_first_one() -> None:
    residency = Residency(KvCache(num_tokens=3200, block_size=32, bytes_per_token=1.0))
    assert residency.num_resident is None
    residency.tell_size(320)
    residency.tell_size(64)
    assert residency.num_resident == 10


class Failing:
    """The world's engine whose verdicts fail, all or those of some examples. Contract: `Engine`."""

    version, identity = WorldEngine.version, WorldEngine.identity

    def __init__(self, num_sound: int) -> None:
        self._world, self._num_left = WorldEngine(), num_sound

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        return [self._answer(request) for request in requests]

    def close(self) -> None:
        pass

    def _answer(self, request: Request) -> Reply:
        if request.labels:
            self._num_left -= 1
            if self._num_left < 0:
                return Reply("", "error", error="knows no such label")
        return self._world.ask([request])[0]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    def after(num_sound: int) -> None:
        engine = Failing(num_sound)

        def shared(_pool: EnginePool, _settings: EngineSettings) -> Engine:
            return engine

        monkeypatch.setattr(EnginePool, "engine", shared)

    return after


def test_a_judge_that_gives_no_verdict_refuses_the_plan_and_none_of_it_is_held(
    folder: Path, failing: Callable[[int], None]
) -> None:
    failing(0)
    with pytest.raises(FailuresError, match="the 9 questions of the probe on the labels reject, "):
        plan_run(config())
    held = plan_run(config(), with_probe=False).roles["judge"]
    assert (held.held, held.errors) == (0, 9)
    assert held.to_ask == held.calls - 9
    assert plan_run(config(max_failed_share=1)).probed is not None
    assert folder.exists()


def test_single_failures_of_the_probe_are_told_and_are_not_held(
    folder: Path, failing: Callable[[int], None]
) -> None:
    failing(14)
    Path("r.yaml").write_text(json.dumps(RUN))
    code, printed = run_blpo(["optimize", "r.yaml", "--dry-run"])
    assert code == 0
    told = "Probe: judge: 3 of 17 verdicts have no label (3 x knows no such label)"
    assert told in " ".join(printed.split())
    failing(0)
    code, printed = run_blpo(["optimize", "r.yaml", "--dry-run", "--no-probe", "--json"])
    judge = json.loads(printed)["roles"]["judge"]
    assert (judge["held"], judge["errors"]) == (9, 0)
    assert folder.exists()
