"""Exported judges, read by the programs that they are for."""
# ruff: noqa: PLC0415  (a process that only collects the tests does not import those programs)

import importlib.util
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import polars as pl
import pytest
import yaml
from blpo import Judge, LoadedRun, import_table, optimize
from blpo.data.errors import BlpoError, ConfigError, DataError
from blpo.data.examples import write_dataset
from blpo.data.tasks import load_task
from blpo.models.engine import EngineIdentity
from blpo.pipeline.bulk.bundle import Bundle, Rules, bundle_text, read_bundle
from blpo.pipeline.bulk.bundle_of_run import bundle_of_run
from blpo.pipeline.bulk.judge_source import judge_source, other_judge
from blpo.pipeline.cli.export import FORMAT_NAMES
from blpo.pipeline.decisions.decide import Decision, Outcome
from blpo.pipeline.decisions.target import Target
from blpo.pipeline.export.messages import expectation, label_pattern, question
from blpo.pipeline.export.promptfoo import promptfoo_config
from blpo.pipeline.export.registry import FORMATS, export, for_format
from blpo.pipeline.readings.config import ReadingConfig
from blpo.pipeline.readings.cutpoints import nearest
from blpo.pipeline.readings.fitted import FittedReading
from blpo.pipeline.runs.finished_run import read_past_run
from command_line import Blpo
from documented_world import furnish_photos, run_blpo, working_in
from ideal_engine import ideal_world
from ideal_runs import TASK, ideal_run
from jinja2 import Environment
from pydantic import TypeAdapter


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoadedRun]:
    folder = tmp_path_factory.mktemp("export")
    furnish_photos(folder)
    with working_in(folder):
        import_table(pl.read_csv("photos.csv"), "photos.parquet", task="product-photos.yaml")
        yield optimize(
            task="product-photos.yaml",
            dataset="photos.parquet",
            output="runs/photos",
            algorithm={"outer_steps": 1, "inner_steps": 1},
        )


@pytest.fixture(scope="module")
def bundle(run: LoadedRun) -> Bundle:
    return bundle_of_run(run.path)


def changed(bundle: Bundle, **fields: Any) -> Bundle:
    return Bundle.model_validate(bundle.model_dump(mode="json") | fields)


def test_the_command_knows_every_format() -> None:
    assert tuple(FORMATS) == FORMAT_NAMES


# ----------------------------------------------------------------------------------------- bundles


def test_a_bundle_judges_as_its_run_does_and_is_never_overwritten(run: LoadedRun) -> None:
    path = export(bundle_of_run(run.path), "bundle")
    assert path == Path("photos.bundle.json")
    test = pl.read_parquet("photos.parquet").filter(pl.col("split") == "test")
    with Judge(path, store="store") as judge:
        verdicts = judge(test)
        assert judge.engine.ledger.session.calls == 0
    assert verdicts["verdict"].equals(run.predictions["final_verdict"], check_names=False)
    with pytest.raises(DataError, match="already there"):
        export(bundle_of_run(run.path), "bundle")


def test_the_command_line_judges_with_a_bundle(run: LoadedRun) -> None:
    code, printed = run_blpo(["export", str(run.path), "--out", "own.json"])
    assert code == 0
    assert f"macro F1 {run.result.test.final.macro_f1:.3f}" in printed
    assert "blpo judge DATASET --bundle own.json" in printed
    code, printed = run_blpo(["evaluate", "photos.parquet", "--bundle", "own.json", "--json"])
    assert code == 0
    assert json.loads(printed)["accuracy"] == run.result.test.final.accuracy
    code, printed = run_blpo(
        ["judge", "photos.parquet", "--bundle", "own.json", "--out", "v.parquet"]
    )
    assert (code, len(pl.read_parquet("v.parquet"))) == (0, 40), printed


def test_following_commands_quote_paths_and_say_what_a_server_lacks(run: LoadedRun) -> None:
    told = {}
    for name, out in {
        "bundle": "my own.json",
        "promptfoo": "my own.yaml",
        "inspect": "my own.py",
        "openai": "body.json",
    }.items():
        arguments = ["export", str(run.path), "--format", name, "--out", out, "--without-reading"]
        code, told[name] = run_blpo(arguments)
        assert code == 0, told[name]
    assert "next: blpo judge DATASET --bundle 'my own.json' --out" in told["bundle"]
    assert (
        "next: with labels.csv (columns image, label) beside it: npx promptfoo eval -c "
        "'my own.yaml'" in told["promptfoo"]
    )
    assert "(columns image, label): inspect eval 'my own.py' --model" in told["inspect"]
    for name in ("promptfoo", "openai"):
        assert "model micro under that name: set model and address to your server's" in told[name]
    assert "set model" not in told["bundle"] + told["inspect"]


