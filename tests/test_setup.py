"""scripts/setup.sh with a stand-in for Python that installs nothing and notes what it was asked."""

import os
import re
import shutil
import signal
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
import uv_like_pip
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
INPUTS = (
    "pyproject.toml",
    "scripts/setup.sh",
    "scripts/uv_like_pip.py",
    "scripts/cpu_excludes.txt",
    "scripts/cpu_constraints.txt",
)


# Makes environments that hold itself and a package. `pretend` says what goes wrong.
STAND_IN = """#!/usr/bin/env bash
pretend=$(cat pretend 2>/dev/null)
case "$*" in
    "-m venv "*) mkdir -p "$3/bin" "$3/lib" && cp "$0" "$3/bin/python" && exit ;;
    "-m pip "*" uv>="*) [ "$pretend" != no-uv ] && exit ;;
    *--dry-run*) [ "$pretend" != no-cpu-torch ] && exit ;;
    *" --editable "*)
        echo "${UV_TORCH_BACKEND-} $*" >>calls
        touch "${0%/bin/python}/lib/half-installed"
        [ "$pretend" != killed ] || kill -KILL $PPID
        [ "$pretend" != failing ] && exit ;;
    *uninstall*) echo "$*" >>calls && exit ;;
    *) exit 0 ;;
esac
exit 1
"""


@dataclass(frozen=True)
class Checkout:
    folder: Path

    def setup(self, *extras: str, pretend: str = "", device: str = "cpu") -> tuple[int, str]:
        """Exit code and stderr."""
        (self.folder / "pretend").write_text(pretend)
        plain = {name: value for name, value in os.environ.items() if not name.startswith("UV_")}
        done = subprocess.run(
            ["bash", "scripts/setup.sh", *extras],
            cwd=self.folder,
            env=plain | {"PYTHON": str(self.folder / "python"), "BLPO_DEVICE": device},
            capture_output=True,
            text=True,
            check=False,
        )
        assert not done.stdout
        return done.returncode, done.stderr

    def installed(self) -> list[str]:
        """The extras of every installation so far."""
        calls = self.folder / "calls"
        return re.findall(r"--editable \.\[(.*)\]", calls.read_text() if calls.exists() else "")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    (tmp_path / "scripts").mkdir()
    for name in INPUTS:
        shutil.copy(ROOT / name, tmp_path / name)
    python = tmp_path / "python"
    python.write_text(STAND_IN)
    python.chmod(0o755)
    return Checkout(tmp_path)


def test_an_environment_that_is_up_to_date_is_left_alone(checkout: Checkout) -> None:
    code, said = checkout.setup()
    assert (code, checkout.installed()) == (0, ["cpu"])
    assert said.startswith("Installing blpo[cpu] into .venv")
    assert checkout.setup() == (0, "")
    assert checkout.installed() == ["cpu"]


def test_extras_asked_for_before_stay_when_others_come_and_requirements_change(
    checkout: Checkout,
) -> None:
    checkout.setup("dev")
    checkout.setup("ray")
    assert checkout.setup("dev") == (0, "")
    for name in INPUTS:
        with (checkout.folder / name).open("a") as file:
            file.write("\n# changed\n")
        assert checkout.setup()[0] == 0
    assert checkout.installed() == ["cpu,dev"] + ["cpu,dev,ray"] * (1 + len(INPUTS))


@pytest.mark.parametrize("end", ["killed", "failing"])
def test_an_interrupted_installation_is_made_anew(checkout: Checkout, end: str) -> None:
    code, _ = checkout.setup("dev", pretend=end)
    assert code in {1, -signal.SIGKILL}
    left = checkout.folder / ".venv" / "lib" / "left"
    left.touch()
    code, said = checkout.setup()
    assert code == 0
    assert "interrupted: starting over" in said
    assert not left.exists()
    assert checkout.installed() == ["cpu,dev", "cpu,dev"]
    assert checkout.setup() == (0, "")


def test_an_environment_of_the_user_is_never_deleted(checkout: Checkout) -> None:
    subprocess.run(
        [checkout.folder / "python", "-m", "venv", ".venv"], cwd=checkout.folder, check=True
    )
    theirs = checkout.folder / ".venv" / "lib" / "theirs"
    theirs.touch()
    checkout.setup(pretend="failing")
    code, said = checkout.setup()
    assert code == 1
    assert "BLPO_VENV" in said
    assert theirs.exists()


def test_an_environment_whose_interpreter_is_gone_is_repaired(checkout: Checkout) -> None:
    checkout.setup()
    python = checkout.folder / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("gone")
    assert checkout.setup()[0] == 0
    assert checkout.installed() == ["cpu", "cpu"]


