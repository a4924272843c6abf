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
from blpo.pipeline.methods.registry import SEARCHES
from blpo.pipeline.runs import run_many
from blpo.pipeline.search.step import Step
from command_line import Blpo
from ideal_runs import GOOD_PROMPT, TASK, ideal_dataset
from killable_run import IdealPool


class JudgingRoles:
    """What the method below asks of models."""

    def judge(self, judge_prompt: str, examples: Sequence[Example]) -> list[Verdict]: ...


class Guess:
    """A method that knows a good prompt."""

    section = "opro"
    fixed: Mapping[str, Any] = {"steps": 1}
    sees_images = False

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