def test_next_prints_the_line_that_makes_a_page_of_a_folders_images(run: LoadedRun) -> None:
    folder = Path("new photos")
    folder.mkdir()
    for number, photo in enumerate(sorted(Path("photos").iterdir())[:6]):
        shutil.copy(photo, folder / f"new-{number}{photo.suffix}")
    command = ["next", str(folder), "--run", str(run.path), "--out", "to label.csv", "-n", "3"]
    code, printed = run_blpo(command)
    assert code == 0, printed
    line = next(one for one in printed.splitlines() if one.startswith("next: "))
    assert "--task product-photos.yaml --image-root 'new photos' --out 'to label.html'" in line
    code, page = run_blpo(shlex.split(line)[2:])
    assert (code, "to label.html: 3 to label" in page) == (0, True), page
    again = json.loads(run_blpo([*command, "--overwrite", "--json"])[1])
    assert again["next_command"].endswith("--out 'to label-2.html'")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--bundle", "b.json", "--run", "runs/photos"], "name one of these"),
        (["--bundle", "none.json"], "none.json: cannot read"),
        (["--bundle", "b.json", "--prompt", "p.txt"], "the prompt of a bundle is in it"),
        (["--bundle", "newer.json"], "version 2, and this blpo reads 1"),
        (["--bundle", "wrong.json"], "`judge_prompt` is missing"),
    ],
)
def test_what_is_no_bundle_is_refused(
    bundle: Bundle, tmp_path: Path, arguments: list[str], message: str
) -> None:
    fields = bundle.model_dump(mode="json")
    (tmp_path / "b.json").write_text(bundle.model_dump_json())
    (tmp_path / "newer.json").write_text(json.dumps(fields | {"version": 2}))
    del fields["judge_prompt"]
    (tmp_path / "wrong.json").write_text(json.dumps(fields))
    named = {n: tmp_path / n for n in ("b.json", "none.json", "newer.json", "wrong.json")}
    given = [str(named.get(word, word)) for word in arguments]
    code, printed = run_blpo(["judge", "photos.parquet", "--out", "o.parquet", *given])
    assert code == 1
    assert message in printed


def test_a_bundle_keeps_cut_points_of_its_own_labels_only(bundle: Bundle, tmp_path: Path) -> None:
    reading = nearest(bundle.task.labels)
    kept = changed(bundle, rules={"reading": reading.model_dump()})
    (tmp_path / "b.json").write_text(kept.model_dump_json())
    assert read_bundle(tmp_path / "b.json").rules == Rules(reading=reading)
    assert judge_source(None, None, None, [], None, tmp_path / "b.json").reading == reading
    with pytest.raises(ValueError, match="other labels"):
        changed(bundle, rules={"reading": nearest(("low", "high")).model_dump()})


class OtherEngine:
    def __init__(self, revision: str) -> None:
        self.identity = EngineIdentity("world", "micro", revision, "none")


