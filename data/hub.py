"""Repositories of the Hugging Face Hub: what a download would take, the download, copies of both.

Nothing of a repository is run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import huggingface_hub
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

from .errors import DataError

_hub: Any = huggingface_hub
Kind = Literal["model", "dataset"]
_ELSEWHERE: dict[Kind, str] = {
    "model": "fetch it by other means and give its folder with --judge",
    "dataset": "fetch it by other means and give its folder with --data",
}


@dataclass(frozen=True, slots=True)
class Repository:
    """Files of a repository at one commit.

    sizes: bytes by name. missing: names of those that are not in the cache.
    """

    name: str
    kind: Kind
    commit: str
    patterns: tuple[str, ...]
    sizes: dict[str, int]
    missing: frozenset[str]

    @property
    def bytes_to_fetch(self) -> int:
        return sum(size for name, size in self.sizes.items() if name in self.missing)

    def fetch(self) -> Path:
        """The folder with the files; what is in the cache stays. Raises DataError."""
        return _ask_hub(self, local_files_only=not self.missing)


def look_up(name: str, kind: Kind, revision: str | None, patterns: Sequence[str]) -> Repository:
    """What a download would take; a branch or tag is resolved to its commit.

    Without a network, a whole copy in the cache will do. Raises DataError.
    """
    wanted = Repository(name, kind, revision or "main", tuple(patterns), {}, frozenset())
    try:
        files: list[Any] = _ask_hub(wanted, dry_run=True)
    except DataError as error:
        return _cached(wanted, error)
    if not files:
        raise DataError(f"{name}: has none of {', '.join(patterns)}; name another one")
    sizes = {str(file.filename): int(file.file_size or 0) for file in files}
    missing = frozenset(str(file.filename) for file in files if file.will_download)
    return Repository(name, kind, str(files[0].commit_hash), wanted.patterns, sizes, missing)


def snapshot_in(folder: Path, file: str) -> Path:
    """Where the files of a repository are: in the folder, or in its one snapshot, as in the cache.

    file: a pattern of one that has to be there. Raises DataError without one, and for several.
    """
    if any(folder.glob(file)):
        return folder
    found = [place for place in sorted(folder.glob("snapshots/*")) if any(place.glob(file))]
    if len(found) == 1:
        return found[0]
    if found:
        named = ", ".join(place.name for place in found)
        raise DataError(f"{folder}: has several snapshots ({named}): give the folder of one")
    raise DataError(
        f"{folder}: has no {file}, and no folder snapshots with one: give the folder as downloaded"
    )


def _cached(wanted: Repository, error: DataError) -> Repository:
    """The copy in the cache. Raises the error of the Hub where there is none, or a part only."""
    try:
        folder: Path = _ask_hub(wanted, local_files_only=True)
    except DataError:
        raise error from error.__cause__
    files = [file for pattern in wanted.patterns for file in folder.glob(pattern)]
    if not files:
        raise error from error.__cause__
    sizes = {str(file.relative_to(folder)): file.stat().st_size for file in files}
    return Repository(
        wanted.name, wanted.kind, folder.name, wanted.patterns, sizes, missing=frozenset()
    )


def _ask_hub(wanted: Repository, **options: bool) -> Any:
    """The folder of a snapshot, or with `dry_run` its files."""
    try:
        found = _hub.snapshot_download(
            wanted.name,
            repo_type=wanted.kind,
            revision=wanted.commit,
            allow_patterns=list(wanted.patterns),
            **options,
        )
    except GatedRepoError as error:
        raise DataError(
            f"{wanted.name}: gated: accept its terms on its page with your account, then set "
            "HF_TOKEN"
        ) from error
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise DataError(
            f"{wanted.name} at {wanted.commit}: not on the Hugging Face Hub: check the name"
        ) from error
    # The network library below the Hub's own, and with it the errors, differ by its version.
    except Exception as error:
        raise DataError(
            f"{wanted.name} at {wanted.commit}: the Hugging Face Hub is out of reach ({error}): "
            f"check the network (HTTPS_PROXY, HF_ENDPOINT), or {_ELSEWHERE[wanted.kind]}"
        ) from error
    return Path(found) if isinstance(found, str) else found
