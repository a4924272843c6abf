"""The built wheel holds all that a run needs: templates, tasks, micro model."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def blpo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The console script of a clean environment that holds the wheel and none of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    options = ["--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run([*command, *options], check=True)
    [wheel] = folder.glob("blpo-*.whl")
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(install, check=True)
    # Dependencies come from this environment; its editable blpo does not come along, because
    # .pth files are not followed from a path that a .pth file names.
    site = Path(sysconfig.get_paths(vars={"base": str(folder / "env")})["purelib"])
    (site / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return folder / "env" / "bin" / "blpo"


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
    code = "import blpo.data.tasks as t; print(t.__file__)"
    python = blpo.with_name("python")
    where = subprocess.run(
        [str(python), "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert str(ROOT) not in where.stdout
    names = [task["name"] for task in json.loads(run(blpo, tmp_path, "tasks", "--json"))]
    assert {"micro-agin", "unsafebench"} <= set(names)
    sweeps = [sweep["name"] for sweep in json.loads(run(blpo, tmp_path, "sweep", "list", "--json"))]
    assert {"micro-table1", "table2"} <= set(sweeps)


def test_the_wheel_holds_the_job_scripts(blpo: Path, tmp_path: Path) -> None:
    code = "import blpo.slurm, os; print(*os.listdir(blpo.slurm.__path__[0]))"
    python = blpo.with_name("python")
    listed = subprocess.run(
        [str(python), "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    scripts = {path.name for path in (ROOT / "slurm").iterdir() if path.is_file()}
    assert {"job.sh", "sweep.sbatch", "judge.sbatch", "collect.sbatch"} <= scripts
    assert scripts <= set(listed.stdout.split())


@pytest.mark.engine
def test_the_wheel_holds_model_templates_and_page(blpo: Path, tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    printed = run(
        blpo, tmp_path, "demo", "--task", "micro-unsafebench", "--method", "none", "--json"
    )
    [finished] = json.loads(printed)
    assert finished["result"]["calls"]["judge"]["new"] > 0
    config.write_text(
        "task: micro-unsafebench\ndataset: blpo-demo/datasets/micro-unsafebench.parquet\n"
        "output: run\njudge: {kind: transformers, model: micro}\n"
        "optimizer: {engine: {kind: lexicon}}\n"
        "algorithm: {outer_steps: 1, inner_steps: 1, minibatch_size: 3}\n"
    )
    run(blpo, tmp_path, "optimize", str(config))
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000
