"""What every verb has in common: its options, its places, whom it asks, how it fails."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, wraps
from pathlib import Path
from typing import Annotated, Any, Concatenate, NoReturn, ParamSpec

import typer

from mediad.config import ConfigError, Locations, Settings, load, locate
from mediad_service.cli.show import plain
from mediad_service.client import Facts, FactsError, connect

P = ParamSpec("P")

FINDING = 1
USAGE = 2

_PANEL = "Common options"
Config = Annotated[Path | None, typer.Option(help="Configuration file.", rich_help_panel=_PANEL)]
StateDir = Annotated[Path | None, typer.Option(help="Directory of the store.", rich_help_panel=_PANEL)]
CatalogDir = Annotated[Path | None, typer.Option(help="Directory of the catalog.", rich_help_panel=_PANEL)]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more.", rich_help_panel=_PANEL)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say only what matters.", rich_help_panel=_PANEL)]
AsJson = Annotated[bool, typer.Option("--json", help="Print facts as JSON.")]

_COMMON: dict[str, Any] = {
    "config": (Config, None),
    "state_dir": (StateDir, None),
    "catalog_dir": (CatalogDir, None),
    "verbose": (Verbose, False),
    "quiet": (Quiet, False),
}


@dataclass
class Session:
    """One run of a verb: the common options as given, and what follows from them."""

    config: Path | None = None
    state_dir: Path | None = None
    catalog_dir: Path | None = None
    verbose: bool = False
    quiet: bool = False

    @cached_property
    def locations(self) -> Locations:
        return locate(self.config, self.state_dir, self.catalog_dir)

    @property
    def level(self) -> str:
        """Of the log."""
        return "debug" if self.verbose else "warning" if self.quiet else "info"

    def settings(self, *, missing_ok: bool = True) -> Settings:
        """What the configuration file says. Raises ConfigError."""
        return load(self.locations.config, locations=self.locations, missing_ok=missing_ok)

    @cached_property
    def settings_or_defaults(self) -> Settings:
        """The same for those who only ask: a wrong file is told, and does not keep them from asking."""
        try:
            return self.settings()
        except ConfigError as error:
            warn(f"{len(error.problems)} problem(s) in {self.locations.config}: see `mediad config check`")
            return Settings()

    def connect(self) -> Facts:
        """The daemon, or the store. Raises FactsError."""
        facts = connect(self.locations, self.settings_or_defaults, opening_store=self._configure_log)
        if facts.note and not self.quiet:
            warn(facts.note)
        return facts

    def _configure_log(self) -> None:
        from mediad_service.cli.logs import configure

        configure("info" if self.verbose else "error")


def verb(function: Callable[Concatenate[Session, P], None]) -> Callable[..., None]:
    """Make a command of a function: it gets the common options, and its errors become words and exit codes."""
    signature = inspect.signature(function, eval_str=True)
    own = list(signature.parameters.values())[1:]
    common = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in _COMMON.items()
    ]
    context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)

    @wraps(function)
    def run(context: typer.Context, **options: Any) -> None:
        common: dict[str, Any] = {name: options.pop(name) or (context.obj or {}).get(name) for name in _COMMON}
        session = Session(**common)
        try:
            function(session, **options)  # type: ignore[call-arg] # the options are those of its own signature
        except ConfigError as error:
            for problem in error.problems:
                typer.echo(plain(str(problem)), err=True)
            raise typer.Exit(USAGE) from error
        except FactsError as error:
            fail(str(error), USAGE if error.usage else FINDING)

    shown = [context, *(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own), *common]
    run.__signature__ = signature.replace(parameters=shown)  # type: ignore[attr-defined] # what typer looks at
    run.__annotations__ = {one.name: one.annotation for one in shown}
    return run


def warn(text: str) -> None:
    """Tell something on standard error."""
    typer.echo(f"mediad: {plain(text)}", err=True)


def fail(text: str, code: int = FINDING) -> NoReturn:
    """Tell why it cannot be done, and end with `code`."""
    warn(text)
    raise typer.Exit(code)


def absolute(path: str | Path) -> str:
    """A path as the daemon understands it, which works in another directory; links stay as they are."""
    return os.path.abspath(path)  # noqa: PTH100 - resolve() would follow links


def on_terminal() -> bool:
    """Whether a person looks at standard error now."""
    return sys.stderr.isatty()
