"""`mediad run`: the daemon in the foreground."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

from mediad.config import ConfigError, Settings, VolumeSettings, check_volumes, volume_from
from mediad.config.watch import ConfigFile
from mediad_service.cli.session import Session, fail, on_terminal, verb
from mediad_service.cli.show import plain

if TYPE_CHECKING:
    from mediad.engine import Engine
    from mediad_service.cli.live import Display
    from mediad_service.cli.notify import Notifier
    from mediad_service.cli.signals import Signals

log = structlog.get_logger()

BUSY = 3
"""Exit code: another daemon has this state directory."""

_REDRAW = 0.5  # seconds between two looks while something goes on
_REDRAW_IDLE = 2.0
_LEAST_RUN = 3.0  # seconds from one start to the next where damage makes us start again


@verb
def run(
    session: Session,
    directories: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[DIRECTORY]...",
            file_okay=False,
            help="Folders to watch beside the volumes in the configuration file.",
        ),
    ] = None,
) -> None:
    """Run the daemon in the foreground until SIGTERM or Ctrl-C.

    The configuration file is followed: volumes that are added to it are watched within seconds, also where there was
    no file at the start; SIGHUP reads it at once. Exit 2 if the configuration is wrong, 3 if another daemon has the
    state directory.
    """
    from rich.console import Console

    from mediad_service.cli.logs import configure
    from mediad_service.cli.notify import Notifier
    from mediad_service.cli.signals import Signals

    signals = Signals()
    settings = with_more(session, directories or [])
    console = Console(stderr=True) if on_terminal() else None
    configure(session.level, console)
    if session.config is not None and not session.config.exists():
        log.warning("there is no such configuration file; it is taken up once it is there", file=str(session.config))
    if not settings.volumes:
        log.warning(
            "nothing is watched yet", advice="mediad volumes add DIRECTORY", config=str(session.locations.config)
        )
    follow = ConfigFile(session.locations.config, lambda: with_more(session, directories or []))
    engine = start_engine(session, settings, follow)
    with ExitStack() as stack:
        display = None
        if console is not None and not session.quiet:
            from mediad_service.cli.live import Display

            display = stack.enter_context(Display(console))
        _serve(engine, session, signals, Notifier(), display)
    if engine.damaged is not None:
        _start_again(engine)


def _start_again(engine: Engine) -> None:
    """Become a new daemon, which mends the store at its start: the same process, for whoever watches over it."""
    log.error("the store is damaged; mediad starts again to mend it", reason=engine.damaged)
    time.sleep(max(0.0, _LEAST_RUN - (time.time() - engine.started)))  # in no case a loop that spins
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - ourselves


def with_more(session: Session, directories: Iterable[Path]) -> Settings:
    """The settings of the file, watching `directories` too. Raises ConfigError."""
    settings = session.settings()
    known = {volume.path for volume in settings.volumes}
    more: list[VolumeSettings] = []
    for volume in (volume_from({"path": directory}) for directory in directories):
        if volume.path not in known:
            known.add(volume.path)
            more.append(volume)
    together = settings.with_volumes(settings.volumes + tuple(more))
    problems = check_volumes(together, session.locations)
    if problems:
        raise ConfigError(problems)
    return together


def start_engine(session: Session, settings: Settings, config: ConfigFile | None, *, anew: bool = False) -> Engine:
    """An engine that is not started yet; ends the process where the store cannot be had.

    `anew`: what the state directory holds is forgotten first, unless somebody works with it.
    """
    from mediad.engine import Engine
    from mediad.store import StoreBusy, StoreDamaged
    from mediad.store.migrations import StoreTooNew

    try:
        if anew:
            _forget(session.locations.state)
        try:
            return Engine(session.locations, settings, config)
        except StoreDamaged:  # what was met early; the second opening looks at everything, and mends it
            return Engine(session.locations, settings, config)
    except StoreBusy as error:
        fail(str(error), BUSY)
    except (StoreDamaged, StoreTooNew, OSError) as error:
        fail(str(error))


def _forget(state: Path) -> None:
    """Remove a state directory. StoreBusy where another process works with it."""
    from mediad.store import Store, StoreDamaged

    with suppress(StoreDamaged, FileNotFoundError):
        Store(state / "store").close()
    rmtree(state, ignore_errors=True)


def _serve(engine: Engine, session: Session, signals: Signals, notifier: Notifier, display: Display | None) -> None:
    from mediad.store import StoreDamaged
    from mediad_service.api import SocketTaken, serve
    from mediad_service.cli.signals import end_in_time

    server = serve(engine, engine.settings, session.locations)
    with ExitStack() as stack:  # what began last ends first, and the engine ends whatever becomes of the server
        stack.callback(engine.stop)
        with suppress(StoreDamaged):  # `engine.damaged` says so too
            engine.start()
        if engine.damaged is not None:
            return
        stack.callback(server.stop)
        stack.callback(lambda: notifier.stopping() if engine.damaged is None else notifier.reloading())
        stack.callback(end_in_time)
        try:
            server.start()
        except SocketTaken as error:
            fail(str(error), BUSY)
        except OSError as error:
            fail(f"the API cannot be served: {error}")
        _greet(session, server.page)
        notifier.ready()
        _loop(engine, signals, notifier, display)


def _greet(session: Session, page: str | None) -> None:
    try:
        for name, value in (("catalog", session.locations.catalog / "catalog.json"), ("page", page)):
            if value is not None:
                print(f"{name}: {plain(value)}", flush=True)  # noqa: T201 - it is asked for
    except BrokenPipeError:  # who asked has heard enough; nothing may be written there at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _loop(engine: Engine, signals: Signals, notifier: Notifier, display: Display | None) -> None:
    """Until a signal to stop, or damage to the store: feed the watchdog, redraw, reload."""
    while engine.damaged is None:
        received = signals.wait(_pause(notifier, display))
        if received is signal.SIGHUP:
            notifier.reloading()
            engine.reload()
            notifier.ready()
        elif received is not None:
            return
        if notifier.interval is not None:
            notifier.alive(engine.stuck(), _status_line(engine))
        if display is not None:
            display.update(engine.status())


def _pause(notifier: Notifier, display: Display | None) -> float:
    """How long to wait for a signal at most, in seconds."""
    if display is None:
        return min(notifier.interval or _REDRAW_IDLE, _REDRAW_IDLE)
    return _REDRAW if display.busy else _REDRAW_IDLE


def _status_line(engine: Engine) -> str:
    to_read, to_embed = engine.pending()
    return f"{engine.activity()}, {to_read + to_embed} pending"
