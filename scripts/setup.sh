#!/usr/bin/env bash
# Make or refresh the virtual environment .venv beside this folder, with blpo and the extras named
# on the command line. Picks the gpu extra where there is an NVIDIA GPU, the cpu extra elsewhere.
# Does nothing when the environment is up to date.
#
#   PYTHON=python3.12      the interpreter that the environment is made with
#   BLPO_VENV=folder       another place for the environment
#   BLPO_DEVICE=cpu|gpu    overrides the choice of extra
#   BLPO_INSTALLER=pip     installs with pip, as happens by itself where uv is not to be had
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${PYTHON:-python3}
venv=${BLPO_VENV:-.venv}
device=${BLPO_DEVICE:-$(nvidia-smi -L >/dev/null 2>&1 && echo gpu || echo cpu)}
cpu_torch="torch==2.13.0+cpu"
locked=(--constraint scripts/cpu_constraints.txt) # a GPU's vLLM brings versions of its own
stamp="$venv/.blpo-installed" # first line: what was installed from, or "unfinished"; then the extras
made="$venv/.blpo-made"       # says that the environment is this script's own

say() { echo "$*" >&2; }
die() { say "$*"; exit 1; }
venv_python() { "$venv/bin/python" "$@"; }
pip_install() { venv_python -m pip --disable-pip-version-check install -qq "$@"; }
uv_install() { venv_python scripts/uv_like_pip.py pip install --quiet --python "$venv/bin/python" "$@"; }
stamped_extras() { [ ! -f "$stamp" ] || tail -n +2 "$stamp"; }

is_up_to_date() {
    [ -f "$stamp" ] && [ "$(head -n1 "$stamp")" = "$wanted" ] && venv_python -c "" 2>/dev/null &&
        [ "$(stamped_extras)" = "$extras" ]
}

write_stamp() {
    printf '%s\n' "$1" "$extras" >"$stamp.new"
    mv "$stamp.new" "$stamp"
}

# An installer that was stopped leaves packages that look complete and are not.
clear_interrupted() {
    [ -f "$stamp" ] && [ "$(head -n1 "$stamp")" = unfinished ] || return 0
    [ -f "$made" ] || die "An earlier installation into $venv was interrupted, and setup.sh did not" \
        "make that environment: delete it, or name another folder with BLPO_VENV, then run this again."
    say "An earlier installation into $venv was interrupted: starting over."
    rm -rf "${venv:?}"/* # the hidden files that say whose it is stay until the end
}

make_environment() {
    if ! venv_python -c "" 2>/dev/null; then
        rm -f "$venv"/bin/python* # links to an interpreter that is gone
        [ -d "$venv/bin" ] || touch "$made"
        write_stamp unfinished
        "$python" -m venv "$venv"
    fi
    venv_python -m pip --version >/dev/null 2>&1 || venv_python -m ensurepip >/dev/null
}

have_uv() {
    [ "${BLPO_INSTALLER:-uv}" = uv ] || return 1
    pip_install "uv>=0.13" 2>/dev/null ||
        { say "uv is not to be had through pip here: installing with pip, which is slower."; return 1; }
}

install_with_uv() {
    local options=()
    if [ "$device" = cpu ]; then
        options=("${locked[@]}" --excludes scripts/cpu_excludes.txt)
        # Where no place that pip or uv is set up with has it, uv knows where PyTorch keeps it.
        uv_install --dry-run --no-deps "$cpu_torch" 2>/dev/null ||
            export UV_TORCH_BACKEND=${UV_TORCH_BACKEND:-cpu}
    fi
    uv_install "${options[@]}" --editable ".[$1]"
}

install_with_pip() {
    local options=()
    if [ "$device" = cpu ]; then
        options=("${locked[@]}")
        # On its own: what is missing gets a message of its own, before anything large is fetched.
        pip_install "$cpu_torch" 2>/dev/null || die "pip finds no $cpu_torch:" \
            "point PIP_EXTRA_INDEX_URL at PyTorch's CPU packages and run this again."
    fi
    # pip cannot leave packages out: they are taken away again, and what conflicts then is checked.
    pip_install --no-warn-conflicts "${options[@]}" --editable ".[$1]"
    [ "$device" = gpu ] || remove_excluded
}

remove_excluded() {
    local excluded
    excluded=$(grep -v '^#' scripts/cpu_excludes.txt)
    # shellcheck disable=SC2086 # one word per package
    venv_python -m pip uninstall -qq --yes $excluded 2>/dev/null
    venv_python -m pip check | grep -vwF -e "No broken requirements found" -e "$excluded" >&2 || true
}

"$python" -c "import sys; sys.exit(sys.version_info < (3, 11))" ||
    die "blpo needs Python 3.11 or newer; name one with PYTHON=..."
mkdir -p "$venv"
if command -v flock >/dev/null; then
    exec 9>"$venv/.blpo-lock"
    flock -n 9 || { say "Another setup.sh is working on $venv: waiting for it ..."; flock 9; }
fi

# One environment serves quickstart and tests: what was asked for before stays installed.
extras=$({ stamped_extras; printf '%s\n' "$device" "$@"; } | LC_ALL=C sort -u)
for other in cpu gpu; do
    [ "$other" = "$device" ] || ! grep -qx "$other" <<<"$extras" ||
        die "$venv holds blpo[$other], and this run asks for blpo[$device]:" \
            "name another folder with BLPO_VENV, or delete $venv and run this again."
done
wanted=$(cat pyproject.toml scripts/{setup.sh,uv_like_pip.py,cpu_excludes.txt,cpu_constraints.txt} |
    sha256sum | cut -c1-16)
! is_up_to_date || exit 0

names=$(paste -sd, <<<"$extras")
clear_interrupted
say "Installing blpo[$names] into $venv (a minute or two the first time) ..."
make_environment
write_stamp unfinished
if have_uv; then install_with_uv "$names"; else install_with_pip "$names"; fi
if [ "$device" = cpu ]; then
    venv_python -c "from blpo.models.engines.torchvision_cpu import write_pth; write_pth()"
fi
write_stamp "$wanted"
say "Installed in $SECONDS s."
