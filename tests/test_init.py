"""`blpo init`: two files that work, from options, from answers, from what the images say."""

import io
import json
import shlex
import sys
from pathlib import Path

import pytest
from blpo.data.errors import ConfigError, DataError
from blpo.data.tasks import load_task
from blpo.pipeline.config import load_run_config
from blpo.pipeline.starter.data import Found, look_at
from blpo.pipeline.starter.files import Choices, make_task, suggested_kind, task_name, write_files
from command_line import Blpo
from documented_world import furnish_photos, run_blpo, working_in
from public_sources import picture, write_csv
from public_sources import write_files as write_images

OWN = {"kind": "vllm", "model": "own/judge"}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_from_a_folder_of_labelled_images_to_a_finished_run_by_the_commands_it_prints(
    tmp_path: Path,
) -> None:
    furnish_photos(tmp_path)
    with working_in(tmp_path):
        code, printed = run_blpo(
            ["init", "mine", "--images", "shots", "--description", "Is the photo fit?", "--json"]
        )
        assert code == 0, printed
        written = json.loads(printed)
        assert written["task"] == "mine/photo-fit.yaml"
        assert load_task("mine/photo-fit.yaml").labels == ("accept", "reject")
        for command in written["next"]:
            words = shlex.split(command)[1:]
            if words[0] == "doctor":
                continue  # The judge that it names is not here.
            if words[0] == "optimize":
                words += ["--set", "algorithm.outer_steps=1", "--set", "algorithm.inner_steps=1"]
            code, printed = run_blpo(words)
            assert code == 0, printed
        assert (tmp_path / "mine/runs/photo-fit/report.html").exists()


