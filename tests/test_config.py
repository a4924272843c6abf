"""Run files: read strictly, overridden from the command line, compared field by field."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from blpo.data.errors import ConfigError
from blpo.pipeline.config import (
    JudgeConfig,
    RunConfig,
    comparable,
    differences,
    load_run_config,
    parse_config,
)
from blpo.pipeline.runs.directory import stored_config
from blpo.pipeline.sweeps.sweep import SweepConfig

MINIMAL = "task: unsafebench\ndataset: d.parquet\noutput: runs/a\n"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    return path


def test_the_defaults_are_the_papers_settings(tmp_path: Path) -> None:
    config = load_run_config(write(tmp_path, MINIMAL))
    algorithm = config.resolved_algorithm
    assert (algorithm.outer_steps, algorithm.inner_steps, algorithm.minibatch_size) == (5, 5, 10)
    assert (config.preset, config.method, algorithm.i2t) == ("paper", "blpo", "learned")
    assert config.optimizer.temperature == 0.0


@pytest.mark.parametrize(
    ("method", "i2t", "outer_steps"),
    [("blpo-fixed-i2t", "fixed", 5), ("blpo-judge-i2t", "judge_prompt", 5), ("none", "learned", 0)],
)
def test_a_method_fixes_its_part_of_the_algorithm(
    tmp_path: Path, method: str, i2t: str, outer_steps: int
) -> None:
    config = load_run_config(write(tmp_path, MINIMAL), [f"method={method}"])
    assert config.resolved_algorithm.i2t == i2t
    assert config.resolved_algorithm.outer_steps == outer_steps


def test_overrides_reach_nested_keys_and_are_yaml(tmp_path: Path) -> None:
    config = load_run_config(
        write(tmp_path, MINIMAL), ["algorithm.inner_steps=2", "judge.model=a/b", "seed=7"]
    )
    assert (config.algorithm.inner_steps, config.judge.model, config.seed) == (2, "a/b", 7)


def test_overrides_of_a_grid_keep_its_dotted_keys_whole() -> None:
    fields = {"grid": {"task": ["micro-agin"], "algorithm.inner_steps": [3, 5]}}
    overrides = ["grid.algorithm.inner_steps=[1]", "grid.apo.rounds=[2]"]
    grid = parse_config(SweepConfig, fields | {"output": "o", "store": "s"}, "x", overrides).grid
    assert grid == {"task": ["micro-agin"], "algorithm.inner_steps": [1], "apo.rounds": [2]}


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        (MINIMAL + "sed: 1\n", [], "unknown key `sed`; did you mean `seed`?"),
        (MINIMAL + "judge: {modle: x}\n", [], "did you mean `model`?"),
        ("task: a\n", [], "key `dataset` is missing"),
        (MINIMAL, ["algorithm.inner_steps=0"], "`algorithm.inner_steps` is 0"),
        (MINIMAL + "algorithm:\n", [], "`algorithm` is empty: should be a group of keys, or drop"),
        (MINIMAL + "algorithm: 3\n", [], "`algorithm` is 3: should be a group of keys"),
        (MINIMAL + "judge: 3\n", [], "`judge` is 3: should be a group of keys"),
        (MINIMAL, ["method=blop"], "`method` is 'blop': no such method; choose from blpo, "),
        (MINIMAL, ["seed"], "expected key=value"),
        (MINIMAL, [".=1"], "expected key=value, where the key is a name, or names with a dot"),
        (MINIMAL, ["judge.=1"], "--set judge.=1: expected key=value"),
        (MINIMAL, ["judge..model=1"], "such as --set seed=1 or --set judge.model=micro"),
        (MINIMAL, ['judge_prompt=""'], "`judge_prompt` is '': should not be empty: write a prompt"),
        (MINIMAL + "i2t_prompt: '  '\n", [], "or drop the key for the task's"),
        (MINIMAL, ["images.min_pixels=2000000"], "`images.min_pixels` (2000000) is more than"),
        (MINIMAL + "judge: {3: 4}\n", [], "unknown key `judge.3`; known keys: kind, model,"),
        (MINIMAL, ["task.name=x"], "task is a value, not a group of keys"),
        (
            MINIMAL,
            ["readng=auto"],
            "--set readng=auto: unknown key `readng`; did you mean `reading`",
        ),
        (MINIMAL, ["readng.a=1"], "--set readng.a=1: unknown key `readng`; did you mean `reading`"),
        (MINIMAL, ["reading=autoo"], "--set reading=autoo: `reading.family` is 'autoo': should be"),
        (MINIMAL, ["reading=autoo"], "; did you mean 'auto'?"),
        (MINIMAL, ["judge.kind=vlm"], "; did you mean 'vllm'?"),
        (MINIMAL, ["seed=true"], "--set seed=true: `seed` is true"),
        (MINIMAL + "sed: 1\n", ["seed=1"], "run.yaml: unknown key `sed`"),
        ("task: [", [], "not valid YAML"),
        ("- a\n", [], "must hold `key: value` lines"),
    ],
)
def test_a_mistake_is_named_with_file_or_option_and_remedy(
    tmp_path: Path, text: str, overrides: list[str], message: str
) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        load_run_config(path, overrides)
    assert message in str(error.value)
    assert str(path) in str(error.value) or "--set" in str(error.value)


@pytest.mark.parametrize(
    "judge",
    [
        {"thinking": True},
        {"kind": "transformers", "thinking": "on"},
        {"kind": "openai", "layout": "in-process", "thinking": "on"},
    ],
)
def test_a_label_within_a_thought_is_refused_when_the_settings_are_read(
    tmp_path: Path, judge: dict[str, Any]
) -> None:
    remedy = "set `verdict: reasoned`, or judge.thinking to off"
    settings = yaml.safe_dump({"judge": judge})
    with pytest.raises(ConfigError, match=remedy):
        load_run_config(write(tmp_path, MINIMAL + settings))
    with pytest.raises(ConfigError, match=remedy):
        parse_config(JudgeConfig, {"judge": judge}, "--set")
    reasoned = {"judge": judge, "verdict": "reasoned"}
    assert parse_config(JudgeConfig, reasoned, "--set").judge.thinking == "on"


def test_a_thinking_server_that_is_asked_by_chats_may_give_direct_verdicts() -> None:
    judge = {"kind": "openai", "layout": "chat", "thinking": "on"}
    assert parse_config(JudgeConfig, {"judge": judge}, "--set").verdict == "direct"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed=true", "`seed` is true: should be a whole number"),
        ('seed="1"', "`seed` is '1': should be a whole number, without quotes"),
        ("algorithm.inner_steps=1.0", "`algorithm.inner_steps` is 1.0: should be a whole number"),
        ('report="no"', "`report` is 'no': should be true or false, without quotes"),
        ("report=0", "`report` is 0: should be true or false"),
        ("judge.engines=true", "`judge.engines` is true: should be a whole number"),
        ("judge.timeout_s=true", "`judge.timeout_s` is true: should be a number"),
        ("max_failed_share=true", "`max_failed_share` is true: should be a group of keys"),
        (
            "reading={family: offset, prior: {x: true}}",
            "`reading.prior.x` is true: should be a number",
        ),
    ],
)
def test_a_value_of_another_type_is_not_converted(
    tmp_path: Path, override: str, message: str
) -> None:
    path = write(tmp_path, MINIMAL)
    with pytest.raises(ConfigError) as error:
        load_run_config(path, [override])
    assert str(error.value) == f"--set {override}: {message}"


def test_values_that_stand_for_others_are_taken(tmp_path: Path) -> None:
    overrides = ["judge.timeout_s=3", "optimizer.temperature=1e-1", "algorithm.controls=off"]
    config = load_run_config(write(tmp_path, MINIMAL), [*overrides, "max_failed_share=1"])
    assert (config.judge.timeout_s, config.optimizer.temperature) == (3.0, 0.1)
    assert (config.algorithm.controls, config.max_failed_share.judge) == ("off", 1)


@pytest.mark.parametrize(("kept", "taken"), [("", None), ("  ", "  ")])
def test_a_run_of_an_earlier_version_with_a_blank_prompt_is_read_as_it_was_taken(
    tmp_path: Path, kept: str, taken: str | None
) -> None:
    config = load_run_config(write(tmp_path, MINIMAL))
    fields = config.model_dump(mode="json") | {"judge_prompt": kept}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    found = stored_config(tmp_path)
    assert (found.judge_prompt, found.i2t_prompt) == (taken, None)


def test_whatever_a_run_keeps_of_its_settings_is_read_again(tmp_path: Path) -> None:
    overrides = ["preset=plus", "max_failed_share=1", "judge.thinking=off", "reading=auto"]
    config = load_run_config(write(tmp_path, MINIMAL), overrides)
    kept = config.model_dump(mode="json")
    assert parse_config(RunConfig, kept, "config.json").model_dump(mode="json") == kept


def test_a_missing_run_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.yaml"):
        load_run_config(tmp_path / "nothing.yaml")


def test_differences_name_the_fields_and_ignore_where_files_lie() -> None:
    one = RunConfig(task="a", dataset=Path("d"), output=Path("x"))
    other = one.model_copy(update={"output": Path("y"), "store": Path("z"), "seed": 2})
    assert differences(comparable(one), comparable(other)) == ["seed: 0 -> 2"]
