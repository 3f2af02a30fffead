"""`mediad sync`: wait until what is on disk now is in the catalog."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mediad_service.cli.session import AsJson, Session, absolute, on_terminal, verb
from mediad_service.cli.show import print_json
from mediad_service.client import Facts


@verb
def sync(
    session: Session,
    path: Annotated[Path | None, typer.Argument(help="A file or folder on a volume; all volumes if left out.")] = None,
    *,
    clusters: Annotated[bool, typer.Option("--clusters", help="Wait for clustering that is due, too.")] = False,
    timeout: Annotated[float | None, typer.Option(min=0, help="Give up after so many seconds.")] = None,
    as_json: AsJson = False,
) -> None:
    """Scan now; return when all that is on disk now is in the catalog, and print its generation.

    Needs a running daemon. Exit 1 if it takes longer than --timeout.
    """
    with session.connect() as facts:
        generation = _wait(facts, absolute(path) if path else None, clusters, timeout, quiet=session.quiet)
    if as_json:
        print_json({"generation": generation})
    else:
        print(generation)  # noqa: T201 - it is what the command is for


def _wait(facts: Facts, path: str | None, clusters: bool, timeout: float | None, *, quiet: bool) -> int:
    if quiet or not facts.running or not on_terminal():
        return facts.sync(path, clusters=clusters, timeout=timeout)
    from rich.console import Console

    with Console(stderr=True).status("waiting until the catalog is in step with the disk"):
        return facts.sync(path, clusters=clusters, timeout=timeout)
