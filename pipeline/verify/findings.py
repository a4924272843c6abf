"""What a verification has compared, found to differ, and could not check."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

_SHOWN_CHARS = 100
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure that is not what it should be. kept: in the file; recomputed: from the others."""

    file: str
    figure: str
    kept: str
    recomputed: str

    def __str__(self) -> str:
        return f"{self.file}: {self.figure}: kept {self.kept}, recomputed {self.recomputed}"


@dataclass(slots=True)
class Findings:
    """num_figures: that were compared. not_checked: what could not be, and why."""

    num_figures: int = 0
    differences: list[Difference] = field(default_factory=list[Difference])
    not_checked: list[str] = field(default_factory=list[str])

    def compare(
        self,
        file: str,
        figure: str,
        kept: object,
        recomputed: object,
        within: float = _ROUNDING,
    ) -> None:
        """One figure. Floats may differ by rounding: other libraries sum in another order."""
        self.num_figures += 1
        if not _is_same(kept, recomputed, within):
            self.differ(file, figure, _shown(kept), _shown(recomputed))

    def compare_all(
        self,
        file: str,
        prefix: str,
        kept: object,
        recomputed: object,
        within: float = _ROUNDING,
    ) -> None:
        """Every figure in nested JSON values, by dotted name."""
        first, second = dict(_flat(kept, prefix)), dict(_flat(recomputed, prefix))
        for figure in first | second:
            if figure not in first:
                self.not_checked.append(f"{file}: {figure}: not kept by the version that wrote it")
            elif figure not in second:
                self.not_checked.append(f"{file}: {figure}: not known to this version")
            else:
                self.compare(file, figure, first[figure], second[figure], within)

    def differ(self, file: str, figure: str, kept: str, recomputed: str) -> None:
        self.differences.append(Difference(file, figure, kept, recomputed))


def _flat(value: object, name: str) -> list[tuple[str, object]]:
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value).items()
        return [leaf for key, child in items for leaf in _flat(child, f"{name}.{key}")]
    if isinstance(value, list):
        children = enumerate(cast("list[Any]", value))
        return [leaf for i, child in children for leaf in _flat(child, f"{name}[{i}]")]
    return [(name, value)]


def _is_same(kept: object, recomputed: object, within: float) -> bool:
    if isinstance(kept, bool) or isinstance(recomputed, bool):
        return kept is recomputed
    if isinstance(kept, int | float) and isinstance(recomputed, int | float):
        both_nan = math.isnan(kept) and math.isnan(recomputed)
        return both_nan or math.isclose(kept, recomputed, rel_tol=within, abs_tol=within)
    return kept == recomputed


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
