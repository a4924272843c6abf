#!/usr/bin/env bash
# Set everything up and run the demo: the bi-level loop with a real vision-language model in a
# real vLLM engine, on five synthetic tasks. Arguments go to `blpo demo`: with --real a public
# dataset and an open judge on a GPU, told and asked about before anything is downloaded.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
bash "$here/setup.sh"
cd "$here/.."
exec "${BLPO_VENV:-.venv}/bin/blpo" demo "$@"
