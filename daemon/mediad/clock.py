"""Waiting that counts only the time in which we ran: a stopped process, or a sleeping machine, is late for nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator

_PARTS = 20
_LEAST = 0.05


def slices(seconds: float) -> Iterator[float]:
    """Timeouts (seconds) to wait for one after the other, `seconds` long together, until what is awaited is there.

    A slice that took far longer than it should was not waited out: we were stopped (SIGSTOP, a suspended virtual
    machine), and so was most likely what we wait for. It counts as one slice, so a stop costs at most a few of them.
    """
    left = seconds
    while left > 0:
        part = min(left, max(seconds / _PARTS, _LEAST))
        began = time.monotonic()
        yield part
        left -= min(max(time.monotonic() - began, part), 2 * part)
