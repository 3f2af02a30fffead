"""`mediad models`: weights of encoders on this machine, and fetching them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from mediad.encoders import AUTO, Pull, WeightsUnavailable, installed, parse, weights_present
from mediad_service.cli.session import USAGE, AsJson, Session, fail, on_terminal, verb
from mediad_service.cli.show import print_json, print_table, size
from mediad_service.client import FactsError

app = typer.Typer(help="List and fetch the weights of encoders.", no_args_is_help=True)


@app.command("list")
@verb
def list_models(session: Session, *, as_json: AsJson = False) -> None:
    """List the weights on this machine, and whether those that the settings ask for are among them."""
    setting = session.settings_or_defaults.encoder
    weights = session.locations.weights
    wanted = parse(AUTO if setting == "auto" else setting)
    here = weights_present(wanted, weights)
    found = [{"spec": one.spec, "path": str(one.path), "size": one.size} for one in installed(weights)]
    if as_json:
        print_json(
            {"setting": setting, "spec": str(wanted), "present": here, "weights": str(weights), "installed": found}
        )
        return
    print_table(("encoder", "#size", "file"), ((one.spec, size(one.size), one.path) for one in installed(weights)))
    there = "there" if here else f"not there: mediad models pull {'' if setting == 'auto' else wanted}".rstrip()
    print_table((), [(f'encoder = "{setting}" ({wanted}): {there}',)])


@app.command()
@verb
def pull(
    session: Session,
    spec: Annotated[str | None, typer.Argument(help="An encoder setting; by default the one in the settings.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Fetch the weights of an encoder; what an earlier try has fetched is not fetched again.

    A running daemon that waits for them is told.
    """
    setting = spec or session.settings_or_defaults.encoder
    try:
        wanted = parse(AUTO if setting == "auto" else setting)
    except ValueError as error:
        fail(str(error), USAGE)
    try:
        path = _fetch(str(wanted), session.locations.weights, quiet=session.quiet)
    except WeightsUnavailable as error:
        fail(str(error))
    with suppress(FactsError), session.connect() as facts:
        facts.reload()
    if as_json:
        print_json({"spec": str(wanted), "path": str(path)})
    else:
        print_table((), [(path,)])


def _fetch(spec: str, weights: Path, *, quiet: bool) -> Path:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    process = Pull(spec, weights)
    shown = not quiet and on_terminal()
    try:
        with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), disable=not shown) as progress:
            task = progress.add_task(spec, total=None)
            return process.wait(lambda done, total: progress.update(task, completed=done, total=total))
    except KeyboardInterrupt:
        process.stop()
        raise
