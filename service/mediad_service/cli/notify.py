"""Telling systemd how we are (see sd_notify(3)); nothing is done where nobody asked to be told."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

_USEC = 1_000_000


class Notifier:
    """Speaks to the service manager. `interval` is how often it wants to hear (seconds); None: never."""

    def __init__(self) -> None:
        self._status = ""
        self._socket = None
        self.interval: float | None = None
        if os.environ.get("NOTIFY_SOCKET"):
            import sdnotify

            self._socket = sdnotify.SystemdNotifier()
            self.interval = _watchdog_interval() or 10.0

    def ready(self) -> None:
        self._send("READY=1")

    def reloading(self) -> None:
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._send("STOPPING=1\nSTATUS=stopping")

    def alive(self, stuck: Sequence[str], status: str) -> None:
        """Feed the watchdog, unless loops are `stuck`; `status` is one line of ASCII."""
        if not stuck:
            self._send("WATCHDOG=1")
        told = f"stuck: {', '.join(stuck)}" if stuck else status
        if told != self._status:
            self._status = told
            self._send(f"STATUS={told}")

    def _send(self, message: str) -> None:
        if self._socket is not None:
            self._socket.notify(message)


def _watchdog_interval() -> float | None:
    """Half of what the watchdog allows, if it watches this process."""
    allowed, watched = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not allowed.isdigit() or (watched and watched != str(os.getpid())):
        return None
    return int(allowed) / _USEC / 2
