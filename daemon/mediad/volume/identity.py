"""What proves that the directory we look at is the volume we know. Nothing is ever written to the volume.

The evidence, strongest first:

* **marker**: the content of a file `.mediad-volume` in the root, if the user made one.
* **file system**: its UUID (from `/dev/disk/by-uuid` or udev's database), and `f_fsid` of the types that derive it
  from the UUID. Both survive reboots and remounts. btrfs and ZFS give each subvolume an `f_fsid` of its own, and tmpfs
  draws a new one at each mount.
* **root inode** and **path inside the file system**: which directory of it. The top directory has the same inode on
  every file system of a type (2 on ext4, 1 on tmpfs and FUSE), so alone it proves nothing there.
* **device number**: lasts only as long as the mount, and the next stick in the slot gets it again.
* **samples**: files that we know, looked for by path and size. They decide where the rest does not (NFS, FUSE,
  overlay, FAT without udev), and outweigh a different file system when nearly all are there with their times too: a
  library copied to another disk that now stands in the same place. (Memory cards of one camera hold the same names,
  and raw photos of the same sizes.)
"""

# ruff: noqa: PTH116, PTH118 - names on disk are bytes, which pathlib cannot hold

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from mediad.model import File
from mediad.volume import mounts

Identity = dict[str, Any]
Sample = tuple[bytes, int, int]
"""A known file: its path relative to the root, its size in bytes, its modification time in ns."""

MARKER = b".mediad-volume"
BY_UUID = Path("/dev/disk/by-uuid")
UDEV_DATA = Path("/run/udev/data")

# f_fsid of these comes from the UUID (ext, bcachefs), from UUID and subvolume (btrfs, zfs) or is drawn at each mount
# (tmpfs, since Linux 6.6; 0 before): fs/ext4/super.c, fs/btrfs/super.c, mm/shmem.c. Others use the device number.
_FSID_IS_IDENTITY = frozenset({"ext2", "ext3", "ext4", "btrfs", "bcachefs", "zfs", "tmpfs"})

FOUND_ENOUGH = 0.1
"""Share of samples that proves a volume when nothing else does: one path and size in ten is no coincidence."""
FOUND_ALL = 0.8
"""Share of unchanged samples that proves it against evidence to the contrary."""
_ZONES = 900 * 10**9
"""FAT keeps local time: seen from another zone, or after the clocks changed, times are off by quarters of an hour."""
_COARSE = 2 * 10**9
"""The coarsest resolution of times, FAT's."""


@dataclass(frozen=True, slots=True)
class Presence:
    """Shares of the samples that could be asked for: there with the same size, and with the same time too."""

    found: float
    unchanged: float


class Verdict(StrEnum):
    """Whether two identities are one volume."""

    SAME = "same"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


def identify(root: str | bytes) -> Identity:
    """The identity of the directory `root`, as plain JSON.

    Keys: `device`, `inode` (integers), `fsid` (hex), `fstype`, `source`, `inner` (path inside the file system), `uuid`,
    `marker`; the last five are None where not known.

    Raises:
        OSError: `root` cannot be reached.
    """
    path = os.path.realpath(os.fsencode(root), strict=True)
    status, space = os.stat(path), os.statvfs(path)
    mount = mounts.mount_of(path)
    return {
        "device": status.st_dev,
        "inode": status.st_ino,
        "fsid": f"{space.f_fsid & (1 << 64) - 1:016x}",
        "fstype": mount.fstype if mount else None,
        "source": mount.source if mount else None,
        "inner": mounts.inner_path(mount, path).decode("utf-8", "backslashreplace") if mount else None,
        "uuid": _uuid(mount) if mount else None,
        "marker": _marker(path),
    }


def _uuid(mount: mounts.Mount) -> str | None:
    """The UUID of the file system on a block device, as udev knows it; a sandbox may hide one source or both."""
    numbers = mount.device
    if mount.source.startswith("/dev/"):
        try:
            device = os.stat(mount.source).st_rdev  # btrfs mounts show an anonymous number, its disk has the real one
            numbers = f"{os.major(device)}:{os.minor(device)}"
        except OSError:
            pass  # a sandbox without /dev: the number in mountinfo stays
    return _uuid_by_link(numbers) or _uuid_by_udev(numbers)


