"""The commands that look after the reply store."""

from pathlib import Path
from typing import Annotated

import typer

from ...data.errors import BlpoError
from ...data.near_paths import no_such
from .options import EXIT_PROBLEM, AsJson, StoreFolder

store_app = typer.Typer(help="Inspect and maintain the reply store.", no_args_is_help=True)


@store_app.command("stats")
def store_stats(store: StoreFolder = Path("store"), as_json: AsJson = False) -> None:
    """Show how much the reply store holds."""
    from .show.store import show_store_stats  # noqa: PLC0415

    show_store_stats(_existing(store), as_json=as_json)


@store_app.command("verify")
def store_verify(
    store: StoreFolder = Path("store"),
    quarantine: Annotated[bool, typer.Option(help="Move damaged parts aside.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read and check every part; exit code 1 if damaged ones remain."""
    from .show.store import show_store_verify  # noqa: PLC0415

    if not show_store_verify(_existing(store), quarantine=quarantine, as_json=as_json):
        raise typer.Exit(EXIT_PROBLEM)


@store_app.command("compact")
def store_compact(store: StoreFolder = Path("store"), as_json: AsJson = False) -> None:
    """Merge small parts; safe while other processes read and write."""
    from ...data.store.store import ReplyStore  # noqa: PLC0415
    from ..runs.progress import counting  # noqa: PLC0415
    from .show.store import show_store_compact  # noqa: PLC0415

    with counting(str(store), "parts merged") as on_part:
        done = ReplyStore(_existing(store)).compact(on_part)
    show_store_compact(done, as_json=as_json)


@store_app.command("forget")
def store_forget(
    store: StoreFolder = Path("store"),
    errors: Annotated[
        bool, typer.Option("--errors", help="Requests that were too long or had an unusable image.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Let the next run ask again what was refused for good."""
    from .show.store import show_store_forget  # noqa: PLC0415

    if not errors:
        raise typer.BadParameter("say what to forget: --errors")
    show_store_forget(_existing(store), as_json=as_json)


def _existing(store: Path) -> Path:
    if not store.is_dir():
        raise BlpoError(f"{no_such(store, 'folder')}; name the reply store with --store")
    return store
