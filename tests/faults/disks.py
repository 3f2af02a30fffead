"""File systems of a test's own, as drives that are plugged in and out: in memory, or ext4 behind a loop device."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mediad.volume.mounts import mounts

KINDS = ("tmpfs", "ext4")


def _do(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"{command} exited {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()


@dataclass
class Disk:
    """A file system that stands at `at` while it is plugged in, and keeps its content while it is not."""

    home: Path
    at: Path | None = field(default=None, init=False)

    def plug(self, point: Path) -> Path:
        """Mount it there."""
        point.mkdir(parents=True, exist_ok=True)
        self._mount(point)
        self.at = point
        return point

    def unplug(self, *, lazy: bool = False) -> None:
        """Unmount it; without `lazy` that fails where anything holds a file of it open."""
        assert self.at is not None
        _do("umount", *(["--lazy"] if lazy else []), self.at)
        self.at = None

    def _mount(self, point: Path) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing of it is left in the system."""


class Memory(Disk):
    """A tmpfs lives only while it is mounted somewhere, so it stays at a place that no volume knows of."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        home.mkdir(parents=True)
        _do("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", home)

    def _mount(self, point: Path) -> None:
        _do("mount", "--bind", self.home, point)


class Ext4(Disk):
    """An image behind a loop device, which stays attached over a lazy unmount: the old mount may still be in use."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        home.mkdir(parents=True)
        self._image = home / "image"
        with self._image.open("wb") as file:
            file.truncate(64 << 20)
        _do(_tool("mkfs.ext4"), "-q", "-N", "16384", "-E", "lazy_itable_init=0", self._image)
        self._device = ""

    def _mount(self, point: Path) -> None:
        if not self._device:
            self._device = _do(_tool("losetup"), "--find", "--show", self._image)
        _do("mount", "-t", "ext4", self._device, point)

    def unplug(self, *, lazy: bool = False) -> None:
        super().unplug(lazy=lazy)
        if not lazy:
            self.close()

    def close(self) -> None:
        if self._device:
            _do(_tool("losetup"), "--detach", self._device)
            self._device = ""


def _tool(name: str) -> str:
    """Where a tool of the administrator's is, whether or not that is on the path."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin") or name


MakeDisk = Callable[..., Disk]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[MakeDisk]:
    """Make a file system of a kind; all are unmounted and detached at the end of the test."""
    made: list[Disk] = []

    def make(kind: str) -> Disk:
        try:
            made.append((Memory if kind == "tmpfs" else Ext4)(tmp_path / f"disk-{len(made)}"))
            made[-1].plug(tmp_path / "try")
            made[-1].unplug()
        except (AssertionError, FileNotFoundError) as error:
            pytest.skip(f"needs to mount a {kind}: {error}")
        return made[-1]

    yield make
    _unmount_below(tmp_path)
    for one in made:
        one.close()


def _unmount_below(directory: Path) -> None:
    points = [Path(mount.mount_point.decode("utf-8", "surrogateescape")) for mount in mounts()]
    for point in reversed([point for point in points if point.is_relative_to(directory)]):
        subprocess.run(["umount", "--lazy", point], check=False)
