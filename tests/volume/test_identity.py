"""Which evidence makes two sights of a directory one volume."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from tests.volume.conftest import made

from mediad.volume import Presence, Verdict, identify, same_volume, sample_presence
from mediad.volume.identity import Identity

Run = Callable[..., str]

EXT4: Identity = {
    "device": 2049, "inode": 2, "fsid": "00000000000000aa", "fstype": "ext4", "source": "/dev/sda1", "inner": "/",
    "uuid": "1111-AAAA", "marker": None,
}  # fmt: skip
NFS: Identity = EXT4 | {"device": 50, "inode": 64, "fsid": "0", "fstype": "nfs4", "source": "nas:/photos", "uuid": None}
FOLDER: Identity = EXT4 | {"inode": 777, "inner": "/home/me/photos", "uuid": None}
XFS: Identity = FOLDER | {"fstype": "xfs"}
BTRFS: Identity = EXT4 | {"fstype": "btrfs", "inode": 256, "inner": "/@photos"}

SAME, DIFFERENT, UNKNOWN = Verdict.SAME, Verdict.DIFFERENT, Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("known", "change", "samples", "verdict"),
    [
        (EXT4, {}, None, SAME),
        (EXT4, {"device": 2065, "source": "/dev/sdb1"}, None, SAME),  # another slot
        (EXT4, {"device": 2065, "source": "/dev/sdb1"}, 0.0, SAME),  # and all was really deleted
        (EXT4, {"uuid": "2222-BBBB", "fsid": "bb"}, None, DIFFERENT),  # another disk in the same slot
        (EXT4, {"uuid": "2222-BBBB", "fsid": "bb"}, 0.5, DIFFERENT),
        (EXT4, {"uuid": "2222-BBBB", "fsid": "bb"}, 0.9, SAME),  # the library was copied to a larger disk
        (
            EXT4,
            {"uuid": "2222-BBBB", "fsid": "bb"},
            Presence(0.9, 0.5),
            DIFFERENT,
        ),  # a card with the same names and sizes
        (EXT4, {"uuid": None}, None, SAME),  # a sandbox hides the UUID; ext4 derives f_fsid from it
        (EXT4, {"uuid": None, "fsid": "bb"}, None, DIFFERENT),
        (EXT4, {"fstype": "tmpfs", "uuid": None}, None, DIFFERENT),
        (EXT4, {"inode": 12, "inner": "/photos"}, None, DIFFERENT),  # another directory of the same disk
        (EXT4, {"inode": 12, "inner": "/photos"}, 0.2, SAME),
        (FOLDER, {"inode": 888}, 0.0, SAME),  # deleted and made anew in its place
        (FOLDER, {"inner": "/home/me/pictures"}, None, SAME),  # renamed
        (FOLDER, {"fsid": "bb"}, 0.0, DIFFERENT),
        (XFS, {}, None, SAME),
        (XFS, {"device": 2065}, None, UNKNOWN),
        (XFS, {"device": 2065}, 0.3, SAME),
        (BTRFS, {"fsid": "cc", "inner": "/@"}, None, DIFFERENT),  # another subvolume: same UUID, same root inode
        (NFS, {}, None, UNKNOWN),  # the top directory has the same inode everywhere
        (NFS, {}, 0.0, UNKNOWN),
        (NFS, {}, 0.1, SAME),
        (NFS, {"device": 51}, 0.5, SAME),
        (NFS, {"fstype": "ext4", "source": "/dev/sda1", "uuid": "1"}, 0.0, DIFFERENT),  # unmounted
        (EXT4 | {"marker": "m"}, {"uuid": "2222-BBBB", "fsid": "bb"}, None, SAME),
        (EXT4 | {"marker": "m"}, {"marker": "n"}, 1.0, DIFFERENT),
        (EXT4 | {"marker": "m"}, {"marker": None}, None, SAME),
        ({}, EXT4, 1.0, SAME),
        ({}, EXT4, None, UNKNOWN),
    ],
)
def test_the_rules(known: Identity, change: Identity, samples: Presence | float | None, verdict: Verdict) -> None:
    present = Presence(samples, samples) if isinstance(samples, float) else samples
    assert same_volume(known, known | change, present) is verdict


def test_an_identity_is_json_and_stays_the_same(tmp_path: Path) -> None:
    first = identify(str(tmp_path))
    (tmp_path / "new.jpg").write_bytes(b"x")
    second = identify(os.fsencode(tmp_path))
    assert first == second == orjson.loads(orjson.dumps(first)) == json.loads(json.dumps(first))
    assert first["inode"] == tmp_path.stat().st_ino
    assert same_volume(first, second, None) is not DIFFERENT


def test_a_link_to_the_root_is_the_root(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "link").symlink_to("photos")
    assert identify(str(tmp_path / "link")) == identify(str(tmp_path / "photos"))


def test_no_identity_of_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        identify(str(tmp_path / "gone"))


def test_the_marker_is_read_only_if_it_is_a_file(tmp_path: Path) -> None:
    marker = tmp_path / ".mediad-volume"
    assert identify(str(tmp_path))["marker"] is None
    marker.write_text("  family-photos \n")
    assert identify(str(tmp_path))["marker"] == "family-photos"
    marker.write_bytes(b"\xff" * 1000)
    assert len(identify(str(tmp_path))["marker"]) == 4 * 200
    marker.unlink()
    os.mkfifo(marker)
    assert identify(str(tmp_path))["marker"] is None
    marker.unlink()
    marker.mkdir()
    assert identify(str(tmp_path))["marker"] is None


def test_samples_are_found_by_path_and_size(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    file = tmp_path / "a" / "1.jpg"
    file.write_bytes(b"12345")
    name = b"caf\xe9\n.jpg"
    (tmp_path / os.fsdecode(name)).write_bytes(b"1")
    when = file.stat().st_mtime_ns
    samples = [(b"a/1.jpg", 5, when), (b"a/1.jpg", 6, when), (name, 1, 0), (b"gone", 1, when), (b"a/1.jpg/x", 1, when)]
    assert sample_presence(str(tmp_path), samples) == Presence(0.4, 0.2)
    assert sample_presence(str(tmp_path), []) is None


@pytest.mark.parametrize(
    ("seconds", "same"),
    [(0, True), (1.9, True), (-1.9, True), (3600, True), (-34200, True), (3, False), (86000, False), (-450, False)],
)
def test_the_time_of_a_sample_may_be_that_of_another_zone(tmp_path: Path, seconds: float, same: bool) -> None:
    (tmp_path / "a").write_bytes(b"1")
    when = (tmp_path / "a").stat().st_mtime_ns + int(seconds * 10**9)
    assert sample_presence(str(tmp_path), [(b"a", 1, when)]) == Presence(1.0, float(same))


def test_a_sample_behind_a_closed_door_does_not_count(unprivileged: Run, tmp_path: Path) -> None:
    (tmp_path / "open").write_bytes(b"1")
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed" / "x").write_bytes(b"1")
    (tmp_path / "closed").chmod(0)
    said = unprivileged(
        """
