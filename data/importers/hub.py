"""Downloading a source from the Hugging Face Hub at one commit, without running its code."""

from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError

from ..errors import DataError
from .protocol import Card

_hub: Any = huggingface_hub


def check_hub(card: Card, revision: str | None) -> str:
    """The revision to download. Raises DataError if the source is not on the Hub or unpinned."""
    if card.hub_id is None:
        raise DataError(
            f"{card.name}: is not on the Hugging Face Hub; download it from {card.home}"
        )
    wanted = revision or card.revision
    if wanted is None:
        raise DataError(
            f"{card.name}: no commit of {card.hub_id} is pinned, as none was checked: name one "
            "from the history of its files with --revision"
        )
    return wanted


def download(card: Card, revision: str | None = None) -> Path:
    """The folder of a snapshot with the files that an import needs; what is cached stays.

    Raises DataError if access was not granted, there is no network or no such revision.
    """
    wanted = check_hub(card, revision)
    try:
        folder: str = _hub.snapshot_download(
            str(card.hub_id),
            repo_type="dataset",
            revision=wanted,
            allow_patterns=list(card.patterns),
        )
    except GatedRepoError as error:
        raise DataError(
            f"{card.hub_id}: gated ({card.gate or 'its page says how'}): accept its terms on its "
            "page with your account, then set HF_TOKEN"
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise DataError(
            f"{card.hub_id} at {wanted}: cannot be downloaded ({error}): download it by other "
            "means and give its folder"
        ) from error
    return Path(folder)
