"""Whether each engine asks and reads each family of models right, on tiny random checkpoints.

    python scripts/check_families.py [--family NAME] [--engine NAME] [--check NAME] [--out FILE]

Makes a checkpoint of each family with its own vocabulary (extra `families`; Gemma's comes through
npm) and a chat template of its structure, asks vLLM and transformers the same questions, and
compares with what transformers makes of them without our code. Prints a table of family x engine x
check as Markdown. Each engine runs in a process of its own, so that a crash is a cell. Exit code 1
if a cell is WRONG: neither ok nor a known deviation.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from families.checks import Cell
from families.questions import CHECKS
from families.registry import FAMILIES, Family
from families.steps import (
    ENGINES,
    StepError,
    cells_file,
    checkpoint,
    record_file,
    run_step,
)
from families.table import is_wrong, markdown

_TIMEOUT_S = 900.0


def main() -> None:
    args = _arguments()
    families = [f for f in FAMILIES if not args.family or f.name in args.family]
    engines = [e for e in ENGINES if not args.engine or e in args.engine]
    checks = [c for c in CHECKS if not args.check or c in args.check]
    rows: dict[tuple[str, str], dict[str, Cell]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        place = args.keep or Path(temporary)
        for family in families:
            folder = place / family.name.replace("/", "-")
            folder.mkdir(parents=True, exist_ok=True)
            cells = check_family(family, engines, folder, args.timeout)
            for engine, found in cells.items():
                rows[family.name, engine] = {check: found[check] for check in checks}
            _write(markdown(rows, checks), args.out)
    print(markdown(rows, checks), end="")
    sys.exit(is_wrong(rows))


def check_family(
    family: Family, engines: Sequence[str], folder: Path, timeout_s: float = _TIMEOUT_S
) -> dict[str, dict[str, Cell]]:
    """Cells by engine and check. Whatever fails is a cell.

    vLLM is compared with transformers, which is therefore always asked.
    """
    asked = dict.fromkeys(("transformers", *engines))
    for result in (*(record_file(folder, engine) for engine in asked), cells_file(folder)):
        result.unlink(missing_ok=True)
    is_made = (checkpoint(folder) / "processor_config.json").exists()
    failures: dict[str, str] = {}
    for step in (*(() if is_made else ("make",)), *asked, "check"):
        print(f"{family.name}: {step} ...", file=sys.stderr, flush=True)
        try:
            run_step(step, family.name, folder, timeout_s)
        except StepError as error:
            failures[step] = str(error)
    return {engine: _cells(engine, folder, failures) for engine in engines}


def _cells(engine: str, folder: Path, failures: dict[str, str]) -> dict[str, Cell]:
    for step in ("make", "check"):
        if step in failures:
            return dict.fromkeys(CHECKS, Cell("WRONG", failures[step]))
    found = json.loads(cells_file(folder).read_text()).get(engine)
    if found is None:
        return dict.fromkeys(CHECKS, Cell("WRONG", failures.get(engine, "no record")))
    cells = {check: Cell(**cell) for check, cell in found.items()}
    if engine in failures:
        cells = {
            check: Cell("WRONG", f"{failures[engine]}; {cell.note}")
            if cell.status == "WRONG"
            else cell
            for check, cell in cells.items()
        }
    return cells


def _write(text: str, out: Path | None) -> None:
    if out is not None:
        out.write_text(text)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    names = [family.name for family in FAMILIES]
    parser.add_argument("--family", action="append", choices=names, help="may be repeated")
    parser.add_argument("--engine", action="append", choices=ENGINES, help="may be repeated")
    parser.add_argument("--check", action="append", choices=CHECKS, help="may be repeated")
    parser.add_argument("--out", type=Path, help="file for the table, written after each family")
    parser.add_argument(
        "--keep", type=Path, help="folder for checkpoints and records, used again if they are there"
    )
    parser.add_argument(
        "--timeout", type=float, default=_TIMEOUT_S, help="seconds for one step of one family"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
