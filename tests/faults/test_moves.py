"""Renames, moves and replacements: ids, clusters and their given names survive, and nothing is done twice."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.faults.disks import MakeDisk, disk
from tests.faults.tuned import Tuned, fill, ids, running, tiny

pytestmark = pytest.mark.long
__all__ = ["disk"]

COUNT = 1000
FEW = 20


def by_name(files: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Name -> id."""
    return {Path(path).name: file["id"] for path, file in files.items()}


def clusters(daemon: Tuned) -> dict[str, tuple[str, frozenset[str]]]:
    """Id -> name and the ids of its files."""
    return {one["id"]: (one["name"], frozenset(file["id"] for file in one["files"])) for one in _visual(daemon)}


def _visual(daemon: Tuned) -> list[dict[str, Any]]:
    return [one for one in daemon.catalog()["clusters"] if one["kind"] == "visual"]


def name_one(daemon: Tuned) -> str:
    """Give a cluster a name; its id."""
    chosen = str(_visual(daemon)[0]["id"])
    daemon.run("clusters", "--rename", chosen, "Summer")
    daemon.in_step()
    assert clusters(daemon)[chosen][0] == "Summer"
    return chosen


@contextmanager
def down(daemon: Tuned) -> Iterator[None]:
    """While the daemon does not run."""
    assert daemon.stop() == 0
    yield
    daemon.start()


@contextmanager
def up(daemon: Tuned) -> Iterator[None]:
    """While the daemon looks on."""
    yield


@contextmanager
def stopped(daemon: Tuned) -> Iterator[None]:
    """While it watches but has no time to look, so that it sees the end of a slow move and all its events."""
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        daemon.process.send_signal(signal.SIGCONT)


During = Callable[[Tuned], Any]


@pytest.mark.parametrize("during", [up, down])
def test_a_tree_is_moved_within_a_volume(during: During, tmp_path: Path) -> None:
    root = tmp_path / "volume"
    fill(root / "old" / "tree", COUNT)
    (root / "new").mkdir()
    with running(Tuned(tmp_path / "home", [root])) as daemon:
        before = ids(daemon.in_step("--clusters"), root / "old" / "tree")
        chosen = name_one(daemon)
        grouped = clusters(daemon)
        with during(daemon):
            (root / "old" / "tree").rename(root / "new" / "place")
        moved_all(daemon, root / "new" / "place", before)
        assert clusters(daemon) == grouped
        assert grouped[chosen][0] == "Summer"
        with during(daemon):  # each file a rename of its own, all folders left behind
            for path in sorted((root / "new" / "place").rglob("*.png"))[:200]:
                path.rename(root / path.name)
        files = daemon.in_step()
        assert by_name(files) == {Path(path).name: file_id for path, file_id in before.items()}
        assert daemon.told() == {"added": COUNT, "moved": COUNT + 200}
        daemon.run("clusters", "--recluster")
        daemon.in_step("--clusters")
        again = clusters(daemon)  # names that nobody gave follow the folders
        assert {one: members for one, (_, members) in again.items()} == {one: m for one, (_, m) in grouped.items()}
        assert again[chosen][0] == "Summer"
        assert daemon.work() == (COUNT, COUNT)


def moved_all(daemon: Tuned, to: Path, before: dict[str, str]) -> None:
    """All stand at the new place with their ids, and the feed tells of moves alone."""
    daemon.until(lambda: daemon.count("decodes") == COUNT and daemon.told()["moved"] == COUNT, 60)  # by itself
    assert ids(daemon.in_step(), to) == before
    assert daemon.told() == {"added": COUNT, "moved": COUNT}
    assert daemon.work() == (COUNT, COUNT)


@pytest.mark.parametrize("during", [up, stopped, down])
def test_a_tree_is_moved_to_another_volume(disk: MakeDisk, during: During, tmp_path: Path) -> None:
    """Copied and deleted, as every tool does that across file systems."""
    one, other = (disk("tmpfs").plug(tmp_path / name) for name in ("one", "other"))
    fill(one / "tree", COUNT)
    with running(Tuned(tmp_path / "home", [one, other])) as daemon:
        before = ids(daemon.in_step("--clusters"), one / "tree")
        name_one(daemon)
        grouped = clusters(daemon)
        with during(daemon):
            shutil.move(one / "tree", other / "tree")
        if during is up:  # copies that are seen beside their originals are files of their own for a moment
            daemon.until(lambda: daemon.told()["moved"] == COUNT, 60)
            assert ids(daemon.in_step(), other / "tree") == before
            told = daemon.told()
            assert told["added"] - told["removed"] == COUNT == daemon.count("decodes")
            assert told["missing"] == 0
        else:
            moved_all(daemon, other / "tree", before)
        assert clusters(daemon) == grouped
        assert all(volume["suspect"] is None for volume in daemon.ask().status()["volumes"])


@pytest.fixture
def few(tmp_path: Path) -> Path:
    root = tmp_path / "volume"
    fill(root, FEW, folders=2)
    return root


