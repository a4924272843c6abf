#!/usr/bin/env bash
# Write scripts/cpu_constraints.txt anew, after a change of requirements or to take newer releases:
# the version of every package that the cpu extra and the extras beside it install. Tests and demo
# run on exactly these. Needs the environment of scripts/setup.sh and a look at the package index.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
locked=scripts/cpu_constraints.txt
new=$(mktemp)
trap 'rm -f "$new"' EXIT
"${BLPO_VENV:-.venv}/bin/python" scripts/uv_like_pip.py pip compile --quiet --universal \
    --python-version 3.11 --no-header --no-annotate --output-file "$new" \
    --excludes scripts/cpu_excludes.txt \
    --extra cpu --extra dev --extra families --extra mutation --extra ray --extra peers \
    pyproject.toml
# PyTorch's CPU packages call theirs +cpu, too; other indexes have it under the plain version only.
# And pip, which pip-audit calls, is what the environment was made with.
sed -i -e '/^torchvision==/s/+cpu//' -e '/^pip==/d' "$new"
{ echo "# Made by scripts/lock.sh from pyproject.toml."; cat "$new"; } >"$locked"