def test_answers_on_a_terminal_are_asked_for(
    blpo: Blpo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_images(tmp_path, {"pics/a.png": picture(0)})
    said = ["pisc", "pics", "How sharp is it?", "1", "1, 2, 3", "", "micro", "own/judge", "run", ""]
    monkeypatch.setattr(sys, "stdin", Terminal("\n".join(said) + "\n"))
    done = blpo("init", "new")
    assert done.code == 0, done.err
    for reason in ("pisc: no such file", "at least two", "micro has no labels 1, 2, 3", "--name"):
        assert reason in done.err
    task = load_task("new/sharp.yaml")
    assert (task.kind, task.labels, task.judge_prompt) == (
        "ordinal",
        ("1", "2", "3"),
        "How sharp is it?",
    )
    assert "labels: [1, 2, 3]" in Path("new/sharp.yaml").read_text()
    assert load_run_config(Path("new/run.yaml")).judge.model == "own/judge"
    assert "blpo label pics --task new/sharp.yaml" in done.out


def test_a_task_that_cannot_be_ends_what_asks_for_a_judge(
    blpo: Blpo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = [("a", "b", "A"), ("a", "b", "tie"), ("a", "b", "B")]
    write_csv(tmp_path / "t.csv", ("image_a", "image_b", "label"), rows)
    monkeypatch.setattr(sys, "stdin", Terminal("Which?\n" + "\n" * 20))
    done = blpo("init", "new", "--images", "t.csv", "--kind", "binary")
    assert done.code != 0
    assert "`labels` has 3 entries, a binary task has two" in done.err
    assert "Judge" not in done.err


def test_without_a_terminal_what_is_missing_is_named_and_nothing_is_written(
    blpo: Blpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert "--description is missing" in blpo("init").err
    assert "--labels is missing" in blpo("init", "--description", "x").err
    wrong = blpo("init", "--description", "x", "--labels", "one")
    assert (wrong.code, "`labels` needs at least two entries" in wrong.err) == (1, True)
    assert not list(tmp_path.glob("*.yaml"))
    given = ("init", "--description", "x", "--labels", "a,b")
    assert blpo(*given).code == 0
    assert "run.yaml: already there" in blpo(*given).err
    assert blpo(*given, "--overwrite").code == 0


def test_a_server_and_a_hosted_optimizer_go_into_the_run_file(blpo: Blpo) -> None:
    done = blpo(
        *("init", "--description", "x", "--labels", "a,b", "--question", "Is it?"),
        *("--judge", "vlm", "--endpoint", "http://gpu:8000/v1", "--optimizer", "o3"),
    )
    assert done.code == 0, done.err
    config = load_run_config(Path("run.yaml"))
    assert (config.judge.kind, config.judge.endpoint) == ("openai", "http://gpu:8000/v1")
    assert config.judge.api_key_env is None
    assert config.optimizer.engine is not None
    assert config.optimizer.engine.api_key_env == "OPENAI_API_KEY"
    assert config.optimizer.max_tokens == 8192


@pytest.mark.parametrize(
    ("header", "rows", "found", "kind"),
    [
        (("image", "label"), [("a", "3"), ("b", "10"), ("c", "3.0")], Found(("3", "10")), "binary"),
        (("path", "caption"), [("a", "t")], Found((), has_text=True), "categorical"),
        (
            ("image_a", "image_b", "label"),
            [("a", "b", "A"), ("a", "b", "tie")],
            Found(("A", "tie"), is_pairs=True),
            "pairwise",
        ),
        (
            ("image_a", "image_b", "winner"),
            [("a", "b", "A"), ("a", "b", "tie")],
            Found(("A", "tie"), is_pairs=True),
            "pairwise",
        ),
        (("data.image", "data.label"), [("a", "x"), ("b", "y")], Found(("x", "y")), "binary"),
        (("image", "score"), [("a", str(i)) for i in range(5)], Found(tuple("01234")), "ordinal"),
        (("image", "score"), [("a", str(i)) for i in range(50)], Found(), "categorical"),
    ],
)
def test_a_table_says_what_its_task_can_be(
    tmp_path: Path,
    header: tuple[str, ...],
    rows: list[tuple[str, ...]],
    found: Found,
    kind: str,
) -> None:
    write_csv(tmp_path / "t.csv", header, rows)
    assert look_at(tmp_path / "t.csv") == found
    assert suggested_kind(found.labels, found) == kind


def test_subfolders_that_are_not_named_after_the_labels_are_labelled(
    blpo: Blpo, tmp_path: Path
) -> None:
    write_images(tmp_path, {f"pics/{name}/a.png": picture(i) for i, name in enumerate("xy")})
    given = ("init", "--images", "pics", "--description", "x", "--json", "--overwrite", "--labels")
    label, taken, *_ = json.loads(blpo(*given, "fine,unfit").out)["next"]
    assert label == "blpo label pics --task x.yaml"
    assert "LABELS.csv --image-root pics" in taken
    assert blpo(*label.split()[1:]).code == 0
    first, *_ = json.loads(blpo(*given, "X,y").out)["next"]
    assert first.startswith("blpo import table pics ")


def test_several_folders_are_one_set_from_labels_or_to_a_page(blpo: Blpo, tmp_path: Path) -> None:
    shots = {f"{shop}/{name}/{i}.png": picture(i) for i, shop in enumerate("ab") for name in "xy"}
    write_images(tmp_path, shots | {"c/0.png": picture(5)})
    given = ("init", "--description", "x", "--json", "--overwrite", "--images", "a", "--images")
    labelled = json.loads(blpo(*given, "b").out)["next"]
    assert labelled[0] == "blpo import table a b --task x.yaml --out x.parquet"
    assert load_task("x.yaml").labels == ("x", "y")
    label, taken, *_ = json.loads(blpo(*given, "c", "--labels", "x,y").out)["next"]
    assert label == "blpo label a c --task x.yaml"
    assert "LABELS.csv --image-root a --image-root c" in taken
    assert blpo(*label.split()[1:]).code == 0


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no images"):
        look_at(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        look_at(tmp_path / "none")


def test_texts_of_any_kind_come_back_as_they_were(tmp_path: Path) -> None:
    text = 'Is it: "a" #1, {{b}} or \\ yes?\n- no'
    choices = Choices("t", text, "categorical", ("yes", "no", "01"), text, True, OWN, {})
    task_file, _ = write_files(choices, tmp_path)
    assert load_task(task_file) == make_task(choices)
    assert load_task(task_file).labels == ("yes", "no", "01")


def test_pairs_and_names() -> None:
    choices = Choices("t", "Which?", "pairwise", ("A", "tie", "B"), "Which?", False, {}, {})
    task = make_task(choices)
    assert (task.compare, task.answer_instruction) == (
        "joint",
        "Answer with one word: A, tie or B.",
    )
    with pytest.raises(ConfigError, match="labels"):
        make_task(Choices("t", "x", "binary", ("a", "b", "c"), "x", False, {}, {}))
    assert task_name("Is the product photo fit for the shop?") == "product-photo-fit"
    assert task_name("???") == "my-task"


def test_names_of_any_kind_become_names_of_files(blpo: Blpo, tmp_path: Path) -> None:
    assert task_name("Ist das Foto schön, die Größe gut?") == "ist-das-foto"
    assert task_name("It's the photo's size") == "photos-size"
    assert task_name("Run") == "run-task"
    folder = "My Photos (2)"
    given = ("init", folder, "--images", folder, "--description", "x", "--labels", "a,b")
    write_images(tmp_path, {f"{folder}/a.png": picture(0)})
    done = blpo(*given, "--name", folder, "--json")
    assert done.code == 0, done.err
    command = json.loads(done.out)["next"][1]
    assert load_task(f"{folder}/my-photos-2.yaml").name == "my-photos-2"
    assert shlex.split(command)[-1] == f"{folder}/my-photos-2.parquet"
    assert f"# Made by: {command}\n" in (tmp_path / folder / "run.yaml").read_text()
    assert load_run_config(tmp_path / folder / "run.yaml").task == f"{folder}/my-photos-2.yaml"
    for name in ("run", "图", ""):
        assert "pass another --name" in blpo(*given, "--overwrite", "--name", name).err


def test_a_judge_of_the_bench_that_is_not_there_or_has_no_such_labels_is_refused(
    blpo: Blpo, tmp_path: Path
) -> None:
    (tmp_path / "world.yaml").write_text("draw: {num_train: 2, num_test: 2}\n")
    given = ("init", "--description", "x", "--judge")
    missing = blpo(*given, "wrld.yaml", "--labels", "Safe,Unsafe")
    assert (missing.code, "did you mean world.yaml?" in missing.err) == (1, True), missing
    strange = blpo(*given, "world.yaml", "--labels", "fine,unfit")
    assert "has no labels fine, unfit: it gives 1, 2, 3, 4, 5 (micro-agin)" in strange.err
    assert "import with --label fine=LABEL --label unfit=LABEL, where each LABEL is" in strange.err
    assert "=Safe" not in strange.err
    for shipped in ("micro", "micro-meaning"):
        strange = blpo(*given, shipped, "--labels", "fine,unfit")
        assert f"the judge {shipped} has no labels fine, unfit: it gives 1, 2" in strange.err
    assert not (tmp_path / "run.yaml").exists()


def test_the_judges_of_the_bench_come_with_its_optimizer(blpo: Blpo, tmp_path: Path) -> None:
    given = ("init", "--description", "x", "--labels", "Safe,Unsafe", "--overwrite", "--judge")
    (tmp_path / "w.yaml").write_text("draw: {num_train: 2, num_test: 2}\n")
    for judge, kind, optimizer in (
        ("micro", "vllm", {"kind": "lexicon", "model": "micro"}),
        ("w.yaml", "ideal", {"kind": "lexicon", "model": "w.yaml"}),
    ):
        assert blpo(*given, judge).code == 0
        config = load_run_config(tmp_path / "run.yaml")
        assert config.judge.kind == kind
        assert config.optimizer.engine is not None
        assert config.optimizer.engine.model_dump(include={"kind", "model"}) == optimizer
    assert blpo(*given, "own/judge").code == 0
    assert load_run_config(tmp_path / "run.yaml").optimizer.engine is None


def test_a_name_in_other_letters_is_told_as_it_is_written(blpo: Blpo) -> None:
    options = ("--description", "Fit?", "--labels", "no,yes", "--judge", "own/judge")
    done = blpo("init", "shop", "--name", "Shop fit", *options)
    assert done.code == 0, done.err
    assert "the name 'Shop fit' is written shop-fit" in done.err
    assert load_task("shop/shop-fit.yaml").name == "shop-fit"
    assert "is written" not in blpo("init", "as-is", "--name", "shop-fit", *options).err


def test_help_names_every_option_whole(blpo: Blpo, monkeypatch: pytest.MonkeyPatch) -> None:
    for columns in ("60", "80", "120"):
        monkeypatch.setenv("COLUMNS", columns)
        told = blpo("init", "--help").out
        assert "--optimizer-endpoint" in told
        assert "--optimizer-key-env" in told
