"""Linux: one inotify watch for each directory that is not excluded."""

# ruff: noqa: PTH112, PTH116, PTH118 - names on disk are bytes, which pathlib cannot hold

from __future__ import annotations

import contextlib
import os
import threading
import time

import structlog
from watchdog.observers.inotify_c import InotifyConstants as In
from watchdog.observers.inotify_c import InotifyEvent

from mediad.watcher.cover import Cover
from mediad.watcher.mount_changes import MountChanges
from mediad.watcher.nodes import Node
from mediad.watcher.ports import Rules, Sink

log = structlog.get_logger()

_RETRY_SECONDS = 60.0
"""How often to try again to watch what could not be watched: the user may have raised the limit."""

_STOP_SECONDS = 3.0
"""How long to wait for a coverer that may hang on a dead disk."""

_RootState = tuple[int, int, bool]
"""Device, inode, and whether it may be looked into."""

_GONE = In.IN_DELETE | In.IN_MOVED_FROM
_CAME = In.IN_CREATE | In.IN_MOVED_TO
_SELF_GONE = In.IN_DELETE_SELF | In.IN_MOVE_SELF | In.IN_UNMOUNT


class InotifySource:
    """Watches one volume.

    Two threads: inotify's reader takes events and passes them on, with hardly a look at the disk, so that the kernel's
    queue does not run over; the *coverer* walks the directories that appear and puts watches on them.

    The order is what makes this sound: a directory gets its watch, is then listed for subdirectories, and when all
    below it is watched, a recursive hint goes out. So what came before the watch is found by the scan, and what comes
    after it raises an event. The same is done for the whole volume at the start, after an overflow, and when the root
    is deleted, replaced, unmounted or mounted over, which the coverer looks for every `check_seconds`.
    """

    def __init__(self, root: bytes, rules: Rules, sink: Sink, *, check_seconds: float) -> None:
        self._root = root
        self._rules = rules
        self._sink = sink
        self._check_seconds = check_seconds
        self._jobs: dict[bytes, None] = {b"": None}
        self._covering = False
        self._wake = threading.Condition()
        self._stopping = False
        self._cover = Cover(root, rules, sink, self, lambda: self._stopping)
        self._mounts: MountChanges | None = None
        self._root_seen: _RootState | None = None
        self._retry_at = 0.0
        self._thread = threading.Thread(target=self._run, name="watch-coverer", daemon=True)

    def start(self) -> None:
        """Begin; watches follow in the background, and a recursive hint of the root when all are in place."""
        self._thread.start()

    def stop(self) -> None:
        """Take all watches off and end the threads."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join(_STOP_SECONDS)

    @property
    def busy(self) -> bool:
        """Whether there are directories to cover, which are hinted at once that is done."""
        return self._covering or bool(self._jobs)

    # The coverer's thread.

    def _run(self) -> None:
        with contextlib.suppress(OSError):
            self._mounts = MountChanges(self._root)
        try:
            while not self._stopping:
                job = self._next_job()
                if job is None:
                    self._check()
                else:
                    self._do(job)
        finally:
            self._cover.close()
            if self._mounts is not None:
                self._mounts.close()

    def _next_job(self) -> bytes | None:
        """The next directory to cover, which covers those below it; None when it is time for a check, or to stop."""
        with self._wake:
            self._covering = False
            if not self._jobs and not self._stopping:
                self._wake.wait(self._check_seconds)
            if not self._jobs:
                return None
            self._covering = True
            job = next(iter(self._jobs))
            prefix = job + b"/" if job else b""
            for reldir in [reldir for reldir in self._jobs if reldir == job or reldir.startswith(prefix)]:
                del self._jobs[reldir]
            return job

    def _enqueue(self, reldir: bytes) -> None:
        with self._wake:
            self._jobs.setdefault(reldir)
            self._wake.notify()

    def _do(self, reldir: bytes) -> None:
        if not reldir:
            self._root_seen = self._root_state()
            self._retry_at = time.monotonic() + _RETRY_SECONDS
        self._cover.spread(reldir)

    def _check(self) -> None:
        """Is the root still what we watch? Is there more to watch now?"""
        if self._cover.revive():
            self._root_seen = None
        now = self._root_state()
        retry = time.monotonic() >= self._retry_at
        if now is None:
            self._lose_root()
        elif now != self._root_seen or (retry and self._cover.complete and not self._cover.rooted):
            self._enqueue(b"")
        for reldir in self._mounts.take() if self._mounts is not None else ():
            self._enqueue(reldir)
        if retry and not self._cover.complete:
            self._retry_at = time.monotonic() + _RETRY_SECONDS
            self._cover.retry()

    def _root_state(self) -> _RootState | None:
        try:
            status = os.stat(self._root)
        except OSError:
            return None
        return status.st_dev, status.st_ino, os.access(self._root, os.R_OK | os.X_OK)

    def _lose_root(self) -> None:
        self._root_seen = None
        if self._cover.forest is not None and self._cover.forest.drop_root():
            log.info("watched root is gone", root=os.fsdecode(self._root))
            self._sink.changed(b"", recursive=True)

    # The reader's thread: what the kernel says.

    def on_node_event(self, node: Node, event: InotifyEvent) -> None:
        """Something happened in a directory, or to it (then the event has no name)."""
        if not event.name:
            self._on_self(node, event.mask)
        elif self._is_directory(node, event):
            self._on_directory(node, event)
        elif self._rules.wanted(relpath := node.path_of(event.name)):
            if event.mask & (In.IN_CLOSE_WRITE | In.IN_MOVED_TO):
                self._sink.closed(relpath)
            self._sink.changed(node.relpath, recursive=False, quick=not event.mask & In.IN_MODIFY)

    def _on_self(self, node: Node, mask: int) -> None:
        if mask & In.IN_ATTRIB and node.parent is None:
            self._on_attributes(node, b"")
        elif mask & In.IN_UNMOUNT or (mask & _SELF_GONE and node.parent is None):
            self.on_node_ended(node)

    def _is_directory(self, node: Node, event: InotifyEvent) -> bool:
        if event.mask & In.IN_ISDIR or node.child(event.name) is not None:
            return True
        if not (self._rules.follow_symlinks and event.mask & _CAME):
            return False
        return os.path.isdir(os.path.join(self._root, node.path_of(event.name)))  # a link to a directory

    def _on_directory(self, node: Node, event: InotifyEvent) -> None:
        relpath = node.path_of(event.name)
        child = node.child(event.name)
        forest = self._cover.forest
        if event.mask & _GONE and child is not None and forest is not None:
            forest.drop(child)
        if self._rules.skip_directory(relpath):
            return
        if event.mask & _GONE:
            self._sink.changed(relpath, recursive=True)
        elif event.mask & _CAME or child is None:
            self._enqueue(relpath)
        elif event.mask & In.IN_ATTRIB:
            self._on_attributes(child, relpath)

    def _on_attributes(self, node: Node, relpath: bytes) -> None:
        """Of all that can change about a directory, only whether we may look inside matters."""
        if not os.access(os.path.join(self._root, relpath) if relpath else self._root, os.R_OK | os.X_OK):
            node.blind = True
        elif node.blind:
            self._enqueue(relpath)

    def on_node_ended(self, node: Node) -> None:
        """The kernel took the watch off: the directory is deleted, unmounted, or (the root) moved away."""
        relpath = node.relpath
        forest = self._cover.forest
        if not self._stopping and forest is not None and forest.drop(node):
            self._sink.changed(relpath, recursive=True)
            self._enqueue(relpath)  # an unmounted directory leaves the one that it was mounted over

    def on_overflow(self) -> None:
        """The kernel's queue ran over."""
        self._sink.overflowed()
        self._enqueue(b"")