def test_one_environment_does_not_take_both_builds_of_vllm(checkout: Checkout) -> None:
    checkout.setup()
    code, said = checkout.setup(device="gpu")
    assert code == 1
    assert ".venv holds blpo[cpu], and this run asks for blpo[gpu]" in said
    assert checkout.setup() == (0, "")


def test_torch_for_a_cpu_comes_from_where_uv_knows_it_when_no_other_place_has_it(
    checkout: Checkout,
) -> None:
    checkout.setup(pretend="no-cpu-torch")
    assert (checkout.folder / "calls").read_text().startswith("cpu scripts/uv_like_pip.py")


def test_with_a_gpu_nothing_is_left_out(checkout: Checkout) -> None:
    checkout.setup(device="gpu", pretend="no-cpu-torch")
    [call] = (checkout.folder / "calls").read_text().splitlines()
    assert call.startswith(" scripts/uv_like_pip.py")
    assert "--excludes" not in call


def test_without_uv_pip_installs_and_takes_away_what_uv_leaves_out(checkout: Checkout) -> None:
    code, said = checkout.setup(pretend="no-uv")
    assert code == 0
    assert "installing with pip" in said
    install, uninstall = (checkout.folder / "calls").read_text().splitlines()
    assert " -m pip " in install
    assert uninstall.endswith("torchaudio torchcodec")


def test_torch_and_the_locked_versions_are_what_the_project_asks_for() -> None:
    lock = (ROOT / "scripts" / "cpu_constraints.txt").read_text().splitlines()[1:]
    locked = {one.name: one.specifier for one in map(Requirement, lock) if applies(one)}
    [torch] = re.findall(
        r'^cpu_torch="torch(.*)"', (ROOT / "scripts" / "setup.sh").read_text(), re.M
    )
    assert torch == str(locked["torch"])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    # A GPU's vLLM brings versions of its own.
    named = [line for extra in extras if extra != "gpu" for line in extras[extra]]
    for asked in filter(applies, map(Requirement, [*project["dependencies"], *named])):
        [pinned] = locked.get(canonicalize_name(asked.name), SpecifierSet()) or [None]
        assert pinned, f"{asked} is not locked: run scripts/lock.sh"
        assert asked.specifier.contains(pinned.version), f"{asked}: run scripts/lock.sh"


def applies(requirement: Requirement) -> bool:
    """Whether it is for this Python on a common Linux machine."""
    machine = {"platform_machine": "x86_64", "sys_platform": "linux"}
    return requirement.marker is None or requirement.marker.evaluate(machine)


PIP_LISTING = """:env:.find-links='/wheels'
:env:.default-timeout='180'
global.find-links='/elsewhere'
global.index-url='https://mirror.example/simple'
global.constraint='/etc/caps.txt'
global.cert='/etc/ca.pem'
install.extra-index-url='\\nhttps://one.example/simple\\nhttps://two.example/simple'
download.constraint='/not/for/install'
"""


def test_uv_is_told_what_pip_is_set_up_with() -> None:
    assert uv_like_pip.environment(PIP_LISTING, {"HOME": "/root"}) == {
        "HOME": "/root",
        "UV_DEFAULT_INDEX": "https://mirror.example/simple",
        "UV_INDEX": "https://one.example/simple https://two.example/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/wheels",
        "UV_HTTP_TIMEOUT": "180",
        "SSL_CERT_FILE": "/etc/ca.pem",
    }


def test_what_uv_was_told_itself_stays() -> None:
    own = {"UV_INDEX_URL": "https://own.example", "UV_FIND_LINKS": "/own"}
    told = uv_like_pip.environment(PIP_LISTING, own)
    assert "UV_DEFAULT_INDEX" not in told
    assert told.items() >= own.items()


def test_constraints_add_up() -> None:
    assert uv_like_pip.flags(PIP_LISTING, {}) == ["--constraint", "/etc/caps.txt"]
    own = {"UV_CONSTRAINT": "/own.txt /more.txt"}
    assert uv_like_pip.flags(PIP_LISTING, own) == [
        *("--constraint", "/own.txt"),
        *("--constraint", "/more.txt"),
    ]


def test_pip_set_up_with_nothing_leaves_uv_as_it_is() -> None:
    assert uv_like_pip.environment("", {}) == {}
    assert uv_like_pip.flags("", {}) == []


@pytest.mark.parametrize(("value", "flags"), [("true", ["--no-index"]), ("false", [])])
def test_a_machine_without_an_index_stays_one(value: str, flags: list[str]) -> None:
    assert uv_like_pip.flags(f"global.no-index='{value}'\n", {}) == flags
