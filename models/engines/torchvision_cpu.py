"""Let torchvision's CUDA build be imported beside a CPU build of torch.

The package registry has torchvision only as a CUDA build. Its C++ library does not load beside a
CPU torch, and `import torchvision` then fails on operators without a schema, although the
pure-Python transforms (all that the models here need) would work. `install` puts a hook in
front of the first import of torchvision that defines those schemas. It does nothing where torch
has CUDA or where the C++ library loads.

Child processes need the hook too (vLLM inspects model classes in one): `write_pth` writes a `.pth`
file that installs it at every start of this environment's interpreter.
"""

import importlib.machinery
import sys
import sysconfig
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

PTH_NAME = "blpo_torchvision_cpu.pth"
PTH_LINE = (
    r'import sys; exec("try:\n from blpo.models.engines.torchvision_cpu import install\n'
    r' install()\nexcept ImportError:\n pass")'
)

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_OPERATORS = ("nms", "qnms")
_libraries: list[Any] = []  # torch drops an operator with the Library that defined it


class _TorchvisionFinder:
    """Finds torchvision as the path finder does; its loader defines the schemas first."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "torchvision":
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            _define_schemas_before(
                spec.loader, [Path(p) for p in spec.submodule_search_locations or ()]
            )
        return spec


def install() -> None:
    """Put the hook into this process; a second call, or a loaded torchvision, changes nothing."""
    if "torchvision" not in sys.modules and _TorchvisionFinder not in sys.meta_path:
        sys.meta_path.insert(0, _TorchvisionFinder)


def write_pth() -> Path:
    """Install the hook for every later start of this environment's interpreter."""
    path = Path(sysconfig.get_path("purelib")) / PTH_NAME
    path.write_text(PTH_LINE + "\n")
    return path


def _define_schemas_before(loader: Any, folders: list[Path]) -> None:
    exec_module = loader.exec_module

    def define_then_exec(module: ModuleType) -> None:
        if _schemas_are_missing(folders):
            _define_schemas()
        exec_module(module)

    loader.exec_module = define_then_exec


def _schemas_are_missing(folders: list[Path]) -> bool:
    import torch  # noqa: PLC0415

    if torch.version.cuda is not None or getattr(torch.version, "hip", None) is not None:
        return False
    libraries = [library for folder in folders for library in folder.glob("_C*.so")]
    return not any(_loads(library) for library in libraries)


def _loads(library: Path) -> bool:
    import torch  # noqa: PLC0415

    ops: Any = torch.ops
    try:
        ops.load_library(str(library))
    except OSError:
        return False
    return True


def _define_schemas() -> None:
    from torch.library import Library  # noqa: PLC0415

    library: Any = Library("torchvision", "DEF")
    for operator in _OPERATORS:
        library.define(operator + _SCHEMA)
    _libraries.append(library)
