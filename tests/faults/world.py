"""Two volumes and what is on them, kept twice: on the disk, and in a dictionary that the daemon is measured against.

Every operation is done to the disk and to the dictionary. Beside them stands what decides how exact the daemon must be:
what it told at the last check, which paths it may have seen otherwise since then, and which contents it ever saw.
"""

from __future__ import annotations

import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tests.faults.drive import Drive


@dataclass
class Node:
    """What hard links share."""

    data: bytes


@dataclass(frozen=True)
class Thing:
    """A file at a path. `token` names what a person would call the same file, wherever it was moved."""

    node: Node
    token: int


@dataclass(frozen=True)
class Told:
    """What the catalog said of a path at the last check."""

    file_id: str
    data: bytes
    token: int | None


class World:
    """Volume `a` is a directory, `b` a drive; `outside` is on no volume.

    `hidden` paths are there but out of the daemon's sight: on an unplugged drive, or in a locked folder.
    """

    def __init__(self, home: Path) -> None:
        self.a, self.b, self.outside = home / "a", home / "b", home / "outside"
        self.a.mkdir()
        self.outside.mkdir()
        self.drive = Drive(self.b, home / "held")
        self.configured = {self.a, self.b}
        self.locked: set[Path] = set()
        self.files: dict[Path, Thing] = {}
        self.shown: set[bytes] = set()
        self.told: dict[Path, Told] = {}
        self.touched: set[Path] = set()
        self.spoiled: set[int] = set()
        self.owners: dict[bytes, set[int]] = defaultdict(set)
        self._tokens = count()

    # -- what is where

    def volume_of(self, path: Path) -> Path:
        return next(root for root in (self.a, self.b, self.outside) if path.is_relative_to(root))

    def real(self, path: Path) -> Path:
        """Where a path can be reached now."""
        if self.drive.away and path.is_relative_to(self.b):
            return self.drive.held / path.relative_to(self.b)
        return path

    def is_locked(self, path: Path) -> bool:
        return any(path.is_relative_to(folder) for folder in self.locked)

    def hidden(self, path: Path) -> bool:
        return self.is_locked(path) or (self.drive.away and path.is_relative_to(self.b))

    def visible(self, path: Path) -> bool:
        return self.volume_of(path) in self.configured and not self.hidden(path)

    def state(self, volume: Path) -> str:
        """What the daemon must call it."""
        if self.drive.away and volume == self.b:
            return "offline"
        return "unreadable" if volume in self.locked else "online"

    def within_reach(self) -> list[Path]:
        """Files that can be worked on."""
        return sorted(path for path in self.files if self.volume_of(path) != self.outside and not self.is_locked(path))

    def folders(self) -> list[Path]:
        """Folders below the volumes' roots and outside of which everything can be worked on."""
        found = []
        for root in (self.a, self.b, self.outside):
            real = self.real(root)
            found += [root / path.relative_to(real) for path in real.rglob("*") if path.is_dir()]
        return sorted(path for path in found if not self.is_locked(path) and not self._locked_inside(path))

    def _locked_inside(self, folder: Path) -> bool:
        return any(locked.is_relative_to(folder) for locked in self.locked)

    # -- files

    def write(self, path: Path, data: bytes, how: str) -> None:
        """`how`: "plain", "replace" (by another file), or "hide" (in place, with its time of change restored)."""
        real = self.real(path)
        real.parent.mkdir(parents=True, exist_ok=True)
        if path in self.files and how == "hide":
            was = real.stat()
            with real.open("r+b") as file:
                file.write(data)
            os.utime(real, ns=(was.st_atime_ns, was.st_mtime_ns))
            self._edit(path, data)
        elif path in self.files and how == "plain":
            real.write_bytes(data)
            self._edit(path, data)
        else:
            fresh = real.with_suffix(".part") if how == "replace" else real
            fresh.write_bytes(data)
            fresh.replace(real)
            before = self.files.get(path)
            self._land(path, Thing(Node(data), before.token if before else next(self._tokens)), moved=False)

    def copy(self, source: Path, target: Path, *, link: bool) -> None:
        """A copy with the same times, or a second name where that is possible."""
        real = self.real(target)
        real.parent.mkdir(parents=True, exist_ok=True)
        link = link and self.volume_of(source) == self.volume_of(target)
        (os.link if link else shutil.copy2)(self.real(source), real)
        node = self.files[source].node
        self._land(target, Thing(node if link else Node(node.data), next(self._tokens)), moved=False)

    def move(self, source: Path, target: Path) -> None:
        """Onto whatever is there; across volumes by copying and deleting. A folder moves with all that is in it."""
        real = self.real(target)
        real.parent.mkdir(parents=True, exist_ok=True)
        if self._one_file(source, target):
            return  # two names of one file: the system does nothing
        same = self._filesystem(source) == self._filesystem(target)
        if target in self.files and not same:
            real.unlink()  # as mv does; else what it is copied into may have other names
        shutil.move(self.real(source), real)
        for path in self._below(source):
            thing = self._leave(path)
            alone = Thing(thing.node if same else Node(thing.node.data), thing.token)
            self._land(target / path.relative_to(source), alone, moved=True)

    def swap(self, one: Path, other: Path) -> None:
        """Two files of one volume take each other's name."""
        if self._one_file(one, other):
            return
        aside = self.real(one).with_name("aside.part")
        self.real(one).rename(aside)
        self.real(other).rename(self.real(one))
        aside.rename(self.real(other))
        for path in (one, other):
            self._touch(path)
            if not self.visible(path) or path not in self.told or self.told[path].token != self.files[path].token:
                self.spoiled |= {self.files[one].token, self.files[other].token}
        self.files[one], self.files[other] = self.files[other], self.files[one]

    def remove(self, path: Path) -> None:
        """A file, or a folder and all that is in it."""
        real = self.real(path)
        if path in self.files:
            real.unlink()
        else:
            shutil.rmtree(real)
        for one in self._below(path):
            self._leave(one)

    # -- what happens to volumes and folders

    def lock(self, folder: Path) -> None:
        self.real(folder).chmod(0)
        self.locked.add(folder)

    def unlock(self, folder: Path) -> None:
        self.real(folder).chmod(0o755)
        self.locked.remove(folder)
        self._reveal(folder)

    def unplug(self) -> None:
        self.drive.unplug()

    def plug(self) -> None:
        self.drive.plug()
        self._reveal(self.b)

    def leave_out(self, volume: Path) -> None:
        """It is configured no more: all that was known of its files may be forgotten."""
        self.configured.remove(volume)
        for path in [path for path in self.told if path.is_relative_to(volume)]:
            del self.told[path]
            self.touched.add(path)

    def take_in(self, volume: Path) -> None:
        self.configured.add(volume)
        self._reveal(volume)

    def checked(self, catalog: dict[Path, tuple[str, bytes]]) -> None:
        """The catalog holds these: path -> (file id, content)."""
        kept = {path for path, told in self.told.items() if path not in self.touched and self._is(path, told.token)}
        tokens = {path: thing.token for path, thing in self.files.items() if self.visible(path) or path in kept}
        self.told = {path: Told(file_id, data, tokens.get(path)) for path, (file_id, data) in catalog.items()}
        self.touched, self.spoiled = set(), set()

    def end(self) -> None:
        self.drive.end()

    # -- the dictionary

    def _is(self, path: Path, token: int | None) -> bool:
        return path in self.files and self.files[path].token == token

    def _filesystem(self, path: Path) -> bool:
        return path.is_relative_to(self.b)

    def _one_file(self, one: Path, other: Path) -> bool:
        return one in self.files and other in self.files and self.files[one].node is self.files[other].node

    def _below(self, path: Path) -> list[Path]:
        return sorted(one for one in self.files if one.is_relative_to(path))

    def _same_node(self, node: Node) -> Iterator[tuple[Path, Thing]]:
        return ((path, thing) for path, thing in self.files.items() if thing.node is node)

    def _edit(self, path: Path, data: bytes) -> None:
        node = self.files[path].node
        node.data = data
        for one, thing in self._same_node(node):
            self._note(one, thing)
            self.spoiled.add(thing.token)

    def _leave(self, path: Path) -> Thing:
        thing = self.files.pop(path)
        self._touch(path)
        if not self.visible(path):
            self.spoiled.add(thing.token)
        return thing

    def _land(self, path: Path, thing: Thing, *, moved: bool) -> None:
        """A file comes to stand at a path. Where another one was told to be, nobody can say which is which."""
        told = self.told.get(path)
        if told is not None and told.token is not None and told.token != thing.token:
            self.spoiled |= {told.token, thing.token}
        if not moved or not self.visible(path):
            self.spoiled.add(thing.token)
        self.files[path] = thing
        self._note(path, thing)

    def _note(self, path: Path, thing: Thing) -> None:
        self.owners[thing.node.data].add(thing.token)
        self._touch(path)
        if self.visible(path):
            self.shown.add(thing.node.data)

    def _touch(self, path: Path) -> None:
        if self.visible(path):
            self.touched.add(path)

    def _reveal(self, root: Path) -> None:
        """It can be seen again: what became of its files meanwhile counts as done now."""
        for path in [*self.told, *self.files]:
            if path.is_relative_to(root) and self.visible(path):
                there, told = self.files.get(path), self.told.get(path)
                if there is None or told is None or there.node.data != told.data:
                    self.touched.add(path)
                if there is not None:
                    self.shown.add(there.node.data)
