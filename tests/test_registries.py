"""A method or a launcher of one's own: its file, and one line of the registry."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from blpo.data.examples import Example
from blpo.models.roles.judge import Verdict
from blpo.models.wrappers.ledger import Role
from blpo.pipeline.baselines.opro import OproConfig
from blpo.pipeline.bulk.counts import JudgedCounts
from blpo.pipeline.launchers.base import JudgeJob, Launcher, Submission, SweepJob, refuse_options
from blpo.pipeline.launchers.registry import LAUNCHERS, get_launcher
from blpo.pipeline.methods.registry import SEARCHES
from blpo.pipeline.runs import run_many
from blpo.pipeline.search.step import Step
from blpo.pipeline.sweeps.cells import SWEEP_FILE, CellState, write_sweep_file
from command_line import Blpo
from ideal_runs import GOOD_PROMPT, TASK, ideal_dataset
from killable_run import IdealPool


class JudgingRoles:
    """What the method below asks of models."""

    def judge(self, judge_prompt: str, examples: Sequence[Example]) -> list[Verdict]: ...


class Guess:
    """A method that knows a good prompt."""

    section, length = "opro", "steps"
    fixed: Mapping[str, Any] = {"steps": 1}
    sees_images = False
    rewrites_criteria = False

    def run(
        self,
        roles: JudgingRoles,
        train: Sequence[Example],
        judge_prompt: str,
        _i2t_prompt: str,
        config: OproConfig,
        _seed: int,
    ) -> Iterator[Step]:
        for index in range(config.steps):
            verdicts = roles.judge(judge_prompt, train)
            yield Step(index, judge_prompt, GOOD_PROMPT, train, verdicts, details={})

    def expected_calls(self, config: OproConfig, num_train: int) -> dict[Role, int]:
        return {"judge": config.steps * num_train}


def test_a_method_is_added_by_a_line_of_the_registry(
    tmp_path: Path, blpo: Blpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ideal_dataset(tmp_path)
    run_file = {"task": TASK, "dataset": "data.parquet", "output": "run", "method": "guess"}
    Path("run.yaml").write_text(yaml.safe_dump(run_file))
    refused = blpo("optimize", "run.yaml")
    assert (refused.code, "`method` is 'guess': no such method" in refused.err) == (1, True)

    monkeypatch.setitem(SEARCHES, "guess", Guess())
    monkeypatch.setattr(run_many, "EnginePool", lambda: IdealPool(engine))
    [run] = json.loads(blpo("optimize", "run.yaml", "--json").out)
    result = run["result"]
    assert (result["method"], result["judge_prompt_final"]) == ("guess", GOOD_PROMPT)
    assert result["test"]["gain"]["accuracy"] > 0
    # p_0 on train, then the test split under both prompts.
    assert result["calls"]["judge"]["asked"] == 12 + 2 * 60


class Queue(Launcher):
    """A launcher that runs nothing: it writes down what it was given."""

    def run_sweep(self, job: SweepJob) -> Submission:
        refuse_options("queue", "runs all cells", {"--cells": job.names_file})
        job.config.output.mkdir()
        (job.config.output / "queue.json").write_text(json.dumps(list(job.cells)))
        write_sweep_file(job.config, job.config.output / SWEEP_FILE)
        return Submission({"queued": list(job.cells)}, [f"{len(job.cells)} cells wait"])

    def judge(self, job: JudgeJob) -> JudgedCounts:
        return JudgedCounts(rows=job.num_shards or 0)

    def queued_cells(self, folder: Path) -> dict[str, CellState]:
        names: list[str] = json.loads((folder / "queue.json").read_text())
        return dict.fromkeys(names, CellState.QUEUED)


def test_a_launcher_is_added_by_a_line_of_the_registry(
    tmp_path: Path, blpo: Blpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    ideal_dataset(tmp_path)
    base = {
        "task": TASK,
        "dataset": "data.parquet",
        "judge": {"kind": "lexicon"},
        "max_failed_share": 1,
    }
    sweep = {"output": "sweep", "base": base, "grid": {"seed": [0, 1]}}
    Path("sweep.yaml").write_text(yaml.safe_dump(sweep))
    refused = blpo("sweep", "sweep.yaml", "--launcher", "queue")
    assert (refused.code, "no such launcher" in refused.err) == (2, True)

    monkeypatch.setitem(LAUNCHERS, "queue", f"{__name__}:Queue")
    assert blpo("sweep", "sweep.yaml", "--launcher", "queue").out == "2 cells wait\n"
    states = json.loads(blpo("sweep", "status", "sweep", "--json").out)["cells"]
    assert states == {"0": "queued", "1": "queued"}
    data = ("data.parquet", "--task", TASK, "--out", "verdicts.parquet")
    judged = blpo("judge", *data, "--launcher", "queue", "--shards", "3", "--json")
    assert json.loads(judged.out)["rows"] == 3
    Path("names.txt").write_text("0")
    refused = blpo("sweep", "sweep.yaml", "--launcher", "queue", "--cells", "names.txt")
    assert "--launcher queue: runs all cells; drop --cells" in refused.err


@pytest.mark.parametrize("name", LAUNCHERS)
def test_every_registered_launcher_is_there(name: str) -> None:
    assert Launcher in type(get_launcher(name)).mro()


@pytest.mark.parametrize(
    ("command", "options", "message"),
    [
        ("sweep", "slurm --cells names.txt", "slurm: submits what is missing; drop --cells"),
        ("sweep", "slurm --start-over", "slurm: submits what is missing; drop --start-over"),
        ("sweep", "ray", "ray: judges datasets and does not run sweeps"),
        ("judge", "slurm --shard 1/2 --overwrite", "missing; drop --shard, --overwrite"),
        ("judge", "ray --shard 1/2 --gpus 0", "over servers; drop --shard, --gpus"),
        ("judge", "local --sbatch=-p=gpu --gpus 0", "process; drop --gpus, --sbatch"),
        ("judge", "local --max-running 2", "process; drop --max-running"),
    ],
)
def test_an_option_that_a_launcher_has_no_use_for_is_refused(
    blpo: Blpo, tmp_path: Path, command: str, options: str, message: str
) -> None:
    ideal_dataset(tmp_path)
    base = {
        "task": TASK,
        "dataset": "data.parquet",
        "judge": {"kind": "lexicon"},
        "max_failed_share": 1,
    }
    sweep = {"output": "sweep", "base": base, "grid": {"seed": [0]}}
    Path("sweep.yaml").write_text(yaml.safe_dump(sweep))
    data = {
        "sweep": ("sweep.yaml",),
        "judge": ("data.parquet", "--task", TASK, "--out", "verdicts.parquet"),
    }
    refused = blpo(command, *data[command], "--launcher", *options.split())
    assert (refused.code, message in refused.err) == (1, True), refused
    assert not Path("sweep").exists()
    assert not Path("verdicts.parquet").exists()
