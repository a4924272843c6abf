#!/usr/bin/env bash
# Set up what the tests need and run them all, in two processes. Arguments go to pytest (`-n 0`: in
# one, where a debugger can be used).
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
bash "$here/setup.sh" dev
bash "$here/slurm_packages.sh"
cd "$here/.."
venv="${BLPO_VENV:-$PWD/.venv}"
# Hundreds of processes import the same packages: what one has compiled the next one reads.
unset PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX="$venv/.pycache"
exec "$venv/bin/python" -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@"
