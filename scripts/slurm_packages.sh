#!/usr/bin/env bash
# Install Slurm for the tests on a real one, where this is Debian or Ubuntu and we are root;
# elsewhere say so loudly, and those tests are skipped.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
missing=0
for command in slurmctld slurmd sbatch munged; do
    command -v "$command" >/dev/null || missing=1
done
[ "$missing" = 1 ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "NO SLURM HERE, AND NOT ROOT ON DEBIAN: THE TESTS ON A REAL SLURM WILL BE SKIPPED." >&2
    echo "To run them: apt-get install slurmctld slurmd slurm-client munge" >&2
    exit 0
fi
echo "Installing Slurm for the tests ..." >&2
export DEBIAN_FRONTEND=noninteractive
# Keeps the packages from starting daemons of their own.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
fi
packages=(slurmctld slurmd slurm-client munge)
apt=(timeout 300 apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120)
{ "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "${packages[@]}"; } >/dev/null 2>&1 ||
    echo "SLURM COULD NOT BE INSTALLED: THE TESTS ON A REAL SLURM WILL BE SKIPPED." >&2
