"""The command `mediad`: a module per verb, loaded when it is called."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

VERBS = (
    *("run", "once", "status", "sync", "search", "similar", "duplicates", "sequences", "clusters", "quality"),
    *("volumes", "config", "models", "files", "types", "audit", "service", "doctor"),
)

_CLOSED_PIPE = 141
"""Exit code where who read the output has heard enough (`| head`): that of a program which SIGPIPE ended."""


def main() -> None:
    """The entry point of the command."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # names on disk are what they are
    try:
        try:
            make_app(sys.argv[1:])(prog_name="mediad")
        finally:
            sys.stdout.flush()  # here, where it can be told that nobody reads it
    except (BrokenPipeError, SystemExit) as ended:
        if not isinstance(ended, BrokenPipeError) and not isinstance(ended.__context__, BrokenPipeError):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing may be written there at exit either
        sys.exit(_CLOSED_PIPE)


def make_app(arguments: Sequence[str] = ()) -> typer.Typer:
    """The commands; of a command line that begins with a verb, just that one: the others need not be imported."""
    app = typer.Typer(
        help="Watches volumes of images and videos and keeps one live, searchable, clustered catalog of them.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_common)
    for name in arguments[:1] if arguments and arguments[0] in VERBS else VERBS:
        module = importlib.import_module(f"mediad_service.cli.{name}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name)
        else:
            app.command(name)(getattr(module, name))
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        from mediad import __version__

        typer.echo(f"mediad {__version__}")
        raise typer.Exit


def _common(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="Configuration file.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="Directory of the store.")] = None,
    catalog_dir: Annotated[Path | None, typer.Option(help="Directory of the catalog.")] = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """Where things are may be said before the verb or after it."""
    context.obj = {"config": config, "state_dir": state_dir, "catalog_dir": catalog_dir}
    given = {f"MEDIAD_{name.upper()}": str(path) for name, path in context.obj.items() if path is not None}
    os.environ.update(given)  # for those who resolve their places themselves