def test_copied_and_later_deleted(few: Path, tmp_path: Path) -> None:
    """A slow move: who knew the originals by their ids finds them where the copies are."""
    with running(Tuned(tmp_path / "home", [few])) as daemon:
        daemon.in_step("--clusters")
        chosen = name_one(daemon)
        shutil.copytree(few / "folder-00", few / "copies")
        copied = daemon.in_step()
        assert len(copied) == FEW + FEW // 2
        assert daemon.told() == {"added": FEW + FEW // 2}
        shutil.rmtree(few / "folder-00")
        after = daemon.in_step()
        kept = {path: file["id"] for path, file in copied.items() if "copies" not in path}
        assert ids(after) == {path.replace("folder-00", "copies"): file_id for path, file_id in kept.items()}
        assert daemon.told() == {"added": FEW + FEW // 2, "removed": FEW // 2, "moved": FEW // 2}
        daemon.in_step("--clusters")
        assert clusters(daemon)[chosen][0] == "Summer"
        assert daemon.work() == (FEW, FEW)


@pytest.mark.parametrize("during", [up, down])
def test_names_of_one_folder_change(few: Path, during: During, tmp_path: Path) -> None:
    """A change of case alone, two names swapped, three names in a circle, a name taken over from a deleted file."""
    paths = sorted((few / "folder-00").iterdir())
    with running(Tuned(tmp_path / "home", [few])) as daemon:
        before = ids(daemon.in_step())
        expected = dict(before)
        with during(daemon):
            paths[0].rename(shouted := paths[0].with_name(paths[0].name.upper()))
            _rotate(paths[1:3])
            _rotate(paths[3:6])
            paths[6].unlink()
            paths[7].rename(paths[6])
        expected[str(shouted)] = expected.pop(str(paths[0]))
        for group in (paths[1:3], paths[3:6]):
            for place, was in zip(group, [*group[1:], group[0]], strict=True):
                expected[str(place)] = before[str(was)]
        expected[str(paths[6])] = expected.pop(str(paths[7]))
        assert ids(daemon.in_step()) == expected
        told = daemon.told()
        assert (told["missing"], told["restored"], told["removed"]) == (1, 0, 0)
        assert told["moved"] >= 7  # in a circle one may be told of twice
        assert daemon.work() == (FEW, FEW)


def _rotate(paths: list[Path]) -> None:
    """Each takes the content of the next one, the last that of the first."""
    aside = paths[0].with_suffix(".tmp")
    paths[0].rename(aside)
    for place, was in pairwise(paths):
        was.rename(place)
    aside.rename(paths[-1])


def test_hard_links(few: Path, tmp_path: Path) -> None:
    """Each name is a file of its own, of one asset; taking a name away takes that file alone."""
    first, second = sorted((few / "folder-00").iterdir())[:2]
    with running(Tuned(tmp_path / "home", [few])) as daemon:
        before = ids(daemon.in_step())
        (few / "links").mkdir()
        os.link(first, few / "links" / "linked.png")
        os.link(second, few / "links" / second.name)
        linked = ids(daemon.in_step())
        assert linked.items() >= before.items()
        assert len(set(linked.values())) == FEW + 2
        with down(daemon):
            first.unlink()
            (few / "links" / second.name).unlink()
        after = ids(daemon.in_step())
        assert after == {path: file_id for path, file_id in linked.items() if os.path.exists(path)}
        assert daemon.told() == {"added": FEW + 2, "missing": 2}
        assert daemon.work() == (FEW, FEW)


@pytest.mark.parametrize("during", [up, down])
def test_replaced_in_place_with_the_same_size_and_time(few: Path, during: During, tmp_path: Path) -> None:
    """Only ctime (and for the renamed one the inode) tells."""
    written, renamed, touched = sorted((few / "folder-00").iterdir())[:3]
    seeds = {path: seed for seed in range(FEW) for path in few.rglob("*.png") if path.read_bytes() == tiny(seed)}
    with running(Tuned(tmp_path / "home", [few])) as daemon:
        before = daemon.in_step()
        with during(daemon):
            for path in (written, renamed):
                _replace(path, _same_size(path, seeds[path]), in_place=path == written)
            _replace(touched, touched.read_bytes(), in_place=True)  # new ctime, same content
        after = daemon.in_step()
        assert ids(after) == ids(before)
        changed = {path for path in after if after[path]["content_id"] != before[path]["content_id"]}
        assert changed == {str(written), str(renamed)}
        assert daemon.told() == {"added": FEW, "changed": 2}
        assert daemon.work() == (FEW + 2, FEW + 2)


def _same_size(path: Path, seed: int) -> bytes:
    size = path.stat().st_size
    return next(data for number in range(1, 100) if len(data := tiny(seed + 41 * number)) == size)


def _replace(path: Path, content: bytes, *, in_place: bool) -> None:
    was = path.stat()
    target = path if in_place else path.with_suffix(".part")
    target.write_bytes(content)
    target.replace(path)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (was.st_size, was.st_mtime_ns)
