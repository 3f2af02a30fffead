"""Supervised loops: each runs in a thread of its own, is started again when it fails, and shows that it is alive.

The service manager's watchdog is fed only while every loop has shown a sign of life lately, so a stuck daemon is
restarted; a loop that fails again and again is put off for longer and longer, and named in `status`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger()

_FIRST_PAUSE = 1.0
_LAST_PAUSE = 60.0
_WELL_AFTER = 2 * _LAST_PAUSE  # seconds of running after which a failure is over
_PATIENCE = 6.0  # seconds that a loop has to end, all of them together
_LEAST_PATIENCE = 0.5


class Supervisor:
    """Starts loops in order, stops them in reverse."""

    def __init__(self, stuck_after: float = 120.0) -> None:
        self._stuck_after = stuck_after
        self._threads: dict[str, threading.Thread] = {}
        self._stops: dict[str, Callable[[], None]] = {}
        self._beats: dict[str, float] = {}
        self._failed: dict[str, str] = {}
        self._running_since: dict[str, float] = {}
        self._stopping: set[str] = set()
        self._wake = threading.Condition()

    @property
    def failures(self) -> dict[str, str]:
        """Why loops failed, by name; of those that have not gone well for a while since."""
        limit = time.monotonic() - _WELL_AFTER
        return {name: why for name, why in list(self._failed.items()) if self._running_since.get(name, limit) >= limit}

    def start(self, name: str, run: Callable[[], None], stop: Callable[[], None], *, vital: bool = False) -> None:
        """Run a loop until it returns; `stop` must make it return soon.

        A `vital` loop must `beat`. Others may hang for reasons that a restart of the daemon would not mend (a drive).
        """
        self._stops[name] = stop
        self._stopping.discard(name)
        if vital:
            self.beat(name)
        thread = threading.Thread(target=self._supervise, args=(name, run), name=name, daemon=True)
        self._threads[name] = thread
        thread.start()

    def stop(self, name: str, patience: float = _PATIENCE) -> None:
        """Let a loop end. One that hangs in the kernel, on a drive that does not answer, is left behind."""
        with self._wake:
            self._stopping.add(name)
            self._wake.notify_all()
        self._stops.pop(name)()
        thread = self._threads.pop(name)
        thread.join(max(patience, _LEAST_PATIENCE))
        if thread.is_alive():
            log.error("a loop hangs; it is left behind", loop=name)
        self._beats.pop(name, None)
        self._failed.pop(name, None)

    def stop_all(self) -> None:
        """In reverse order of their starts."""
        until = time.monotonic() + _PATIENCE
        for name in reversed(list(self._threads)):
            self.stop(name, until - time.monotonic())

    def beat(self, name: str) -> None:
        """A sign of life of a vital loop."""
        self._beats[name] = time.monotonic()

    def stuck(self) -> list[str]:
        """Names that gave no sign of life for too long."""
        limit = time.monotonic() - self._stuck_after
        return [name for name, at in list(self._beats.items()) if at < limit]

    def _supervise(self, name: str, run: Callable[[], None]) -> None:
        pause = _FIRST_PAUSE
        while name not in self._stopping:
            started = self._running_since[name] = time.monotonic()
            try:
                run()
                return
            except Exception as error:
                self._failed[name] = f"{type(error).__name__}: {error}"
                log.exception("a loop failed; it is started again", loop=name, pause=pause)
            if time.monotonic() - started > _WELL_AFTER:
                pause = _FIRST_PAUSE
            with self._wake:
                self._wake.wait_for(lambda: name in self._stopping, timeout=pause)
            if name in self._beats:
                self.beat(name)
            pause = min(2 * pause, _LAST_PAUSE)
