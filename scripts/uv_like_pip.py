"""Run uv with the settings that pip has on this machine.

`python uv_like_pip.py pip install ...` runs uv with these arguments. uv reads neither pip's
configuration files nor its environment variables; here it is told of the package indexes, folders,
constraints, certificates, proxy and timeout that pip would use. What uv has been told by its own
variables stays as it is.
"""

import ast
import os
import subprocess
import sys
from collections.abc import Mapping

# In the order in which pip lets one override the other.
_SECTIONS = ("global", "install", ":env:")


def pip_options(listing: str) -> dict[str, str]:
    """What applies to `pip install`, by name, of what `pip config list` printed."""
    sections: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for line in listing.splitlines():
        key, _, value = line.partition("=")
        section, _, name = key.partition(".")
        if section in sections:
            sections[section][name.removeprefix("default-")] = str(ast.literal_eval(value))
    return {name: value for section in _SECTIONS for name, value in sections[section].items()}


def uv_variables(options: Mapping[str, str]) -> dict[str, str]:
    """The environment variables that tell uv the same as these options of pip."""
    told = {
        "UV_DEFAULT_INDEX": options.get("index-url", ""),
        "UV_INDEX": _words(options, "extra-index-url", " "),
        "UV_FIND_LINKS": _words(options, "find-links", ","),
        "UV_INSECURE_HOST": _words(options, "trusted-host", " "),
        "UV_HTTP_TIMEOUT": options.get("timeout", ""),
        "SSL_CERT_FILE": options.get("cert", ""),
        "SSL_CLIENT_CERT": options.get("client-cert", ""),
        "ALL_PROXY": options.get("proxy", ""),
        # pip takes the best version of all indexes, uv by itself that of the first that has any.
        "UV_INDEX_STRATEGY": "unsafe-best-match" if "extra-index-url" in options else "",
    }
    return {name: value for name, value in told.items() if value}


def environment(listing: str, current: Mapping[str, str]) -> dict[str, str]:
    """`current` with what `pip config list` printed, where it does not say otherwise already."""
    told = uv_variables(pip_options(listing))
    for older, name in (("UV_INDEX_URL", "UV_DEFAULT_INDEX"), ("UV_EXTRA_INDEX_URL", "UV_INDEX")):
        if older in current:
            told.pop(name, None)
    return {**told, **current}


def flags(listing: str, current: Mapping[str, str]) -> list[str]:
    """What has no variable, and constraints: a --constraint beside a variable would replace it."""
    options = pip_options(listing)
    constraints = current.get("UV_CONSTRAINT", options.get("constraint", "")).split()
    no_index = options.get("no-index", "").lower() in {"1", "true", "yes", "on"}
    files = [word for file in constraints for word in ("--constraint", file)]
    return [*files, *(["--no-index"] if no_index else [])]


def _words(options: Mapping[str, str], name: str, separator: str) -> str:
    return separator.join(options.get(name, "").split())


def main() -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
    listing = subprocess.run(pip, check=True, capture_output=True, text=True).stdout
    uv = [sys.executable, "-m", "uv", *sys.argv[1:], *flags(listing, os.environ)]
    os.execve(sys.executable, uv, environment(listing, os.environ))


if __name__ == "__main__":
    main()
