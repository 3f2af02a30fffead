"""The watches of one volume: put on directories and taken off them, consistently, from two threads."""

# ruff: noqa: PTH118 - names on disk are bytes, which pathlib cannot hold

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterable

from watchdog.observers.inotify_c import InotifyConstants as In
from watchdog.observers.inotify_c import InotifyFD, Mask, WatchDescriptor

from mediad.watcher.nodes import Node, Owner

_REFUSED = WatchDescriptor(-1)
_MASK = Mask(
    In.IN_CREATE
    | In.IN_DELETE
    | In.IN_MOVED_FROM
    | In.IN_MOVED_TO
    | In.IN_CLOSE_WRITE
    | In.IN_MODIFY
    | In.IN_ATTRIB
    | In.IN_DELETE_SELF
    | In.IN_MOVE_SELF
    | In.IN_ONLYDIR
    | In.IN_EXCL_UNLINK
)


class Forest:
    """Watches on directories below `root`, held by one inotify instance of their own.

    Only one thread may `put`; any may `drop`. watchdog's own recursive mode is not used, because it also watches
    what is excluded, and passes over the directories that it could not watch without a word.
    """

    def __init__(self, root: bytes, owner: Owner, *, follow_symlinks: bool) -> None:
        """Make the inotify instance.

        Raises:
            OSError: EMFILE, too many of them.
        """
        self._root_path = root
        self._owner = owner
        self._mask = _MASK if follow_symlinks else Mask(_MASK | In.IN_DONT_FOLLOW)
        self._lock = threading.RLock()
        self._root: Node | None = None
        self._count = 0
        self._inotify = InotifyFD()
        self._inotify.start()

    @property
    def watched(self) -> int:
        """Number of directories with a watch."""
        return self._count

    @property
    def rooted(self) -> bool:
        """Whether the root has a watch."""
        return self._root is not None

    @property
    def alive(self) -> bool:
        """Whether events are still being read."""
        return self._inotify.is_alive()

    def find(self, relpath: bytes) -> Node | None:
        node = self._root
        for part in relpath.split(b"/") if relpath else ():
            if node is None:
                return None
            node = node.child(part)
        return node

    def put(self, relpath: bytes) -> Node | None:
        """Watch a directory, or make sure that its watch is on what is there now; None if that cannot be.

        Raises:
            OSError: ENOSPC, the limit of watches is reached.
        """
        parent_path, _, name = relpath.rpartition(b"/")
        with self._lock:
            parent = self.find(parent_path) if relpath else None
            if relpath and parent is None:
                return None  # gone, or its own turn is still to come
            node = Node(self._owner, parent, name)
            if not self._add(node, os.path.join(self._root_path, relpath) if relpath else self._root_path):
                return None
            return self._place(node)

    def _add(self, node: Node, path: bytes) -> bool:
        mask = self._mask if node.parent is not None else Mask(self._mask & ~In.IN_DONT_FOLLOW)
        try:
            node.wd = self._inotify.add_callback(path, mask, node, node.callback_id)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise
            return False
        if node.wd == _REFUSED:  # watchdog keeps EACCES to itself, and the callback under this number
            self._inotify.remove_callbacks([(node.wd, node.callback_id)])
            return False
        self._count += 1
        return True

    def _place(self, node: Node) -> Node:
        old = self._root if node.parent is None else node.parent.child(node.name)
        if old is not None and old.wd == node.wd:
            self._remove([node])
            return old
        if old is not None:
            self._remove(old.family())
        if node.parent is None:
            self._root = node
        else:
            node.parent.put(node)
        return node

    def drop(self, node: Node) -> bool:
        """Take the watches off a directory and all below it; whether it had one."""
        with self._lock:
            if node.parent is None:
                if self._root is not node:
                    return False
                self._root = None
            elif node.parent.child(node.name) is node:
                node.parent.take(node.name)
            else:
                return False
            self._remove(node.family())
            return True

    def drop_root(self) -> bool:
        """Take all watches off; whether there were any."""
        with self._lock:
            return self._root is not None and self.drop(self._root)

    def keep_only(self, node: Node, names: Iterable[bytes]) -> None:
        """Take the watches off subdirectories that are not among `names`."""
        with self._lock:
            for gone in set(node.children or ()).difference(names):
                child = node.child(gone)
                if child is not None:
                    self.drop(child)

    def _remove(self, nodes: Iterable[Node]) -> None:
        callbacks = []
        for node in nodes:
            if node.wd != _REFUSED:
                callbacks.append((node.wd, node.callback_id))
                node.wd = _REFUSED
        self._count -= len(callbacks)
        self._inotify.remove_callbacks(callbacks)

    def close(self) -> None:
        self._inotify.stop()
        self._inotify.join()
