"""A real, throw-away Slurm on this machine: munged, slurmctld and two slurmd as plain processes.

Two nodes of 64 CPUs and 8 GPUs that exist on paper only. It needs the Debian packages slurmctld,
slurmd, slurm-client and munge, but neither root nor systemd. It shares nothing with another one on
this machine, and leaves nothing behind even if the process that started it is killed.

    python slurm_cluster.py ROOT    the guardian: cleans up when its stdin ends
"""

import os
import pwd
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

from waiting import LIMIT_S, wait_for

NODES = 2
GPUS = 8
_PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")
_CGROUPS = ("systemd", "freezer", "memory", "cpuset", "cpuacct", "devices")
_USER = pwd.getpwuid(os.getuid()).pw_name
_DAEMON_PATH = "/usr/sbin:/sbin"
_ENDED = re.compile(r"COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL|OUT_OF_MEMORY")


class SlurmCluster:
    """A cluster that is up. environment: what its commands need."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = _environment(root)

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command,
            env=self.environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=LIMIT_S,
        )
        return done.stdout

    def states(self, job: str) -> dict[str, str]:
        """State of every task of a job, ended ones too: {"12_0": "COMPLETED"}."""
        lines = self.run("squeue", "-h", "-r", "-t", "all", "-j", job, "-o", "%i %T").splitlines()
        return dict(line.split() for line in lines)

    def wait(self, job: str) -> dict[str, str]:
        """The states of a job's tasks when all have ended."""
        return wait_for(lambda: self._ended(job), f"end of job {job}")

    def _ended(self, job: str) -> dict[str, str] | None:
        states = self.states(job)
        return states if states and all(map(_ENDED.fullmatch, states.values())) else None


def is_installed() -> bool:
    path = f"{os.environ['PATH']}:{_DAEMON_PATH}"
    return all(shutil.which(program, path=path) for program in _PROGRAMS)


@contextmanager
def running_cluster() -> Generator[SlurmCluster]:
    # Unix sockets have names of at most 107 characters: not below pytest's long folders.
    root = Path(mkdtemp(prefix="slurm.", dir="/tmp"))
    root.chmod(0o755)
    cluster = SlurmCluster(root)
    daemons: list[subprocess.Popen[bytes]] = []
    # Its stdin ends with this block or with this process, however that ends.
    guardian = [sys.executable, __file__, str(root)]
    with subprocess.Popen(guardian, stdin=subprocess.PIPE, start_new_session=True):
        try:
            _configure(root)
            _start(cluster, daemons)
            yield cluster
        finally:
            _stop(cluster, daemons)


def _environment(root: Path) -> dict[str, str]:
    """Ours, without that of a Slurm job in which the tests may run."""
    inherited = re.compile(r"(SLURM|SLURMD|SBATCH|SALLOC|SRUN|SINFO|SQUEUE|SCANCEL)_")
    kept = {name: value for name, value in os.environ.items() if not inherited.match(name)}
    path = f"{kept['PATH']}:{_DAEMON_PATH}"
    return kept | {"SLURM_CONF": str(root / "etc" / "slurm.conf"), "PATH": path}


def _start(cluster: SlurmCluster, daemons: list[subprocess.Popen[bytes]]) -> None:
    root = cluster.root

    def start(name: str, *command: str) -> None:
        with (root / "log" / f"{name}.out").open("wb") as log:
            daemons.append(
                subprocess.Popen(
                    command,
                    env=cluster.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    umask=0o022,
                )
            )

    munge_files = {
        "key-file": "munge.key",
        "socket": "munge.sock",
        "pid-file": "munged.pid",
        "log-file": "munged.log",
        "seed-file": "munged.seed",
    }
    options = [f"--{option}={root / 'run' / name}" for option, name in munge_files.items()]
    start("munged", "munged", "--foreground", *options)
    wait_for((root / "run" / "munge.sock").exists, "munged")
    start("slurmctld", "slurmctld", "-D", "-c")
    for node in range(NODES):
        start(f"slurmd{node}", "slurmd", "-D", "-N", f"n{node}")

    def are_idle() -> bool:
        done = subprocess.run(
            ["sinfo", "-h", "-N", "-o", "%t"],
            env=cluster.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )
        return done.stdout.split() == ["idle"] * NODES

    wait_for(are_idle, "idle nodes")


def _stop(cluster: SlurmCluster, daemons: list[subprocess.Popen[bytes]]) -> None:
    # Jobs first: their processes outlive slurmd.
    with suppress(subprocess.SubprocessError, OSError, TimeoutError):
        cluster.run("scancel", "--user", _USER)
        wait_for(lambda: not cluster.run("squeue", "-h").strip(), "the end of all jobs", 20)
    for daemon in reversed(daemons):
        daemon.send_signal(signal.SIGTERM)
    for daemon in daemons:
        try:
            daemon.wait(10)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def _clean_up(root: Path) -> None:
    """End what was started with this cluster's configuration, daemons, jobs and all else."""
    end = time.monotonic() + 20
    while time.monotonic() < end and (pids := _processes(root)):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.1)
    shutil.rmtree(root, ignore_errors=True)


