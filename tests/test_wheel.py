"""The built wheel holds all that a run needs: code, templates, tasks, job scripts, micro model."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("data", "models", "pipeline", "slurm")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, made from the source distribution: no earlier build gets into it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = folder.glob("blpo-*.whl")
    return wheel


@pytest.fixture(scope="module")
def blpo(wheel: Path) -> Path:
    """The console script of a clean environment that holds the wheel and none of the checkout."""
    environment = wheel.with_name("env")
    venv.create(environment, with_pip=False, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python")]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", str(wheel)], check=True)
    # Dependencies come from this environment; its editable blpo does not come along, because
    # .pth files are not followed from a path that a .pth file names.
    site = Path(sysconfig.get_paths(vars={"base": str(environment)})["purelib"])
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return environment / "bin" / "blpo"


def run(blpo: Path, folder: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(blpo), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_runs_outside_the_checkout(blpo: Path, tmp_path: Path) -> None:
    code = "import blpo, blpo.data.tasks as t; blpo.load_task('agin'); print(t.__file__)"
    python = blpo.with_name("python")
    where = subprocess.run(
        [str(python), "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert str(ROOT) not in where.stdout
    names = [task["name"] for task in json.loads(run(blpo, tmp_path, "tasks", "--json"))]
    assert {"micro-agin", "unsafebench"} <= set(names)
    sweeps = [sweep["name"] for sweep in json.loads(run(blpo, tmp_path, "sweep", "list", "--json"))]
    assert {"micro-table1", "table2"} <= set(sweeps)


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    names = {
        f"blpo/{path.relative_to(ROOT)}"
        for path in files
        if path.suffix != ".md" and path.parent.name != "__pycache__"
    }
    # What `import blpo` itself is.
    names = names - {"blpo/pipeline/package/__init__.py"} | {"blpo/__init__.py"}
    assert "blpo/slurm/job.sh" in names
    judges = ("micro", "micro_meaning")
    assert {f"blpo/models/{judge}/model.safetensors" for judge in judges} <= names
    names |= {f"blpo/docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}
    assert not names - set(zipfile.ZipFile(wheel).namelist())


def test_the_micro_judge_runs_from_the_wheel(blpo: Path, tmp_path: Path) -> None:
    (tmp_path / "world.yaml").write_text("draw: {num_train: 6, num_test: 6}\n")
    (tmp_path / "run.yaml").write_text(
        "task: micro-unsafebench\ndataset: data.parquet\noutput: run\nmethod: none\n"
        "judge: {kind: transformers, model: micro}\n"
    )
    task = ("--task", "micro-unsafebench", "--out", "data.parquet")
    run(blpo, tmp_path, "import", "micro", "world.yaml", *task)
    [finished] = json.loads(run(blpo, tmp_path, "optimize", "run.yaml", "--json"))
    assert finished["result"]["calls"]["judge"]["new"] > 0
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000
