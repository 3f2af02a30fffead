"""A watcher on a folder, and what it said."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mediad.volume import Rules
from mediad.watcher import Watcher

PATIENCE = 10.0


class Said:
    """Collects hints; waits for one that covers a directory."""

    def __init__(self) -> None:
        self.hints: list[tuple[str, bytes, bool]] = []
        self.closed: list[bytes] = []
        self.overflows: list[str] = []
        self._news = threading.Condition()

    def hint(self, volume: str, reldir: bytes, recursive: bool) -> None:
        with self._news:
            self.hints.append((volume, reldir, recursive))
            self._news.notify_all()

    def on_closed(self, volume: str, relpath: bytes) -> None:
        with self._news:
            self.closed.append(relpath)
            self._news.notify_all()

    def clear(self) -> None:
        with self._news:
            self.hints.clear()
            self.closed.clear()

    def wait(self, wanted: Callable[[], bool]) -> bool:
        with self._news:
            return self._news.wait_for(wanted, PATIENCE)

    def covers(self, reldir: bytes) -> bool:
        """Whether a scan as hinted would look into `reldir`."""
        return any(
            there == reldir or (recursive and (not there or reldir.startswith(there + b"/")))
            for _, there, recursive in self.hints
        )

    def expect(self, reldir: bytes) -> None:
        """A hint that covers `reldir` comes; all hints so far are then forgotten."""
        assert self.wait(lambda: self.covers(reldir)), f"no hint for {reldir!r} in {self.hints}"
        time.sleep(0.12)  # the debounce of what came with it, so that it is no hint of the next step
        self.clear()


@pytest.fixture
def said() -> Said:
    return Said()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "photos"
    path.mkdir()
    return path


@pytest.fixture
def watcher(said: Said) -> Iterator[Watcher]:
    made = Watcher(said.hint, closed=said.on_closed, overflow=said.overflows.append, debounce=0.03, check_seconds=0.1)
    yield made
    made.stop()


@pytest.fixture
def watch(watcher: Watcher, said: Said, root: Path) -> Callable[..., Watcher]:
    """Watch the folder, and wait until the watches are in place."""

    def start(rules: Rules | None = None) -> Watcher:
        watcher.add("v", str(root), rules or Rules())
        said.expect(b"")
        return watcher

    return start
