#!/usr/bin/env bash
# Set up what the tests need and run them all, in two processes. Arguments go to pytest (`-n 0`: in
# one, where a debugger can be used).
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
bash "$here/setup.sh" dev
cd "$here/.."
venv="${BLPO_VENV:-$PWD/.venv}"
# Hundreds of processes import the same packages: what the first has compiled the others read.
unset PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX="$venv/.pycache"
"$venv/bin/python" -c "import blpo.models.engines.vllm.engine, vllm.v1.engine.core" &
bash "$here/test_packages.sh"
wait $!
exec "$venv/bin/python" -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@"