import sys; from mediad.volume import sample_presence
for names in ([b"closed/x"], [b"closed/x", b"open"]):
    print(sample_presence(sys.argv[1], [(name, 1, 0) for name in names]))
""",
        tmp_path,
    )
    (tmp_path / "closed").chmod(0o700)
    assert said == "None\nPresence(found=1.0, unchanged=0.0)\n"


def test_real_mounts(with_mounts: Run, tmp_path: Path) -> None:
    said = with_mounts(
        """
import os, subprocess, sys
from mediad.volume import identify, same_volume
here, there = sys.argv[1:]
def run(*command): subprocess.run(command, check=True)
beneath = identify(here)
run("mount", "-t", "tmpfs", "one", here)
first = identify(here)
run("mount", "--bind", here, there)
print("moved", same_volume(first, identify(there), None))
run("umount", here)
print("unmounted", same_volume(first, identify(here), None), identify(here) == beneath)
run("mount", "-t", "tmpfs", "one", here)
second = identify(here)
print("other", same_volume(first, second, None) if second["fsid"] != "0" * 16 else "different")
run("umount", here); run("mount", "--move", there, here)
print("back", same_volume(first, identify(here), None))
run("mount", "-o", "remount,ro", here)
print("readonly", same_volume(first, identify(here), None))
""",
        made(tmp_path / "here"),
        made(tmp_path / "there"),
    )
    assert said.split("\n") == [
        "moved same", "unmounted different True", "other different", "back same", "readonly same", ""
    ]  # fmt: skip


def test_a_real_ext4_keeps_its_identity(with_mounts: Run, tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root, to mount a disk image")
    said = with_mounts(
        """
import os, subprocess, sys
from mediad.volume import Presence, identify, same_volume
base = sys.argv[1]
def run(*command): return subprocess.run(command, capture_output=True).returncode
ids = []
for image in ("a", "b", "a"):
    if not os.path.exists(f"{base}/{image}"):
        with open(f"{base}/{image}", "wb") as file: file.truncate(4 << 20)
        if run("mkfs.ext4", "-q", f"{base}/{image}"): print("no mkfs.ext4"); sys.exit()
    if run("mount", "-o", "loop", f"{base}/{image}", f"{base}/m"): print("no loop mounts"); sys.exit()
    ids.append(identify(f"{base}/m"))
    run("umount", f"{base}/m")
none = Presence(0.0, 0.0)
print(same_volume(ids[0], ids[1], None), same_volume(ids[0], ids[2], None), same_volume(ids[0], ids[2], none))
""",
        made(tmp_path / "m").parent,
    )
    if said.startswith("no "):
        pytest.skip(said.strip())
    assert said == "different same same\n"
