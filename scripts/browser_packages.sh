#!/usr/bin/env bash
# Install Chromium for the tests of our pages, where this is Debian or Ubuntu and we are root;
# elsewhere say so loudly, and those tests are skipped.
set -euo pipefail
! command -v chromium >/dev/null || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "NO CHROMIUM HERE, AND NOT ROOT ON DEBIAN: THE TESTS IN A BROWSER WILL BE SKIPPED." >&2
    echo "To run them: apt-get install chromium" >&2
    exit 0
fi
echo "Installing Chromium for the tests ..." >&2
export DEBIAN_FRONTEND=noninteractive
apt=(timeout 300 apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120)
{ "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends chromium; } >/dev/null 2>&1 ||
    echo "CHROMIUM COULD NOT BE INSTALLED: THE TESTS IN A BROWSER WILL BE SKIPPED." >&2
