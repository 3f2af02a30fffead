"""Signals as a queue, so that what they ask for is done by the main loop and not inside a handler."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import sys
import threading
from types import FrameType

STOPS = (signal.SIGTERM, signal.SIGINT)
_STOP_WITHIN = 9.5  # seconds; the service manager kills what is left after 10


class Signals:
    """Takes over SIGTERM, SIGINT and SIGHUP. The second request to stop ends the process at once."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[signal.Signals] = queue.SimpleQueue()  # put() is safe in a handler
        self._stopping = False
        self._terminal = sys.stdin.isatty()
        for number in (*STOPS, signal.SIGHUP):
            signal.signal(number, self._take)

    def _take(self, number: int, _frame: FrameType | None) -> None:
        received = signal.Signals(number)
        if received is signal.SIGHUP and self._terminal and _terminal_gone():
            received = signal.SIGTERM  # the terminal was closed: nobody wants us to read our configuration
        if received in STOPS:
            if self._stopping:
                os._exit(1)
            self._stopping = True
        self._queue.put(received)

    def wait(self, seconds: float | None) -> signal.Signals | None:
        """The next signal; None when none came in time."""
        with contextlib.suppress(queue.Empty):
            return self._queue.get(timeout=seconds)
        return None


def end_in_time() -> None:
    """End the process, come what may, before the service manager loses patience. Everything acknowledged is durable."""
    timer = threading.Timer(_STOP_WITHIN, os._exit, [1])
    timer.daemon = True
    timer.start()


def _terminal_gone() -> bool:
    try:
        os.tcgetpgrp(sys.stdin.fileno())
    except OSError:
        return True
    return False
