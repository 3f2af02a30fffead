"""A drive goes and comes, at rest and at work: nothing of it is called missing, and nothing of it is done twice."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.faults.disks import KINDS, MakeDisk, disk
from tests.faults.tuned import Tuned, fill, ids, running

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("disk")]
__all__ = ["disk"]

COUNT = 30


@pytest.fixture
def point(tmp_path: Path) -> Path:
    """Where the volume is mounted."""
    return tmp_path / "media" / "drive"


def states(files: dict[str, dict[str, Any]]) -> set[str]:
    return {file["state"] for file in files.values()}


def look_away(daemon: Tuned, before: dict[str, dict[str, Any]], why: str) -> None:
    """The volume is offline for that reason; everything that was on it is there to be found, with its preview."""
    daemon.until(lambda: why in (daemon.first_volume()["reason"] or ""), 30)
    assert daemon.first_volume()["state"] == "offline"
    files = daemon.in_step()
    assert ids(files) == ids(before)
    assert states(files) == {"offline"}
    assert all((daemon.catalog_dir / file["preview"]).is_file() for file in files.values())


def look_back(daemon: Tuned, before: dict[str, dict[str, Any]], done: tuple[int, int]) -> None:
    """The volume comes online by itself; same files, same ids, nothing done again, nothing ever called missing."""
    daemon.until_volume("online")
    files = daemon.in_step()
    assert ids(files) == ids(before)
    assert states(files) == {"present"}
    assert daemon.work() == done
    assert set(daemon.told()) == {"added"}


def find(daemon: Tuned, picture: Path, file_id: str) -> None:
    """Search by a picture and by a file on the volume find what is on it, and say that it is away."""
    for found in (daemon.json("search", "--image", picture), daemon.json("similar", file_id)):
        assert found
        assert {one["file"]["state"] for one in found} == {"offline"}
    assert daemon.json("search", "--image", picture)[0]["file"]["id"] == file_id


@pytest.mark.parametrize("kind", KINDS)
def test_unplugged_while_idle(disk: MakeDisk, kind: str, point: Path, tmp_path: Path) -> None:
    drive, other = disk(kind), disk("tmpfs")
    fill(drive.plug(point), COUNT)
    with running(Tuned(tmp_path / "home", [point])) as daemon:
        before = daemon.in_step()
        done = daemon.work()
        assert done == (COUNT, COUNT)
        path = next(iter(before))
        picture = Path(shutil.copy(path, tmp_path / "picture.png"))
        drive.unplug()  # not lazily: nothing of the daemon stands in the way of the user's own unmount
        look_away(daemon, before, "empty")
        find(daemon, picture, before[path]["id"])

        fill(other.plug(point), COUNT, first=1000)  # the same names, other pictures
        look_away(daemon, before, "another file system")
        assert daemon.stop() == 0
        daemon.start()  # a start knows no better, and takes nothing for gone
        look_away(daemon, before, "another file system")
        other.unplug()

        drive.plug(point)
        look_back(daemon, before, done)
        (point / "folder-00" / "late.png").write_bytes(picture.read_bytes() + b"\0")  # it is watched again
        daemon.until(lambda: daemon.work()[0] == COUNT + 1, 10)
        assert len(daemon.in_step()) == COUNT + 1


@pytest.mark.parametrize("kind", KINDS)
def test_unplugged_while_it_is_scanned(disk: MakeDisk, kind: str, point: Path, tmp_path: Path) -> None:
    """Thousands of folders, so that a scan takes its time; the files lie at the beginning, the middle and the end."""
    drive = disk(kind)
    root = drive.plug(point)
    for number in range(3000):
        (root / f"empty-{number:04}" / "in").mkdir(parents=True)
    for folder in ("a", "empty-1500", "z"):
        fill(root / folder, COUNT)
    with running(Tuned(tmp_path / "home", [point])) as daemon:
        before = daemon.in_step()
        done = daemon.work()
        assert done == (COUNT, COUNT)  # of each picture there are three
        caught = 0
        for _ in range(2):
            scan = threading.Thread(target=daemon.ask().sync, args=(None,), kwargs={"clusters": False, "timeout": 60})
            scan.start()
            with daemon.connect() as ask:  # the other connection waits for its answer
                daemon.until(lambda: ask.status()["state"] == "scanning" or not scan.is_alive(), 30)  # noqa: B023
            caught += scan.is_alive()
            drive.unplug(lazy=True)
            scan.join()
            look_away(daemon, before, "empty")
            drive.plug(point)
            look_back(daemon, before, done)
        assert caught


@pytest.mark.parametrize(("kind", "left"), [("tmpfs", "filled"), ("ext4", "empty"), ("ext4", "filled")])
def test_unplugged_in_the_middle_of_the_first_index(
    disk: MakeDisk, kind: str, left: str, point: Path, tmp_path: Path
) -> None:
    count = 600
    drive, other = disk(kind), disk("tmpfs")
    fill(drive.plug(point), count)
    fill(other.plug(tmp_path / "elsewhere"), count, first=10_000)
    with running(Tuned(tmp_path / "home", [point])) as daemon:
        for share in (0.2, 0.6):
            daemon.until(lambda at=share * count: daemon.count("decodes") > at, 60)  # type: ignore[misc]
            drive.unplug(lazy=True)
            if left == "filled":
                other.plug(point)
            daemon.until_volume("offline")
            some = daemon.in_step()
            assert daemon.count("decodes") < count
            assert states(some) == {"offline"}
            if left == "filled":
                other.unplug(lazy=True)
            drive.plug(point)
            daemon.until_volume("online")
        files = daemon.in_step()
        assert len(files) == count
        assert daemon.work() == (count, count)
        assert daemon.told() == {"added": count}


@pytest.mark.parametrize(("kind", "running_then"), [("tmpfs", True), ("ext4", True), ("ext4", False)])
def test_plugged_in_at_another_path(disk: MakeDisk, kind: str, running_then: bool, point: Path, tmp_path: Path) -> None:
    """The user tells the new path; that it is the same drive mediad sees for itself."""
    drive, elsewhere = disk(kind), tmp_path / "mnt" / "stick"
    fill(drive.plug(point), COUNT)
    with running(Tuned(tmp_path / "home", [point])) as daemon:
        before = ids(daemon.in_step(), point)
        done = daemon.work()
        if not running_then:
            assert daemon.stop() == 0
        drive.unplug()
        drive.plug(elsewhere)
        daemon.write_config([elsewhere])
        if not running_then:
            daemon.start()
        daemon.until(lambda: daemon.first_volume()["path"] == str(elsewhere), 20)
        files = daemon.in_step()
        assert ids(files, elsewhere) == before
        assert states(files) == {"present"}
        assert daemon.work() == done
        assert daemon.told() == {"added": COUNT}


def test_a_marker_tells_a_drive_from_a_copy_of_it(disk: MakeDisk, point: Path, tmp_path: Path) -> None:
    """Without the marker a copy of all files would pass for the drive, and a new file system with few would not."""
    drive, backup, moved = disk("tmpfs"), disk("tmpfs"), disk("tmpfs")
    fill(drive.plug(point), COUNT)
    (point / ".mediad-volume").write_text("holidays\n")
    for one, marker, kept in ((backup, "backup", COUNT), (moved, "holidays", 3)):
        copy = one.plug(tmp_path / marker)
        fill(copy, kept)
        (copy / ".mediad-volume").write_text(f"{marker}\n")
        one.unplug()
    with running(Tuned(tmp_path / "home", [point])) as daemon:
        before = daemon.in_step()
        drive.unplug()
        backup.plug(point)
        look_away(daemon, before, "another volume is here (marker 'backup'")
        backup.unplug()
        moved.plug(point)
        daemon.until_volume("online")
        files = daemon.in_step()
        assert len(files) == 3
        assert ids(files).items() <= ids(before).items()
        assert daemon.work() == (COUNT, COUNT)
        assert daemon.told() == {"added": COUNT, "missing": COUNT - 3}  # which the disk justifies
        moved.unplug()
        drive.plug(point)
        daemon.until_volume("online")
        assert ids(daemon.in_step()) == ids(before)
        assert daemon.work() == (COUNT, COUNT)


def test_unplugged_above_the_root(disk: MakeDisk, point: Path, tmp_path: Path) -> None:
    drive = disk("ext4")
    root = drive.plug(point) / "photos"
    fill(root, COUNT)
    with running(Tuned(tmp_path / "home", [root])) as daemon:
        before = daemon.in_step()
        done = daemon.work()
        drive.unplug()
        look_away(daemon, before, "is not there")
        root.mkdir()  # a tool that makes the folder that it misses
        look_away(daemon, before, "empty")
        root.rmdir()
        drive.plug(point)
        look_back(daemon, before, done)
