"""Files of a working folder that bear the names of modules, and tell if they are run."""

from pathlib import Path

NAMES = ("json", "torch", "numpy", "socket", "pickle", "random", "runpy", "PIL", "vllm", "blpo")


def write_shadows(folder: Path) -> None:
    """Put the files there. Each says so in a file of its own when it is run."""
    for name in NAMES:
        content = (
            f"open({str(folder / f'{name}.run')!r}, 'w').close()\nraise SystemExit('shadowed')"
        )
        (folder / f"{name}.py").write_text(content + "\n")


def read_shadows(folder: Path) -> list[str]:
    """Names of those that were run."""
    return [name for name in NAMES if (folder / f"{name}.run").exists()]
