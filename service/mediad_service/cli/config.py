"""`mediad config`: the settings in force, and what is wrong with the file."""

from __future__ import annotations

from dataclasses import asdict

import typer

from mediad.config import ConfigError, Locations, Problem, Settings
from mediad_service.cli.session import FINDING, AsJson, Session, verb
from mediad_service.cli.show import plain, print_json

app = typer.Typer(help="Check and show the settings.", no_args_is_help=True)


@app.command()
@verb
def check(session: Session, *, as_json: AsJson = False) -> None:
    """Say everything that is wrong with the configuration file, a line each; exit 1 if anything is.

    What cannot be used as things are now, as files of an encoder that are away, is a note, and no reason for exit 1.
    """
    problems: list[Problem] = []
    notes: list[str] = []
    try:
        notes = _notes(session.settings(missing_ok=False), session.locations)
    except ConfigError as error:
        problems = list(error.problems)
    file = str(session.locations.config)
    if as_json:
        listed = [asdict(problem) for problem in problems]
        print_json({"good": not problems, "file": file, "problems": listed, "notes": notes})
    else:
        for line in [str(problem) for problem in problems] or [f"{file} is good", *notes]:
            typer.echo(plain(line))
    raise typer.Exit(FINDING if problems else 0)


def _notes(settings: Settings, locations: Locations) -> list[str]:
    from mediad.encoders.known import doubts

    return [f"note: encoder: {doubt}" for doubt in doubts(settings.encoder, locations.weights)]


@app.command()
@verb
def show(session: Session, *, as_json: AsJson = False) -> None:
    """Print all settings as they are in force, as a configuration file or as JSON."""
    settings = session.settings().model_dump(mode="json")
    if as_json:
        print_json(settings)
        return
    import tomlkit

    typer.echo(tomlkit.dumps(settings), nl=False)


@app.command()
@verb
def schema(_session: Session) -> None:
    """Print the JSON Schema of the configuration file, for editors that check TOML."""
    from mediad.config.schema import schema as made

    print_json(made())


@app.command()
@verb
def path(session: Session, *, as_json: AsJson = False) -> None:
    """Print where the configuration file is, whether it is there or not."""
    if as_json:
        print_json({"file": str(session.locations.config), "exists": session.locations.config.exists()})
        return
    typer.echo(plain(session.locations.config))
