"""mountinfo as the kernel writes it, and which mount a path lies on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediad.volume import is_remote, mount_of
from mediad.volume.mounts import inner_path, mounts, parse

TEXT = rb"""22 1 8:2 / / rw,relatime shared:1 - ext4 /dev/sda2 rw,errors=remount-ro
30 22 0:21 / /proc rw - proc proc rw
41 22 0:45 / /mnt/my\040photos\011\134x rw,nosuid shared:5 master:3 - nfs4 server:/export/my\040photos rw,vers=4.2
42 22 8:17 /sub\012dir /mnt/usb ro - vfat /dev/sdb1 ro,utf8
43 22 0:50 / /a/b rw - tmpfs first rw
44 22 0:51 / /a rw - tmpfs over rw
45 44 0:52 / /a/c rw - tmpfs inside rw
46 45 0:53 / /a/c rw - ext4 stacked rw
47 22 0:54 / /empty rw - tmpfs  rw
48 22 0:55 / /caf\303\251\377 rw - fuse.sshfs me@host: rw
nonsense
49 22 broken
"""


def find(path: bytes) -> str:
    mount = mount_of(path, parse(TEXT))
    assert mount is not None
    return mount.source


def test_lines_are_parsed_and_escapes_undone() -> None:
    table = {mount.id: mount for mount in parse(TEXT)}
    assert len(table) == 10
    assert table[41].mount_point == b"/mnt/my photos\t\\x"
    assert (table[41].source, table[41].fstype) == ("server:/export/my photos", "nfs4")
    assert (table[42].root, table[42].device, table[42].options) == (b"/sub\ndir", "8:17", "ro,ro,utf8")
    assert table[47].source == ""
    assert table[48].mount_point == b"/caf\xc3\xa9\xff"


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (b"/", "/dev/sda2"),
        (b"/home/me", "/dev/sda2"),
        (b"/mnt/usb", "/dev/sdb1"),
        (b"/mnt/usb/DCIM", "/dev/sdb1"),
        (b"/mnt/usbstick", "/dev/sda2"),
        (b"/mnt/my photos\t\\x/2024", "server:/export/my photos"),
        (b"/a/b/c", "over"),  # the mount at /a/b is hidden by the later one at /a
        (b"/a/c/d", "stacked"),
        (b"/caf\xc3\xa9\xff/x", "me@host:"),
    ],
)
def test_a_path_lies_on_the_mount_that_the_kernel_would_reach(path: bytes, source: str) -> None:
    assert find(path) == source


@given(st.lists(st.binary() | st.sampled_from(TEXT.split(b"\n")), max_size=12), st.binary(max_size=20))
def test_no_text_breaks_the_parser_nor_the_search(lines: list[bytes], path: bytes) -> None:
    """Tables with gaps, doubles and circles of parents too."""
    table = parse(b"\n".join(lines))
    mount = mount_of(b"/" + path.replace(b"\0", b""), table)
    assert mount is None or mount in table


def test_nothing_is_known_without_a_table() -> None:
    assert mount_of("/home", []) is None
    assert parse(b"") == []


def test_the_path_inside_the_file_system() -> None:
    usb = mount_of(b"/mnt/usb/DCIM", parse(TEXT))
    assert usb is not None
    assert inner_path(usb, b"/mnt/usb/DCIM") == b"/sub\ndir/DCIM"
    assert inner_path(usb, b"/mnt/usb") == b"/sub\ndir"


@pytest.mark.parametrize(
    "fstype", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "fuse", "9p", "ceph", "glusterfs", "afs", "davfs", "autofs"]
)
def test_network_and_fuse_are_remote(fstype: str) -> None:
    assert is_remote(fstype)


@pytest.mark.parametrize(
    "fstype", ["ext4", "btrfs", "xfs", "zfs", "apfs", "tmpfs", "overlay", "vfat", "fuseblk", "", None]
)
def test_disks_are_local(fstype: str | None) -> None:
    assert not is_remote(fstype)


@pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="needs /proc")
def test_what_is_mounted_here() -> None:
    table = mounts()
    proc = mount_of("/proc/self", table)
    assert proc is not None
    assert (proc.fstype, proc.mount_point) == ("proc", b"/proc")
    root = mount_of("/", table)
    assert root is not None
    assert root.mount_point == b"/"
    here = mount_of(Path(__file__).parent.as_posix(), table)
    status = Path(__file__).stat()
    assert here is not None
    assert here.fstype in ("btrfs", "overlay") or here.device == f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}"


def test_a_link_is_followed_to_where_it_leads(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/proc")
    mount = mount_of(tmp_path / "link" / "self")  # type: ignore[arg-type]
    if mount is None:
        pytest.skip("nothing is known of mounts here")
    assert mount.fstype == "proc"
