"""What is mounted where: `/proc/self/mountinfo` on Linux, psutil elsewhere."""

# ruff: noqa: PTH100, PTH118 - names on disk are bytes, which pathlib cannot hold

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MOUNTINFO = Path("/proc/self/mountinfo")

# Changes made by other machines (or, for the shared folders of virtual machines, by the host) raise no events here.
# autofs stands for a mount that nobody has touched yet, so nothing is known of it.
_REMOTE = (
    "9p acfs afp afpfs afs autofs beegfs ceph cifs coda davfs davfs2 drvfs fhgfs glusterfs gpfs lustre ncpfs nfs nfs4",
    "ocfs2 orangefs prl_fs smb smb2 smb3 smbfs sshfs vboxsf virtiofs vmhgfs webdav",
)
_REMOTE_TYPES = frozenset(name for line in _REMOTE for name in line.split())
_ESCAPE = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted file system. `root` is the directory of that file system which stands at `mount_point`.

    `device` is `major:minor` ("" where the system does not tell); `parent` is the `id` of the mount below it.
    """

    mount_point: bytes
    fstype: str
    source: str
    options: str
    device: str
    root: bytes = b"/"
    id: int = 0
    parent: int = -1


def is_remote(fstype: str | None) -> bool:
    """Whether files there change without an event here: network file systems and FUSE (not `fuseblk`, a local disk)."""
    if not fstype:
        return False
    return fstype in _REMOTE_TYPES or fstype == "fuse" or fstype.startswith("fuse.")


def parse(text: bytes) -> list[Mount]:
    """The mounts in the text of a `mountinfo` file (proc(5)); lines that make no sense are left out."""
    return [mount for line in text.split(b"\n") if (mount := _parse_line(line)) is not None]


def _parse_line(line: bytes) -> Mount | None:
    fields = line.split(b" ")
    try:
        separator = fields.index(b"-", 6)
        fstype, source, super_options = (_text(_plain(field)) for field in fields[separator + 1 : separator + 4])
        return Mount(
            mount_point=_plain(fields[4]),
            fstype=fstype,
            source=source,
            options=f"{_text(fields[5])},{super_options}",
            device=_text(fields[2]),
            root=_plain(fields[3]),
            id=int(fields[0]),
            parent=int(fields[1]),
        )
    except (ValueError, IndexError):
        return None


def _plain(field: bytes) -> bytes:
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), field)


def _text(field: bytes) -> str:
    return field.decode("utf-8", "backslashreplace")


def mounts() -> list[Mount]:
    """All mounts that this process sees."""
    try:
        return parse(MOUNTINFO.read_bytes())
    except FileNotFoundError:
        return _mounts_of_psutil()


def _mounts_of_psutil() -> list[Mount]:
    import psutil  # only where there is no /proc

    found: list[Mount] = []
    partitions = sorted(psutil.disk_partitions(all=True), key=lambda partition: len(partition.mountpoint))
    for number, partition in enumerate(partitions):
        point = os.fsencode(partition.mountpoint)
        below = [mount.id for mount in found if _covers(mount.mount_point, point)]
        found.append(
            Mount(
                point, partition.fstype, partition.device, partition.opts, "", id=number, parent=max(below, default=-1)
            )
        )
    return found


def mount_of(path: str | bytes, table: Sequence[Mount] | None = None) -> Mount | None:
    """The mount that `path` (absolute, or relative to the working directory) lies on; None where nothing is known.

    A path that already reads as lying on a network mount is not touched at all, since that could block for ever.
    """
    table = mounts() if table is None else table
    raw = os.path.abspath(os.fsencode(path))
    mount = _descend(table, raw)
    if mount is not None and is_remote(mount.fstype):
        return mount
    return _descend(table, os.path.realpath(raw))


def _descend(table: Sequence[Mount], path: bytes) -> Mount | None:
    """Walk from the outermost mount to the innermost as the kernel does.

    Each step takes the first mount point on the way. So a mount that a later one hides (another over the same
    directory, or over one above it) is passed by, which the longest matching mount point would not do.
    """
    known = {mount.id for mount in table}
    children: dict[int, list[Mount]] = {}
    for mount in table:
        inside = mount.parent if mount.parent in known and mount.parent != mount.id else -1
        if _covers(mount.mount_point, path):
            children.setdefault(inside, []).append(mount)
    current: Mount | None = None
    while step := children.pop(-1 if current is None else current.id, None):
        current = min(step, key=lambda mount: len(mount.mount_point))
    return current


def _covers(mount_point: bytes, path: bytes) -> bool:
    return path == mount_point or path.startswith(mount_point.rstrip(b"/") + b"/")


def inner_path(mount: Mount, path: bytes) -> bytes:
    """Where the real path `path` lies inside the file system that is mounted there: b"/" is its top."""
    rest = path[len(mount.mount_point.rstrip(b"/")) :].strip(b"/")
    return os.path.join(mount.root, rest) if rest else mount.root
