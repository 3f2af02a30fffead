"""File systems that tests plug in and out: what is on them survives, held by a mount elsewhere."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest


def mount(*arguments: object) -> None:
    """Skip the test where nothing may be mounted."""
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs leave to mount: {done.stderr.strip()}")


def unmount(point: Path) -> None:
    """Whatever is mounted there, and whoever uses it."""
    while subprocess.run(["mountpoint", "-q", point]).returncode == 0:
        subprocess.run(["umount", "--lazy", point], check=True)


class Drive:
    """A tmpfs at `point`; its files can be reached at `held` too, which is where they stay while it is unplugged."""

    def __init__(self, point: Path, held: Path) -> None:
        self.point, self.held = point, held
        self.away = False
        point.mkdir()
        held.mkdir()
        mount("-t", "tmpfs", "-o", "size=16m", "tmpfs", point)
        try:
            mount("--bind", point, held)
        except BaseException:
            unmount(point)
            raise

    def unplug(self) -> None:
        """The mount point is an empty directory now."""
        unmount(self.point)
        self.away = True

    def plug(self) -> None:
        mount("--bind", self.held, self.point)
        self.away = False

    def end(self) -> None:
        unmount(self.point)
        unmount(self.held)