def _processes(root: Path) -> list[int]:
    mark = f"SLURM_CONF={root}/".encode()
    found: list[int] = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark in file.read_bytes():
                found.append(int(file.parent.name))
    return found


def _configure(root: Path) -> None:
    for name in ("etc", "run", "log", "state", "dev", *(f"spool/n{node}" for node in range(NODES))):
        (root / name).mkdir(parents=True, mode=0o755)
    key = root / "run" / "munge.key"
    key.touch(0o600)
    key.write_bytes(os.urandom(128))
    devices = _gpu_devices(root / "dev")
    _write(root / "etc" / "gres.conf", f"NodeName=n[0-{NODES - 1}] Name=gpu File={devices}")
    _write(root / "etc" / "cgroup.conf", _cgroup_conf(root))
    _write(root / "etc" / "slurm.conf", _slurm_conf(root, _free_ports(NODES + 1)))


def _write(path: Path, text: str) -> None:
    path.write_text(text + "\n")


def _gpu_devices(folder: Path) -> str:
    """Files that pass for GPUs. Only of device files does Slurm hand out numbers."""
    null = os.stat(os.devnull)
    try:
        for gpu in range(GPUS):
            os.mknod(folder / f"gpu{gpu}", 0o20666, null.st_rdev)
    except PermissionError:
        return f"/dev/tty[0-{GPUS - 1}]"
    return f"{folder}/gpu[0-{GPUS - 1}]"


def _cgroup_conf(root: Path) -> str:
    """slurmd starts a cgroup plugin that it has no use for, and ends where it finds none."""
    version = subprocess.run(
        ["slurmctld", "-V"],
        env=_environment(root),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    major = int(re.findall(r"\d+", version)[0])
    if major >= 24:
        return "CgroupPlugin=disabled"
    for controller in _CGROUPS:
        (root / "cgroup" / controller).mkdir(parents=True)
    return f"CgroupPlugin=cgroup/v1\nCgroupMountpoint={root}/cgroup"


def _free_ports(number: int) -> list[int]:
    """Below the range from which the system gives ports to anybody who asks for just any."""
    found: list[int] = []
    for port in random.sample(range(20_000, 30_000), 1000):
        with suppress(OSError), socket.socket() as one:
            one.bind(("", port))
            found.append(port)
        if len(found) == number:
            return found
    raise OSError("no free ports")


def _slurm_conf(root: Path, ports: list[int]) -> str:
    host = socket.gethostname().split(".")[0]
    settings: Mapping[str, object] = {
        "ClusterName": "test",
        "SlurmctldHost": f"{host}(127.0.0.1)",
        "SlurmctldPort": ports[0],
        "SlurmUser": _USER,
        "SlurmdUser": _USER,
        "AuthType": "auth/munge",
        "CredType": "cred/munge",
        # How long a requeued job waits, too: 120 s by default, 5 is the least.
        "AuthInfo": f"socket={root}/run/munge.sock,cred_expire=5",
        "StateSaveLocation": root / "state",
        "SlurmdSpoolDir": root / "spool" / "%n",
        "SlurmctldPidFile": root / "run" / "slurmctld.pid",
        "SlurmdPidFile": root / "run" / "slurmd.%n.pid",
        "SlurmctldLogFile": root / "log" / "slurmctld.log",
        "SlurmdLogFile": root / "log" / "slurmd.%n.log",
        # Believe the CPUs and memory below, not the machine.
        "SlurmdParameters": "config_overrides",
        "MailProg": "/bin/true",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "MpiDefault": "none",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_Core_Memory",
        "SchedulerParameters": "sched_interval=1,sched_min_interval=10000,bf_interval=1,"
        "batch_sched_delay=0",
        "AccountingStorageType": "accounting_storage/none",
        "JobAcctGatherType": "jobacct_gather/none",
        "ReturnToService": 2,
        "MinJobAge": 6000,
        "MessageTimeout": 60,
        # Between SIGTERM and SIGKILL a job must write its last line, however busy the machine is.
        "KillWait": 60,
        "JobRequeue": 1,
        "MaxArraySize": 101,
        "DefMemPerCPU": 1000,
        "GresTypes": "gpu",
    }
    lines = [f"{name}={value}" for name, value in settings.items()]
    lines += [
        f"NodeName=n{node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} Sockets=1 "
        f"CoresPerSocket=64 ThreadsPerCore=1 RealMemory=1024000 Gres=gpu:{GPUS} State=UNKNOWN"
        for node, port in enumerate(ports[1:])
    ]
    lines.append(f"PartitionName=gpu Nodes=n[0-{NODES - 1}] Default=YES MaxTime=INFINITE State=UP")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdin.read()
    _clean_up(Path(sys.argv[1]))
