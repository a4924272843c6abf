#!/usr/bin/env bash
# Install Slurm and Chromium, which some tests run, where this is Debian or Ubuntu and we are root;
# elsewhere, or where that fails, say so loudly, and those tests are skipped.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

# Keeps the packages from starting daemons of their own.
policy=/usr/sbin/policy-rc.d
keep_daemons_down() {
    [ ! -e "$policy" ] || return 0
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
}

are_there() {
    local command
    for command; do
        command -v "$command" >/dev/null || return 1
    done
}

# need WHAT "COMMAND ..." PACKAGE ...: install the packages unless all commands are there.
need() {
    local what=$1 commands=$2 apt
    shift 2
    # shellcheck disable=SC2086  # a word for each command
    ! are_there $commands || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "NO $what HERE, AND NOT ROOT ON DEBIAN: ITS TESTS WILL BE SKIPPED." >&2
        echo "To run them: apt-get install $*" >&2
        return
    fi
    echo "Installing $* for the tests ..." >&2
    keep_daemons_down
    export DEBIAN_FRONTEND=noninteractive
    apt=(timeout 300 apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120)
    { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "$@"; } >/dev/null 2>&1 ||
        echo "$what COULD NOT BE INSTALLED: ITS TESTS WILL BE SKIPPED." >&2
}

need SLURM "slurmctld slurmd sbatch munged" slurmctld slurmd slurm-client munge
need CHROMIUM "chromium" chromium
