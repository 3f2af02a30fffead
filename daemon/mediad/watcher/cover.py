"""Putting watches on a directory and all below it, and knowing which are without."""

# ruff: noqa: PTH118 - names on disk are bytes, which pathlib cannot hold

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable

import structlog

from mediad.watcher import limits
from mediad.watcher.forest import Forest
from mediad.watcher.nodes import Node, Owner
from mediad.watcher.ports import Rules, Sink

log = structlog.get_logger()

_MOST_UNCOVERED = 256
"""Beyond so many directories without a watch, the whole volume is polled instead."""


class Cover:
    """The watches of one volume, and the directories that the kernel's limits leave without. Used by one thread."""

    def __init__(self, root: bytes, rules: Rules, sink: Sink, owner: Owner, stopping: Callable[[], bool]) -> None:
        self._root = root
        self._rules = rules
        self._sink = sink
        self._owner = owner
        self._stopping = stopping
        self._uncovered: set[bytes] = set()
        self._advice = ""
        self.forest: Forest | None = None

    @property
    def rooted(self) -> bool:
        """Whether the root has a watch."""
        return self.forest is not None and self.forest.rooted

    @property
    def complete(self) -> bool:
        """Whether nothing is without a watch because of the kernel's limits."""
        return not self._uncovered

    def spread(self, reldir: bytes) -> None:
        """Watch `reldir` and all below it, then hint that it be scanned."""
        before = frozenset(self._uncovered)
        self._uncovered -= {old for old in before if old == reldir or not reldir or old.startswith(reldir + b"/")}
        refusal, missing = self._walk(reldir)
        if refusal is not None and not self._advice:
            self._advice = limits.advice(refusal, self._watched + missing)
        if self._uncovered != before:
            self._report()
        if refusal is None or reldir not in before:  # a retry in vain has nothing to say
            self._sink.changed(reldir, recursive=True)

    def retry(self) -> None:
        """Try what the kernel refused before: its limit may have been raised."""
        for reldir in sorted(self._uncovered):
            self.spread(reldir)
            if reldir in self._uncovered:
                return

    def revive(self) -> bool:
        """Whether the reader of events had died. If so all watches are given up, to be put in place anew."""
        if self.forest is None or self.forest.alive:
            return False
        log.error("reader of file system events ended; starting another", root=os.fsdecode(self._root))
        self.close()
        return True

    def close(self) -> None:
        """Take all watches off."""
        if self.forest is not None:
            self.forest.close()
            self.forest = None

    @property
    def _watched(self) -> int:
        return self.forest.watched if self.forest is not None else 0

    def _report(self) -> None:
        if len(self._uncovered) > _MOST_UNCOVERED:
            self._uncovered = {b""}
        if not self._uncovered:
            self._advice = ""
        self._sink.uncovered(frozenset(self._uncovered), watched=self._watched, advice=self._advice)

    def _walk(self, start: bytes) -> tuple[OSError | None, int]:
        """Put watches on `start` and below. What the kernel refused, and how many directories go without for it."""
        refusal: OSError | None = None
        missing = 0
        waiting = deque([(start, False)])
        while waiting and not self._stopping():
            reldir, only_count = waiting.popleft()
            node = None
            if not only_count:
                try:
                    node = self._watch(reldir)
                except OSError as error:
                    refusal, only_count = error, True
                    self._uncovered.add(reldir)
            missing += only_count
            # Once the user was told how many watches are needed, what cannot be watched need not be counted again.
            if node is not None or (only_count and not self._advice):
                waiting.extend((child, only_count) for child in self._subdirectories(reldir, node))
        return refusal, missing

    def _watch(self, reldir: bytes) -> Node | None:
        if self.forest is None:
            self.forest = Forest(self._root, self._owner, follow_symlinks=self._rules.follow_symlinks)
        return self.forest.put(reldir)

    def _subdirectories(self, reldir: bytes, node: Node | None) -> list[bytes]:
        path = os.path.join(self._root, reldir) if reldir else self._root
        prefix = reldir + b"/" if reldir else b""
        try:
            with os.scandir(path) as entries:
                names = [entry.name for entry in entries if self._leads_down(entry, reldir)]
        except OSError:
            if node is not None:
                node.blind = True
            return []
        names = [name for name in names if not self._rules.skip_directory(prefix + name)]
        if node is not None and self.forest is not None:
            node.blind = False
            self.forest.keep_only(node, names)
        return [prefix + name for name in names]

    def _leads_down(self, entry: os.DirEntry[bytes], reldir: bytes) -> bool:
        """Whether this is a directory, or a link to one that is followed and does not lead back up."""
        follow = self._rules.follow_symlinks
        try:
            if not entry.is_dir(follow_symlinks=follow):
                return False
            return not (follow and entry.is_symlink() and self._leads_back(entry.stat(), reldir))
        except OSError:
            return False

    def _leads_back(self, status: os.stat_result, reldir: bytes) -> bool:
        parts = reldir.split(b"/") if reldir else []
        above = (os.path.join(self._root, *parts[:count]) for count in range(len(parts) + 1))
        return any(os.path.samestat(status, os.stat(path)) for path in above)  # noqa: PTH116 - bytes
