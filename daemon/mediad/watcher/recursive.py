"""macOS and other systems: watchdog's own observer, which watches a whole tree (FSEvents)."""

# ruff: noqa: PTH116, PTH120 - names on disk are bytes, which pathlib cannot hold

from __future__ import annotations

import os
import threading

import structlog
from watchdog.events import (
    DirModifiedEvent,
    FileClosedEvent,
    FileClosedNoWriteEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileOpenedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import ObservedWatch

from mediad.watcher.ports import Rules, Sink

log = structlog.get_logger()

_IGNORED = (FileOpenedEvent, FileClosedNoWriteEvent)


class RecursiveSource(FileSystemEventHandler):
    """Watches one volume with one recursive watch.

    Directories that are excluded raise events too; these are dropped here. A thread looks every `check_seconds` whether
    the root is still the same directory, and watches it anew if not, because the observer goes silent then. What the
    system itself drops (FSEvents does, under load) is not told by watchdog; the periodic sweep finds it.
    """

    def __init__(self, root: bytes, rules: Rules, sink: Sink, *, check_seconds: float) -> None:
        self._root = root
        self._real_root = root
        self._rules = rules
        self._sink = sink
        self._check_seconds = check_seconds
        self._stopping = threading.Event()
        self._observer = Observer()
        self._watch: ObservedWatch | None = None
        self._watched: tuple[int, int] | None = None
        self._thread = threading.Thread(target=self._run, name="watch-root", daemon=True)

    def start(self) -> None:
        """Begin; a recursive hint of the root follows when the watch is in place."""
        self._observer.start()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._observer.stop()
        self._observer.join()

    @property
    def busy(self) -> bool:
        """It tells at once."""
        return False

    def _run(self) -> None:
        self._check()
        while not self._stopping.wait(self._check_seconds):
            self._check()

    def _check(self) -> None:
        try:
            status = os.stat(self._root)
            now = (status.st_dev, status.st_ino)
        except OSError:
            now = None
        if now == self._watched:
            return
        self._watched = now
        if self._watch is not None:
            self._observer.unschedule(self._watch)
            self._watch = None
        if now is not None:
            self._schedule()
        self._sink.changed(b"", recursive=True)

    def _schedule(self) -> None:
        self._real_root = os.path.realpath(self._root)  # FSEvents reports real paths
        try:
            self._watch = self._observer.schedule(self, os.fsdecode(self._real_root), recursive=True)
        except OSError as error:
            log.warning("root cannot be watched", root=os.fsdecode(self._root), error=str(error))
            self._watched = None

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called by the observer, in its thread."""
        if isinstance(event, _IGNORED):
            return
        for path in (event.src_path, event.dest_path):
            relpath = self._relpath(os.fsencode(path))
            if relpath is not None:
                self._tell(event, relpath)

    def _relpath(self, path: bytes) -> bytes | None:
        if path == self._real_root:
            return b""
        prefix = self._real_root.rstrip(b"/") + b"/"
        return path[len(prefix) :] if path.startswith(prefix) else None

    def _tell(self, event: FileSystemEvent, relpath: bytes) -> None:
        reldir = relpath if event.is_directory else os.path.dirname(relpath)
        if self._rules.skip_directory(reldir):
            return
        if event.is_directory:
            self._sink.changed(reldir, recursive=not isinstance(event, DirModifiedEvent))
        elif self._rules.wanted(relpath):
            if isinstance(event, FileClosedEvent | FileMovedEvent):
                self._sink.closed(relpath)
            self._sink.changed(reldir, recursive=False, quick=not isinstance(event, FileModifiedEvent))
