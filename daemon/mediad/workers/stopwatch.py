"""How long each kind of work took, for the catalog's metadata."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from mediad.catalog.document import Timing

Part = Literal["file_discovery", "directory_grouping", "clustering", "sequence_naming", "gif_creation"]


class Stopwatch:
    """Adds up seconds of work, pass by pass. Thread-safe.

    A pass is all work until `rest`. Each part tells of the last pass in which there was any of it, so that a pass over
    an unchanged disk does not wipe out what the first index took.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pass = 0
        self._parts: dict[Part, tuple[int, float]] = {}  # the pass, and seconds in it
        self._began: float | None = None
        self._total = 0.0

    @contextmanager
    def measure(self, part: Part) -> Iterator[None]:
        """Add the time that the block takes."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.add(part, time.monotonic() - started)

    def add(self, part: Part, seconds: float) -> None:
        """Work that took so long has ended just now; it may have been in another process. None at all: 0."""
        with self._lock:
            now = time.monotonic()
            if self._began is None:
                self._began = now - seconds
            self._total = now - self._began
            if seconds:
                number, before = self._parts.get(part, (self._pass, 0.0))
                self._parts[part] = self._pass, seconds + (before if number == self._pass else 0.0)

    def rest(self) -> None:
        """All is done: what comes now is another pass."""
        with self._lock:
            self._pass += 1
            self._began = None

    def timing(self) -> Timing:
        with self._lock:
            parts = {f"{part}_seconds": round(seconds, 6) for part, (_, seconds) in self._parts.items()}
            return Timing(total_seconds=round(self._total, 6), **parts)
