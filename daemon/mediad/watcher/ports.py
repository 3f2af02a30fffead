"""What the parts of the watcher ask of each other and of their user."""

from __future__ import annotations

from typing import Protocol


class Rules(Protocol):
    """What is to be watched; `mediad.volume.Rules` is one. Names are bytes relative to the root."""

    @property
    def follow_symlinks(self) -> bool: ...
    def skip_directory(self, relpath: bytes) -> bool: ...
    def wanted(self, relpath: bytes) -> bool: ...


class Sink(Protocol):
    """Where a source of events tells what it saw; called from the source's threads."""

    def changed(self, reldir: bytes, *, recursive: bool, quick: bool = True) -> None:
        """Something happened in `reldir`; not `quick`: a file there is being written to."""

    def closed(self, relpath: bytes) -> None:
        """A file that was written to was closed, or a file was moved to this place."""

    def overflowed(self) -> None:
        """Events were lost."""

    def uncovered(self, reldirs: frozenset[bytes], *, watched: int, advice: str) -> None:
        """From now on exactly these directories and all below them are without events, and why; `watched` have them."""


class Source(Protocol):
    """Something that watches one volume."""

    def start(self) -> None: ...
    def stop(self) -> None: ...

    @property
    def busy(self) -> bool:
        """Whether something happened of which it has yet to tell."""
