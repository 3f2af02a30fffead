"""The watcher goes blind: events are lost, watches run out, roots vanish. The catalog is right all the same."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.faults.disks import MakeDisk, disk
from tests.faults.tuned import Tuned, fill, ids, running, tiny

pytestmark = [pytest.mark.long, pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")]
__all__ = ["disk"]

FEW_WATCHES = 50
_LIMITED = f'echo {FEW_WATCHES} > /proc/sys/user/max_inotify_watches; exec "$@"'


def put(path: Path, seed: int) -> Path:
    """One new picture, written in one go."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tiny(seed))
    return path


def shows_up(daemon: Tuned, paths: Iterable[Path], seconds: float = 20) -> None:
    """By itself: nobody asks for a sync, which would look everywhere."""
    wanted = {str(path) for path in paths}

    def there() -> bool:
        found = {one["filepath"] for part in ("unclustered", "clusters") for one in _files(daemon, part)}
        return wanted <= found

    daemon.until(there, seconds)


def _files(daemon: Tuned, part: str) -> Iterable[dict[str, str]]:
    for entry in daemon.ask().entries(part):
        yield from entry.get("files", [entry])


def watches(pid: int) -> set[int]:
    """Inodes of what the process watches."""
    found: set[int] = set()
    for name in os.listdir(f"/proc/{pid}/fdinfo"):
        text = Path(f"/proc/{pid}/fdinfo/{name}").read_text()
        found |= {int(inode, 16) for inode in re.findall(r"^inotify wd:\w+ ino:(\w+)", text, re.MULTILINE)}
    return found


def inodes(root: Path) -> set[int]:
    """Inodes of a directory and of all directories below it."""
    return {os.stat(folder).st_ino for folder, _, _ in os.walk(root)}


def test_a_queue_that_runs_over(tmp_path: Path) -> None:
    """20,000 files made while the daemon is stopped, of 2,000 pictures: none is missed, and one scan finds them."""
    count, different = 20_000, 2_000
    root = tmp_path / "volume"
    folders = [root / f"folder-{number:02}" for number in range(20)]
    for folder in folders:
        folder.mkdir(parents=True)
    put(root / "first.png", 0)
    with running(Tuned(tmp_path / "home", [root])) as daemon:
        assert len(daemon.in_step()) == 1
        scans = daemon.count("scans")
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGSTOP)
        try:
            pictures = [tiny(seed) for seed in range(different)]
            for number in range(count):
                (folders[number % 20] / f"{number:05}.png").write_bytes(pictures[number % different])
        finally:
            daemon.process.send_signal(signal.SIGCONT)
        daemon.until(lambda: daemon.count("overflows") > 0, 20)
        daemon.until(lambda: daemon.ask().status()["state"] == "idle" and daemon.count("decodes") >= different, 90)
        by_itself = daemon.count("scans") - scans
        files = daemon.in_step()
        assert len(files) == count + 1
        assert daemon.work() == (different, different)
        assert daemon.told() == {"added": count + 1}
        assert daemon.count("overflows") <= 2
        assert by_itself <= 3


def test_more_folders_than_watches(tmp_path: Path) -> None:
    """50 watches for 81 folders: what is watched shows up at once, the rest by polling; one message tells the cure."""
    limited = ["unshare", "-Ur", "sh", "-c", _LIMITED, "sh"]
    if subprocess.run([*limited, "true"], capture_output=True).returncode:
        pytest.skip("needs a user namespace (unshare -U) with limits of its own")
    root = tmp_path / "volume"
    for number in range(40):
        put(root / f"{number:02}" / "in" / f"picture-{number}.png", number)
    schedule = 'poll_min = "2 s"\npoll_max = "3 s"\n'
    with running(Tuned(tmp_path / "home", [root], schedule=schedule, prefix=limited)) as daemon:
        assert len(daemon.in_step()) == 40
        status = daemon.ask().status()
        assert status["volumes"][0]["watch"] == "mixed"
        assert re.search(r"sysctl -w user\.max_inotify_watches=\d+$", status["volumes"][0]["watch_reason"])
        watched = watches(status["pid"])
        folders = [root / f"{number:02}" / "in" for number in range(40)]
        live = [folder for folder in folders if os.stat(folder).st_ino in watched]
        blind = [folder for folder in folders if folder not in live]
        assert live
        assert blind
        new = [put(folder / "new.png", 1000 + number) for number, folder in enumerate([live[0], *blind])]
        shows_up(daemon, new[:1], 5)
        shows_up(daemon, new)
        new += [put(blind[0] / "late.png", 2000), put(root / "made" / "later" / "deep.png", 2001)]
        shows_up(daemon, new)
        assert len(daemon.in_step()) == 40 + len(new)
        assert daemon.told() == {"added": 40 + len(new)}
        assert daemon.work() == (40 + len(new), 40 + len(new))
        assert daemon.log.read_text().count("sysctl -w") == 1


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    root = tmp_path / "volume"
    fill(root, 20, folders=4)
    return root


