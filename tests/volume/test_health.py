"""What is said of a volume that is well, away, replaced, closed or silent."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.volume.conftest import made

from mediad.model import VolumeState
from mediad.volume import Health, check
from mediad.volume.identity import Identity

Run = Callable[..., str]
ONLINE, OFFLINE, UNREADABLE = VolumeState.ONLINE, VolumeState.OFFLINE, VolumeState.UNREADABLE
WHEN = 1_500_000_000 * 10**9
SAMPLES = [(b"a.jpg", 1, WHEN), (b"b.jpg", 2, WHEN)]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    root.mkdir()
    for relpath, size, when in SAMPLES:
        (root / os.fsdecode(relpath)).write_bytes(b"x" * size)
        os.utime(root / os.fsdecode(relpath), ns=(when, when))
    return root


def seen(root: Path) -> Identity:
    health = check(str(root), None)
    assert health.state is ONLINE
    return health.identity


def elsewhere(identity: Identity) -> Identity:
    """The same directory as it was on another disk."""
    return identity | {"fstype": "ext4", "uuid": "other", "fsid": "123", "inode": 2, "inner": "/", "source": "/dev/sdz"}


def test_a_volume_never_seen_is_online_even_if_empty(tmp_path: Path) -> None:
    health = check(str(tmp_path), None)
    assert (health.state, health.reason) == (ONLINE, "")
    assert health.identity["inode"] == tmp_path.stat().st_ino
    assert check(os.fsencode(tmp_path), health.identity, []).state is ONLINE


def test_the_known_volume_is_online(photos: Path) -> None:
    assert check(str(photos), seen(photos), SAMPLES).state is ONLINE


def test_all_files_deleted_is_online_and_empty(photos: Path) -> None:
    known = seen(photos)
    for file in photos.iterdir():
        file.unlink()
    assert check(str(photos), known, SAMPLES).state is ONLINE


def test_the_root_deleted_and_made_anew_is_online(photos: Path) -> None:
    known = seen(photos)
    shutil.rmtree(photos)
    assert check(str(photos), known, SAMPLES) == Health(OFFLINE, "is not there")
    photos.mkdir()
    assert check(str(photos), known, SAMPLES).state is ONLINE


def test_an_empty_mount_point_is_offline(photos: Path) -> None:
    known = elsewhere(seen(photos))
    for file in photos.iterdir():
        file.unlink()
    health = check(str(photos), known, SAMPLES)
    assert health.state is OFFLINE
    assert "is the volume mounted?" in health.reason


def test_another_file_system_is_offline_and_named(photos: Path) -> None:
    known = elsewhere(seen(photos))
    health = check(str(photos), known, [(b"not/here", 5, WHEN)])
    assert health.state is OFFLINE
    assert "ext4 on /dev/sdz" in health.reason
    assert "0% of known files" in health.reason


def test_another_file_system_with_the_known_files_is_online(photos: Path) -> None:
    assert check(str(photos), elsewhere(seen(photos)), SAMPLES).state is ONLINE


def test_another_file_system_where_nothing_was_known_is_online(photos: Path) -> None:
    assert check(str(photos), elsewhere(seen(photos)), []).state is ONLINE


def test_another_marker_is_offline(photos: Path) -> None:
    (photos / ".mediad-volume").write_text("one")
    known = seen(photos)
    (photos / ".mediad-volume").write_text("two")
    health = check(str(photos), known, SAMPLES)
    assert health.state is OFFLINE
    assert "marker 'two', not 'one'" in health.reason


def test_a_file_in_place_of_the_root_is_offline(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert check(str(tmp_path / "file"), None).state is OFFLINE
    assert check(str(tmp_path / "file" / "below"), None) == Health(OFFLINE, "is no directory")


def test_a_loop_of_links_is_unreadable(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    health = check(str(tmp_path / "loop"), None)
    assert health.state is UNREADABLE
    assert health.reason.startswith("ELOOP")


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o111])
def test_a_closed_root_is_unreadable(photos: Path, unprivileged: Run, mode: int) -> None:
    photos.chmod(mode)
    said = unprivileged("import sys; from mediad.volume import check; print(check(sys.argv[1], None))", photos)
    photos.chmod(0o700)
    assert "VolumeState.UNREADABLE" in said
    assert "EACCES: Permission denied" in said


def test_mounts_that_go_and_come(with_mounts: Run, photos: Path) -> None:
    said = with_mounts(
        """
import os, subprocess, sys
from mediad.volume import check
root, spare = sys.argv[1:]
samples = [(b"sub/%d.jpg" % i, i, 10**18) for i in range(10)]
def run(*command): subprocess.run(command, check=True)
def fill(top, when=10**18):
    os.makedirs(top + "/sub", exist_ok=True)
    for path, size, _ in samples:
        with open(os.path.join(os.fsencode(top), path), "wb") as file: file.write(b"x" * size)
        os.utime(os.path.join(os.fsencode(top), path), ns=(when, when))
def say(what): print(what, check(root, known, samples).state)
run("mount", "-t", "tmpfs", "one", root); fill(root)
known = check(root, None).identity
say("known")
run("mount", "--move", root, spare); say("away")
run("mount", "-t", "tmpfs", "two", root); say("other empty")
open(root + "/else.jpg", "w").close(); say("other")
fill(root, 2 * 10**18); say("namesakes"); fill(root); say("copied")
run("umount", root); run("mount", "--move", spare, root); say("back")
run("mount", "-o", "remount,ro", root); say("read-only")
run("mount", "-o", "remount,rw", root); run("rm", "-r", root + "/sub"); say("emptied")
""",
        photos,
        made(photos.parent / "spare"),
    )
    assert said.strip().split("\n") == [
        "known online", "away offline", "other empty offline", "other offline", "namesakes offline", "copied online",
        "back online", "read-only online", "emptied online",
    ]  # fmt: skip


def test_a_server_that_does_not_answer_and_one_that_is_gone(with_mounts: Run, tmp_path: Path) -> None:
    """A FUSE file system whose server reads no request hangs as a dead NFS server does; without one it is ENOTCONN."""
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("needs /dev/fuse")
    said = with_mounts(
        """
import ctypes, os, sys, threading, time
from mediad.volume import check
root = sys.argv[1]
server = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={server},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()}".encode()
if ctypes.CDLL(None, use_errno=True).mount(b"hangs", root.encode(), b"fuse", 0, options):
    print("skip", os.strerror(ctypes.get_errno())); sys.exit()
start = time.monotonic()
print(check(root, None, timeout=0.5)); print(check(root, None, timeout=0.5))
print(threading.active_count(), 0.5 <= time.monotonic() - start < 2)
os.close(server)
deadline = time.monotonic() + 10
while threading.active_count() > 1 and time.monotonic() < deadline: time.sleep(0.01)
print(check(root, None))
""",
        tmp_path,
    )
    if said.startswith("skip"):
        pytest.skip("no FUSE mounts here: " + said)
    first, second, threads, last = (line for line in said.strip().split("\n") if "[warning" not in line)
    assert "OFFLINE" in first
    assert "does not answer within 0.5 s" in first
    assert "does not answer (for" in second
    assert threads == "2 True"  # the second check started no second thread, and did not wait
    assert "UNREADABLE" in last
    assert "ENOTCONN" in last


def test_a_check_is_quick(photos: Path) -> None:
    known = seen(photos)
    start = time.monotonic()
    for _ in range(50):
        check(str(photos), known, SAMPLES)
    assert (time.monotonic() - start) / 50 < 0.05
