"""The tree of watched directories, as inotify sees it: one node a watch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from watchdog.observers.inotify_c import CallbackId, InotifyEvent, WatchDescriptor

if TYPE_CHECKING:
    from typing import Self


class Owner(Protocol):
    """Whom a node tells what the kernel said of its directory."""

    def on_node_event(self, node: Node, event: InotifyEvent) -> None: ...
    def on_node_ended(self, node: Node) -> None: ...
    def on_overflow(self) -> None: ...


class Node:
    """A directory with a watch; it is the callback that watchdog's `InotifyFD` calls.

    Knows its name and its parent, not its path, so that a hundred thousand of them stay small. `blind` says that the
    directory could not be listed when last tried.
    """

    __slots__ = ("blind", "children", "name", "owner", "parent", "wd")

    def __init__(self, owner: Owner, parent: Self | None, name: bytes) -> None:
        self.owner = owner
        self.parent = parent
        self.name = name
        self.wd = WatchDescriptor(-1)
        self.children: dict[bytes, Node] | None = None
        self.blind = False

    @property
    def callback_id(self) -> CallbackId:
        return CallbackId(id(self))

    @property
    def relpath(self) -> bytes:
        """Relative to the root of the volume."""
        parts = []
        node: Node | None = self
        while node is not None and node.parent is not None:
            parts.append(node.name)
            node = node.parent
        return b"/".join(reversed(parts))

    def path_of(self, name: bytes) -> bytes:
        """The relative path of something in this directory."""
        relpath = self.relpath
        return relpath + b"/" + name if relpath else name

    def child(self, name: bytes) -> Node | None:
        return self.children.get(name) if self.children else None

    def put(self, child: Node) -> None:
        if self.children is None:
            self.children = {}
        self.children[child.name] = child

    def take(self, name: bytes) -> Node | None:
        return self.children.pop(name, None) if self.children else None

    def family(self) -> Iterator[Node]:
        """This node and all below it."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            if node.children:
                waiting.extend(node.children.values())

    # What InotifyFD calls, in its own thread.

    def on_event(self, event: InotifyEvent) -> None:
        self.owner.on_node_event(self, event)

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        if wd == self.wd:
            self.owner.on_node_ended(self)

    def on_queue_overflow(self) -> None:
        if self.parent is None:  # each node is told; the queue is one
            self.owner.on_overflow()