def test_folders_that_are_moved_in_are_watched_and_excluded_ones_are_not(volume: Path, tmp_path: Path) -> None:
    for place in ("private/in", ".git/objects", "folder-01/@eaDir/x"):
        put(volume / place / "hidden.png", 500)
    put(tmp_path / "outside" / "deep" / "er" / "brought.png", 600)
    with running(Tuned(tmp_path / "home", [volume], volume='exclude = ["private/"]\n')) as daemon:
        before = daemon.in_step()
        assert len(before) == 20
        (tmp_path / "outside").rename(volume / "inside")
        shows_up(daemon, [volume / "inside" / "deep" / "er" / "brought.png"])
        shows_up(daemon, [put(volume / "inside" / "deep" / "er" / "later.png", 601)])
        (volume / "inside" / "deep").rename(volume / "folder-00" / "deeper")
        new = put(volume / "folder-00" / "deeper" / "er" / "later still.png", 602)
        shows_up(daemon, [new, new.with_name("later.png"), new.with_name("brought.png")])
        assert len(daemon.in_step()) == 23
        assert daemon.told() == {"added": 23, "moved": 2}
        assert daemon.work() == (23, 23)
        excluded = inodes(volume / "private") | inodes(volume / ".git") | inodes(volume / "folder-01" / "@eaDir")
        watched = watches(daemon.ask().status()["pid"])
        assert inodes(volume) - excluded <= watched
        assert not watched & excluded
        assert not watched & {os.stat(path).st_ino for path in volume.rglob("*.png")}


def test_the_watched_root_is_deleted_and_made_anew(volume: Path, tmp_path: Path) -> None:
    with running(Tuned(tmp_path / "home", [volume])) as daemon:
        before = daemon.in_step()
        kept = put(tmp_path / "kept.png", 0)  # the same bytes as one of those in the volume
        was = next(path for path in before if Path(path).read_bytes() == kept.read_bytes())
        shutil.rmtree(volume)
        daemon.until_volume("offline")
        assert set(daemon.in_step()) == set(before)
        assert set(daemon.told()) == {"added"}
        Path(was).parent.mkdir(parents=True)
        shutil.copy(kept, was)
        shows_up(daemon, [put(volume / "new.png", 700)])
        after = daemon.in_step()
        assert set(after) == {was, str(volume / "new.png")}
        assert after[was]["id"] == before[was]["id"]
        assert daemon.told() == {"added": 21, "missing": 19}  # which the disk justifies
        shows_up(daemon, [put(volume / "folder-09" / "in" / "live.png", 701)])
        assert daemon.work() == (22, 22)
        assert inodes(volume) <= watches(daemon.ask().status()["pid"])
        daemon.in_step()


def test_a_polled_root_vanishes_and_returns(disk: MakeDisk, tmp_path: Path) -> None:
    drive, point = disk("tmpfs"), tmp_path / "point"
    root = drive.plug(point) / "photos"
    fill(root, 20, folders=4)
    schedule = 'poll_min = "1 s"\npoll_max = "2 s"\n'
    with running(Tuned(tmp_path / "home", [root], volume='poll = "always"\n', schedule=schedule)) as daemon:
        before = daemon.in_step()
        assert daemon.first_volume()["watch"] == "polled"
        assert not inodes(root) & watches(daemon.ask().status()["pid"])
        drive.unplug()
        daemon.until_volume("offline")
        drive.plug(point)
        daemon.until_volume("online")
        assert ids(daemon.in_step()) == ids(before)
        root.rename(point / "aside")
        daemon.until_volume("offline")
        (point / "aside").rename(root)
        shows_up(daemon, [put(root / "folder-00" / "new.png", 800)])
        assert len(daemon.in_step()) == 21
        assert daemon.work() == (21, 21)
        assert daemon.told() == {"added": 21}
