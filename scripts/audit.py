"""Looks up known vulnerabilities of the locked versions with pip-audit.

    .venv/bin/python scripts/audit.py
    .venv/bin/python scripts/audit.py --required     # fails where no advisories are to be had

The advisories are PyPI's; a mirror of the package index often serves packages alone. Exit code 1
for a vulnerability that IGNORED does not name, for an entry of IGNORED that matches none, and for a
package that was not looked up while others were. Where none was, the last line says so: nothing is
known then.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LOCK = Path(__file__).with_name("cpu_constraints.txt")

IGNORED: Mapping[str, str] = {}
"""Advisories that stay, by id: why they do no harm here, or what there is to wait for."""

UNREACHED = ("ConnectionError", "ConnectTimeout", "ReadTimeout")
"""How pip-audit's errors are called where it reaches no server."""


def look_up(lock: str) -> list[dict[str, Any]]:
    """What pip-audit says of each locked package that this machine would install."""
    with tempfile.TemporaryDirectory() as folder:
        listed, answer = Path(folder, "requirements.txt"), Path(folder, "audit.json")
        # PyPI has PyTorch's CPU build under the plain version.
        listed.write_text(lock.replace("+cpu", ""))
        options = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
        files = ["--requirement", str(listed), "--output", str(answer)]
        command = [sys.executable, "-m", "pip_audit", *options, *files]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        if answer.exists():
            return json.loads(answer.read_text())["dependencies"]
    print(done.stderr, file=sys.stderr)
    if not any(error in done.stderr for error in UNREACHED):
        sys.exit("pip-audit failed")
    return []


def faults_of(packages: Sequence[Mapping[str, Any]], ignored: Mapping[str, str]) -> list[str]:
    """What is wrong with packages of which at least one was looked up."""
    found = [(package, one) for package in packages for one in package.get("vulns", [])]
    faults = [
        f"{package['name']} {package['version']}: {one['id']}, mended in "
        f"{', '.join(one['fix_versions']) or 'no version'}"
        for package, one in found
        if one["id"] not in ignored
    ]
    stale = ignored.keys() - {one["id"] for _, one in found}
    faults += [f"{name}: ignored, but no vulnerability of a locked version" for name in stale]
    return faults + [f"{one['name']}: {one['skip_reason']}" for one in packages if is_skipped(one)]


def is_skipped(package: Mapping[str, Any]) -> bool:
    return "skip_reason" in package


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--required", action="store_true", help="fail where nothing can be asked")
    args = parser.parse_args()
    packages = look_up(LOCK.read_text())
    if all(map(is_skipped, packages)):
        reason = f" ({packages[0]['skip_reason']})" if packages else ""
        print(f"NOT AUDITED: no advisory was to be had for any locked version{reason}")
        sys.exit(args.required)
    faults = faults_of(packages, IGNORED)
    print("\n".join(faults) or f"{len(packages)} locked versions: no known vulnerability")
    print("\n".join(f"ignored: {name}: {reason}" for name, reason in IGNORED.items()), end="")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