def _uuid_by_link(numbers: str) -> str | None:
    try:
        for link in BY_UUID.iterdir():
            device = link.stat().st_rdev
            if device and f"{os.major(device)}:{os.minor(device)}" == numbers:
                return link.name
    except OSError:
        return None  # no udev here, or a link to a disk that has just gone
    return None


def _uuid_by_udev(numbers: str) -> str | None:
    try:
        lines = (UDEV_DATA / f"b{numbers}").read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    return next((line.removeprefix("E:ID_FS_UUID=") for line in lines if line.startswith("E:ID_FS_UUID=")), None)


def _marker(path: bytes) -> str | None:
    """The first 200 bytes of the marker; never waits for a FIFO and never follows a link."""
    try:
        fd = os.open(os.path.join(path, MARKER), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        content = os.read(fd, 200) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    except OSError:
        return None
    finally:
        os.close(fd)
    return content.strip().decode("utf-8", "backslashreplace") or None


def sample_of(file: File) -> Sample:
    """What to ask for, of a file in the store."""
    return file.relpath, file.stat.size, file.stat.mtime_ns


def sample_presence(root: str | bytes, samples: Sequence[Sample]) -> Presence | None:
    """How many of `samples` are there; None if none of them could be asked for.

    A sample that cannot be looked at (no permission, an I/O error) is neither there nor gone, and does not count.
    """
    base = os.fsencode(root)
    asked = found = unchanged = 0
    for relpath, size, mtime_ns in samples:
        try:
            status = os.lstat(os.path.join(base, relpath))
            found += status.st_size == size
            unchanged += status.st_size == size and _same_time(status.st_mtime_ns, mtime_ns)
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError:
            continue
        asked += 1
    return Presence(found / asked, unchanged / asked) if asked else None


def _same_time(one: int, other: int) -> bool:
    return (one - other + _COARSE) % _ZONES <= 2 * _COARSE


def same_volume(known: Identity, now: Identity, samples: Presence | None) -> Verdict:
    """Whether `now` is the volume that was `known`. The first rule that applies decides.

    1. Both have a marker: it decides.
    2. `FOUND_ALL` of the samples are there unchanged: same.
    3. Another file system (UUID, f_fsid, or type): different.
    4. The same file system, and the same root inode or the same path inside it: same. (A root that was deleted and made
       anew on the file system that held it really is empty.) Neither: `FOUND_ENOUGH` samples decide.
    5. File system not known for sure: same if `FOUND_ENOUGH` samples are there; or if device, inode, source and inner
       path all agree and the root is not the top of its file system. Else unknown.
    """
    if known.get("marker") and now.get("marker"):
        return Verdict.SAME if known["marker"] == now["marker"] else Verdict.DIFFERENT
    if samples is not None and samples.unchanged >= FOUND_ALL:
        return Verdict.SAME
    enough = samples is not None and samples.found >= FOUND_ENOUGH
    file_system = _same_file_system(known, now)
    if file_system is None:
        return Verdict.SAME if enough or _same_mount(known, now) else Verdict.UNKNOWN
    if not file_system:
        return Verdict.DIFFERENT
    directory = known.get("inode") == now.get("inode") or _equal(known, now, "inner")
    return Verdict.SAME if directory or enough else Verdict.DIFFERENT


def _same_file_system(known: Identity, now: Identity) -> bool | None:
    """True or False if that can be told, None if not."""
    proofs = [known["uuid"] == now["uuid"]] if known.get("uuid") and now.get("uuid") else []
    if known.get("fstype") and now.get("fstype") and known["fstype"] != now["fstype"]:
        return False
    if now.get("fstype") in _FSID_IS_IDENTITY and _fsid(known) and _fsid(now):
        proofs.append(_fsid(known) == _fsid(now))
    return all(proofs) if proofs else None


def _fsid(identity: Identity) -> int:
    return int(identity.get("fsid") or "0", 16)


def _same_mount(known: Identity, now: Identity) -> bool:
    numbers = known.get("device") == now.get("device") and known.get("inode") == now.get("inode")
    return numbers and _equal(known, now, "source") and _equal(known, now, "inner") and now["inner"] != "/"


def _equal(known: Identity, now: Identity, key: str) -> bool:
    return known.get(key) is not None and known.get(key) == now.get(key)
