"""`mediad service`: mediad as a systemd service or launchd agent."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mediad_service import units

app = typer.Typer(help="Install mediad as a service of this system, ask after it, remove it.", no_args_is_help=True)

T = TypeVar("T")
System = Annotated[bool, typer.Option("--system", help="For the whole system instead of this user; needs root.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print facts as JSON.")]


@app.command()
def install(
    system: System = False,
    account: Annotated[
        str | None, typer.Option(help="Who a system service runs as; by default who called sudo, else its own account.")
    ] = None,
    read_all: Annotated[
        bool, typer.Option("--read-all", help="Let a system service read files whatever their permissions.")
    ] = False,
    network: Annotated[
        bool, typer.Option("--network/--no-network", help="Let a system service reach other machines (for weights).")
    ] = True,
    gpu: Annotated[
        bool | None, typer.Option("--gpu/--no-gpu", help="Let a system service use graphics cards; default: if seen.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file of the service.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="Directory of its store.")] = None,
    catalog_dir: Annotated[Path | None, typer.Option(help="Directory of its catalog.")] = None,
    show: Annotated[bool, typer.Option("--print", help="Print the unit; install nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write, enable and start the service for the Python that runs this."""

    def planned() -> units.Service:
        return units.plan(
            system=system,
            account=account,
            read_all=read_all,
            network=network,
            gpu=gpu,
            config=config,
            state_dir=state_dir,
            catalog_dir=catalog_dir,
        )

    if show:
        typer.echo(_tried(lambda: units.render(planned())), nl=False)
        return
    _report(_tried(lambda: units.install(planned())), as_json=as_json)


@app.command()
def uninstall(system: System = False, as_json: AsJson = False) -> None:
    """Stop and remove the service; what it stored stays."""
    _report(_tried(lambda: units.uninstall(system=system)), as_json=as_json)


@app.command()
def status(system: System = False, as_json: AsJson = False) -> None:
    """Say how the service is; exit 1 unless it runs."""
    facts = _tried(lambda: units.status(system=system))
    _report(facts, as_json=as_json)
    raise typer.Exit(0 if facts.healthy else 1)


def _tried(action: Callable[[], T]) -> T:
    """The result of `action`, or its error on standard error and exit 1."""
    try:
        return action()
    except units.UnitError as error:
        typer.echo(f"mediad service: {error}", err=True)
        raise typer.Exit(1) from error


def _report(facts: units.Facts, *, as_json: bool) -> None:
    document = facts.document()
    if as_json:
        typer.echo(json.dumps(document, indent=2))
        return
    console = Console()
    table = Table(show_header=False, box=None)
    notes = document.pop("notes")
    for name, value in document.items():
        if value is not None:
            table.add_row(name.replace("_", " "), escape(_worded(name, value)))
    console.print(table)
    for note in notes:
        console.print(f"- {escape(note)}", highlight=False, soft_wrap=True)


def _worded(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{int(str(value)) / 1e6:.0f} MB" if name == "memory" else str(value)
