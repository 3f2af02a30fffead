"""What mediad writes and what it watches: room, permissions, volumes, the limits of watching."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from mediad.config import Locations, Settings, VolumeSettings
from mediad.model import VolumeState
from mediad.volume.health import check
from mediad.volume.mounts import is_remote, mount_of

from .finding import Finding, Level

_WATCHES = Path("/proc/sys/fs/inotify/max_user_watches")
_LITTLE, _TOO_LITTLE = 2_000_000_000, 200_000_000  # bytes
_COUNTING_SECONDS = 5.0


def places(settings: Settings, locations: Locations) -> Iterator[Finding]:
    """Findings on our own directories, on each volume, and on how many directories can be watched."""
    yield _directory("state directory", locations.state)
    yield _directory("catalog directory", locations.catalog)
    watched = []
    for volume in settings.volumes:
        finding, watchable = _volume(volume)
        watched += [volume.path] if watchable else []
        yield finding
    if _WATCHES.exists():
        yield _inotify(watched)


def _directory(name: str, path: Path) -> Finding:
    """Whether we can write at `path` (or make it), and how much room there is."""
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Finding(name, Level.PROBLEM, f"{path} cannot be written by this user", "name another, or use its owner")
    free = shutil.disk_usage(existing).free
    text = f"{path}, {free / 1e9:.1f} GB free"
    if free < _TOO_LITTLE:
        return Finding(name, Level.PROBLEM, text, "make room: mediad needs at least 200 MB to go on")
    if free < _LITTLE:
        return Finding(name, Level.NOTE, text, "previews take about 50 kB an image")
    return Finding(name, Level.OK, text)


def _volume(volume: VolumeSettings) -> tuple[Finding, bool]:
    """What is known of a volume, and whether it can be watched rather than polled."""
    name = f"volume {volume.name or volume.path}"
    health = check(os.fsencode(volume.path), None)
    if health.state is VolumeState.OFFLINE:
        text = f"{volume.path} {health.reason}"
        return Finding(name, Level.NOTE, text, "if it is a drive that is away, all is well"), False
    if health.state is VolumeState.UNREADABLE:
        return Finding(name, Level.PROBLEM, f"{volume.path}: {health.reason}", "let this user read it"), False
    mount = mount_of(os.fsencode(volume.path))
    fstype = mount.fstype if mount else "unknown file system"
    polled = volume.poll == "always" or (volume.poll == "auto" and is_remote(fstype))
    text = f"{volume.path} ({fstype}, {'polled' if polled else 'watched'})"
    return Finding(name, Level.OK, text), not polled


def _inotify(roots: list[Path]) -> Finding:
    """How many directories there are to watch, against how many one user may."""
    limit = int(_WATCHES.read_text())
    needed, whole = count_directories(roots)
    text = f"{needed}{'' if whole else ' or more'} directories to watch, {limit} possible"
    if needed * 5 > limit * 4:  # other programs of this user watch too
        more = max(524_288, 2 * needed)
        advice = (
            f"echo fs.inotify.max_user_watches={more} | sudo tee /etc/sysctl.d/60-mediad.conf && sudo sysctl --system"
        )
        return Finding("inotify", Level.NOTE, f"{text}: those beyond the limit are polled", advice)
    return Finding("inotify", Level.OK, text)


def count_directories(roots: list[Path], seconds: float = _COUNTING_SECONDS) -> tuple[int, bool]:
    """Directories at and below `roots`, hidden ones left out; False where `seconds` did not suffice to see all."""
    end = time.monotonic() + seconds
    count = 0
    for root in roots:
        for _, folders, _ in os.walk(root):
            folders[:] = [name for name in folders if not name.startswith(".")]
            count += 1
            if time.monotonic() > end:
                return count, False
    return count, True
