"""Noticing that the configuration file changed, without believing in it too early.

The file's stat is looked at once a second: editors replace files, and links to them change (NixOS, Kubernetes), which
events on a file or a folder miss. A change counts once it has stood still for one look, so that a file that is being
written is not read half (half of one may be a valid one, and would stop watching).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

import structlog

from .problems import ConfigError, Finding
from .settings import Settings

log = structlog.get_logger()

_HURRY = 0.1  # seconds between two looks when the file is to be read at once

Outcome = Settings | ConfigError
Signature = tuple[int, ...] | None


class ConfigFile:
    """The configuration file, its settings in force, and what is wrong with it now.

    `read` makes settings of the file and raises ConfigError (for example `lambda: load(path, locations=...)`). After
    `load`, `start` begins a thread that calls `on_change` with new settings, or with the error that keeps the old
    ones in force; with the old settings again once such an error is gone. `on_change` is called in that thread, one
    call at a time, and never twice in a row with the same.
    """

    def __init__(self, path: Path, read: Callable[[], Settings], *, interval: float = 1.0) -> None:
        self._path = path
        self._read = read
        self._interval = interval  # seconds
        self._settings = Settings()
        self._error: ConfigError | None = None
        self._known: Signature = None  # what was read
        self._seen: Signature = None  # what was there at the last look
        self._existed = False
        self._wake = threading.Event()
        self._asked = False
        self._stopping = False
        self._thread: threading.Thread | None = None

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._settings

    @property
    def error(self) -> ConfigError | None:
        """Why the file as it stands is not in force; None where it is."""
        return self._error

    def load(self) -> Settings:
        """Read the file for the first time. Raises ConfigError."""
        self._known = self._seen = self._signature()
        self._settings = self._read()
        return self._settings

    def start(self, on_change: Callable[[Outcome], None]) -> Self:
        """Begin to watch."""
        self._thread = threading.Thread(target=self._watch, args=(on_change,), name="config", daemon=True)
        self._thread.start()
        return self

    def reload(self) -> None:
        """Have the file read now, even if it looks unchanged. Returns at once; may be called in a signal handler."""
        self._asked = True
        self._wake.set()

    def stop(self) -> None:
        """End the watch; when this returns, `on_change` is not called any more."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _watch(self, on_change: Callable[[Outcome], None]) -> None:
        while not self._stopping:
            self._wake.wait(min(self._interval, _HURRY) if self._asked else self._interval)
            self._wake.clear()
            outcome = None if self._stopping else self._look()
            if outcome is None:
                continue
            try:
                on_change(outcome)
            except Exception:  # the watch must outlive what its listener does
                log.exception("new settings could not be applied", file=str(self._path))

    def _look(self) -> Outcome | None:
        """What there is to tell, if anything."""
        now = self._signature()
        settled, self._seen = now == self._seen, now
        if not settled or (now == self._known and not self._asked):
            return None
        outcome = self._attempt(vanished=now is None and self._existed)
        if self._signature() != now:
            return None  # written while it was read: the next looks will see it stand still
        self._asked, self._known = False, now
        return self._take(outcome)

    def _attempt(self, *, vanished: bool) -> Outcome:
        if vanished:
            return ConfigError([Finding((), "the configuration file is gone", "put it back").at(self._path)])
        try:
            return self._read()
        except ConfigError as error:
            return error

    def _take(self, outcome: Outcome) -> Outcome | None:
        """Put new settings in force, or note the error; the outcome if it says something new."""
        if isinstance(outcome, ConfigError):
            known = self._error is not None and self._error.problems == outcome.problems
            self._error = outcome
            if not known:
                log.error(
                    "configuration is wrong; the settings before stay in force",
                    problems=[str(problem) for problem in outcome.problems],
                )
            return None if known else outcome
        known = self._error is None and outcome == self._settings
        self._error, self._settings = None, outcome
        if not known:
            log.info("new settings are in force", file=str(self._path))
        return None if known else outcome

    def _signature(self) -> Signature:
        """What changes when the file does, whichever way; None where it is not there."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        self._existed = True
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
