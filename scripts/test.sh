#!/usr/bin/env bash
# Set up what the tests need and run them all. Arguments go to pytest.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
bash "$here/setup.sh" dev
bash "$here/slurm_packages.sh"
cd "$here/.."
exec "${BLPO_VENV:-.venv}/bin/python" -m pytest "$@"