def test_another_revision_is_another_judge(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text(bundle.model_dump_json())
    source = judge_source(None, None, None, [], None, tmp_path / "b.json")
    engine: Any = OtherEngine("0" * 40)
    assert other_judge(source, engine) == f"revision world, here {'0' * 40}"
    engine = OtherEngine("unpinned")
    assert other_judge(source, engine) == ""


# ----------------------------------------------------------------------------------------- servers


def test_the_bodies_are_chat_completions_of_the_final_prompt(bundle: Bundle) -> None:
    from openai.types.chat import CompletionCreateParams

    prompt = f"{bundle.judge_prompt}\n{bundle.task.answer_instruction}"
    for name in ("openai", "vllm"):
        body = json.loads(str(FORMATS[name].write(bundle)))
        TypeAdapter(CompletionCreateParams).validate_python(body)
        image, text = body["messages"][0]["content"]
        assert image["image_url"]["url"] == "{{image}}"
        assert text["text"] == prompt
    assert body["structured_outputs"] == {"choice": ["reject", "accept"]}
    assert FORMATS["text"].write(bundle) == f"{prompt}\n"


def test_a_text_of_the_example_comes_between_image_and_prompt(bundle: Bundle) -> None:
    own = changed(bundle, task=load_task("seetrue").model_dump(mode="json"))
    assert str(FORMATS["text"].write(own)).startswith("Text: {{text}}\n")


def test_pairs_have_two_images_and_their_names(bundle: Bundle) -> None:
    joint = load_task("imagereward-pairs").model_dump(mode="json")
    asked = question(changed(bundle, task=joint))
    assert asked.images == ("image", "image_b")
    assert "is image A." in asked.prompt


def test_images_with_roles_are_placeholders_under_their_names(bundle: Bundle) -> None:
    edits = bundle.task.model_dump(mode="json") | {"images": ["source", "result"]}
    asked = question(changed(bundle, task=edits))
    assert asked.images == ("source", "result")
    assert asked.prompt.startswith("The first image above is the source image. The second ")
    assert "{{source}}" in str(FORMATS["openai"].write(changed(bundle, task=edits)))


@pytest.mark.parametrize("name", ["text", "openai", "vllm", "promptfoo", "inspect"])
def test_a_judge_of_several_questions_is_no_prompt(bundle: Bundle, name: str) -> None:
    by_cuts = changed(bundle, rules={"reading": nearest(bundle.task.labels).model_dump()})
    with pytest.raises(ConfigError, match=r"the prompt alone is not this judge.*bundle"):
        FORMATS[name].write(by_cuts)


# ------------------------------------------------------------------------------------------- tools


def rendered(template: str, values: dict[str, str]) -> list[dict[str, Any]]:
    """Messages as promptfoo makes them of a prompt in JSON: the strings in it are templates."""

    def hook(part: dict[str, Any]) -> dict[str, Any]:
        texts = {name: value for name, value in part.items() if isinstance(value, str)}
        return part | {n: Environment().from_string(v).render(values) for n, v in texts.items()}

    return json.loads(template, object_hook=hook)


def test_promptfoo_fills_in_what_changes_and_leaves_braces_alone(bundle: Bundle) -> None:
    task = load_task("seetrue").model_dump(mode="json")
    prompt = 'Is {{text}} {% if %} in {#it#} or {"a": {}}?'
    config = yaml.safe_load(promptfoo_config(changed(bundle, task=task, judge_prompt=prompt)))
    [message] = rendered(config["prompts"][0]["raw"], {"image": "u", "text": '"a"\n{{b}}'})
    image, text = message["content"]
    assert image["image_url"]["url"] == "u"
    assert text["text"].startswith(f'Text: "a"\n{{{{b}}}}\n{prompt}\n')
    assert config["tests"] == "file://labels.csv"
    assert config["providers"][0]["id"] == f"openai:chat:{bundle.judge.judge.model}"


@pytest.mark.parametrize(
    ("labels", "reply", "label"),
    [
        (["natural", "unnatural"], "Unnatural.", "unnatural"),
        (["safe", "safe-ish"], "**safe-ish**, I think", "safe-ish"),
        (["1", "10"], "10", "10"),
        (["a+b", "c"], "A+B", "a+b"),
    ],
)
def test_the_label_is_read_from_a_reply(
    bundle: Bundle, labels: list[str], reply: str, label: str
) -> None:
    task = bundle.task.model_dump(mode="json") | {"labels": labels}
    found = re.search(label_pattern(changed(bundle, task=task)), reply, re.IGNORECASE)
    assert found is not None
    assert found[1].lower() == label


async def count_words(_: object, text: str) -> int:
    return len(text.split())


def test_inspect_measures_an_exported_judge(
    run: LoadedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    from inspect_ai import eval as evaluate_task  # pyright: ignore[reportUnknownVariableType]
    from inspect_ai.model import ModelAPI, ModelOutput, get_model

    # Its own count wants a vocabulary from the network.
    monkeypatch.setattr(ModelAPI, "count_text_tokens", count_words)

    path = export(bundle_of_run(run.path), "inspect", Path("judge_inspect.py"))
    spec = importlib.util.spec_from_file_location("judge_inspect", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    pl.read_csv("photos.csv").head(2).write_csv("labels.csv")
    right = pl.read_csv("labels.csv")["label"][0]
    replies = [ModelOutput.from_content("mockllm", text) for text in (f"{right}.", "no idea")]
    [log] = evaluate_task(
        module.judge_product_photos("labels.csv"),
        model=get_model("mockllm/model", custom_outputs=replies),
        display="none",
        max_samples=1,
        log_dir="inspect-logs",
    )
    assert log.status == "success", log.error
    assert log.results is not None
    assert log.results.scores[0].metrics["accuracy"].value == 0.5
    assert log.samples is not None
    assert run.judge_prompt in log.samples[0].messages[0].text


def test_mlflow_loads_an_exported_judge(run: LoadedRun) -> None:
    import mlflow

    path = export(bundle_of_run(run.path), "mlflow", Path("photos-model"))
    loaded = mlflow.pyfunc.load_model(str(path))
    told: Any = loaded.metadata.metadata
    assert told["expected_accuracy"] == run.result.test.final.accuracy
    paths = pl.read_csv("photos.csv")["image"].to_list()[:3]
    images = pl.DataFrame({"image": paths}).to_pandas()
    verdicts = cast("Any", loaded.predict(images))  # pyright: ignore[reportUnknownMemberType]
    with run.judge() as judge:
        assert verdicts["verdict"].to_list() == judge(paths)["verdict"].to_list()


def test_an_unfinished_run_cannot_be_exported(tmp_path: Path) -> None:
    with pytest.raises(BlpoError, match="not a run directory"):
        bundle_of_run(tmp_path)


# -------------------------------------------------------------------------------- fitted readings


@pytest.fixture(scope="module")
def read_runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Finished runs by the family of their reading."""
    folder = tmp_path_factory.mktemp("readings")
    dataset, engine = ideal_world(TASK, num_train=60, num_test=60)
    write_dataset(folder / "data.parquet", [*dataset.train, *dataset.test])
    return {
        family: ideal_run(folder, engine, family, reading=ReadingConfig(family=family))
        for family in ("platt", "temperature")
    }


def test_a_reading_that_may_change_labels_is_not_lost_unasked(
    read_runs: dict[str, Path], blpo: Blpo
) -> None:
    run = read_past_run(read_runs["platt"])
    effect = run.result.test.reading
    assert effect is not None
    assert run.raw is not None
    bundle = bundle_of_run(run.path)
    leaning = FittedReading(family="platt", labels=bundle.task.labels, parameters=(1.0, 9.0))
    rules = bundle.rules.model_copy(update={"reading": leaning})
    changed = sum(leaning(verdict).label != verdict.label for verdict in run.raw.final)
    worth = f"macro F1 on the test is {effect.final_raw.macro_f1:.3f} without it"
    assert changed
    with pytest.raises(ConfigError, match="pass --without-reading") as refused:
        for_format(run, bundle.model_copy(update={"rules": rules}), "openai")
    assert f"That changed {changed} of 60 labels of the test images and " in str(refused.value)
    assert worth in str(refused.value)
    for name in FORMAT_NAMES:
        done = blpo("export", str(run.path), "--format", name, "--without-reading", "--json")
        assert done.code == 0, done.err
        assert json.loads(done.out)["expected"]["accuracy"] == effect.final_raw.accuracy
    kept = read_bundle(Path("platt.bundle.json"))
    assert kept.rules == Rules()
    assert blpo("export", str(run.path), "--overwrite").code == 0
    assert read_bundle(Path("platt.bundle.json")).rules.reading is not None


def test_a_temperature_changes_no_label_and_stands_in_no_ones_way(
    read_runs: dict[str, Path], blpo: Blpo
) -> None:
    done = blpo("export", str(read_runs["temperature"]), "--format", "text")
    assert done.code == 0, done.err


@pytest.mark.parametrize("name", ["text", "openai"])
def test_a_temperature_and_a_decision_that_a_prompt_is_without_are_told(
    read_runs: dict[str, Path], blpo: Blpo, name: str
) -> None:
    run = read_past_run(read_runs["temperature"])
    bundle = bundle_of_run(run.path)
    cooler = FittedReading(family="temperature", labels=bundle.task.labels, parameters=(0.5,))
    outcome = Outcome(n=1, num_acts=1, num_units=1, coverage=1.0, value=0.0, ci95={})
    decision = Decision(
        result="",
        target=Target(measure="error", bound=0.2),
        confidence=0.9,
        threshold=0.8,
        train=outcome,
        test=outcome,
    )
    rules = Rules(reading=cooler, decision=decision)
    found = for_format(run, bundle.model_copy(update={"rules": rules}), name)
    told = "the reading temperature, which corrects the judge's probabilities and changes no label"
    assert told in expectation(found)
    assert "threshold is on the judge's probabilities as the reading temperature" in found.left_out
    alone = for_format(run, bundle.model_copy(update={"rules": Rules(decision=decision)}), name)
    assert alone.left_out.endswith("whose threshold is on the judge's probabilities.")
    if bundle.rules.reading is not None:
        done = blpo("export", str(run.path), "--format", name, "--json", "--overwrite")
        assert told in " ".join(json.loads(done.out)["notes"])


def test_a_reading_that_changed_no_label_is_left_out_and_told(
    read_runs: dict[str, Path],
) -> None:
    run = read_past_run(read_runs["platt"])
    bundle = bundle_of_run(run.path)
    idle = FittedReading(family="platt", labels=bundle.task.labels, parameters=(0.5, 1e-6))
    rules = bundle.rules.model_copy(update={"reading": idle})
    found = for_format(run, bundle.model_copy(update={"rules": rules}), "promptfoo")
    told = "It changed no label of 60 training and 60 test images"
    assert found.rules.reading is None
    assert told in yaml.safe_load(promptfoo_config(found))["description"]
    assert told in expectation(found)
    assert "left_out" not in bundle_text(found)
    whole = for_format(run, bundle, "bundle")
    assert whole == bundle
