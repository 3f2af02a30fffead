"""What happens on disk comes out in the catalog, in the feed and in the counters: exactly that, and nothing else."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from tests.engine.conftest import Running, draw, files_of

from mediad.ingest.recorder import Recorder
from mediad.store.work import WorkItem

Start = Callable[..., Running]


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    root = tmp_path / "volume"
    for seed in range(6):
        draw(root / "trip" / f"picture-{'abcdef'[seed]}.png", seed)
    return root


def types(running: Running, since: int = 0) -> Counter[str]:
    return Counter(line["type"] for line in running.changes()[since:])


def test_files_come_are_renamed_replaced_and_deleted(start: Start, volume: Path) -> None:
    running = start(volume)
    files = files_of(running.sync())
    assert set(files) == {str(path) for path in volume.rglob("*.png")}
    assert running.counters()["decodes"] == running.counters()["embeddings"] == 6
    assert types(running) == {"added": 6}

    ids = {path: file["id"] for path, file in files.items()}
    a, b, c = (volume / "trip" / f"picture-{letter}.png" for letter in "abc")
    renamed = volume / "renamed.png"
    a.rename(renamed)
    b.unlink()
    draw(volume / "replacement.tmp.png", 77).rename(c)
    draw(volume / "new.png", 78)
    seen = len(running.changes())
    files = files_of(running.sync())
    assert set(files) == {str(path) for path in volume.rglob("*.png")}
    assert types(running, seen) == {"moved": 1, "missing": 1, "changed": 1, "added": 1}
    assert files[str(renamed)]["id"] == ids[str(a)]
    assert files[str(c)]["id"] == ids[str(c)]
    assert running.counters()["decodes"] == running.counters()["embeddings"] == 8

    draw(b, 1)  # the same bytes are back
    assert files_of(running.sync())[str(b)]["id"] == ids[str(b)]
    assert running.counters()["decodes"] == running.counters()["embeddings"] == 8
    assert running.changes()[-1]["type"] == "restored"


def test_a_folder_is_renamed_moved_to_another_volume_and_deleted(start: Start, volume: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    running = start(volume, other)
    before = {Path(path).name: file["id"] for path, file in files_of(running.sync()).items()}
    counters = running.counters()
    (volume / "trip").rename(volume / "holiday")
    seen = len(running.changes())
    after = {Path(path).name: file["id"] for path, file in files_of(running.sync()).items()}
    assert after == before
    assert types(running, seen) == {"moved": 6}

    shutil.copytree(volume / "holiday", other / "holiday")
    shutil.rmtree(volume / "holiday")
    seen = len(running.changes())
    catalog = running.sync()
    assert {Path(path).name for path in files_of(catalog)} == set(before)
    assert {Path(path).parent for path in files_of(catalog)} == {other / "holiday"}
    done = running.counters()
    assert (done["decodes"], done["embeddings"]) == (counters["decodes"], counters["embeddings"])

    shutil.rmtree(other / "holiday")
    assert files_of(running.sync()) == {}
    assert types(running, seen)["removed"] == 0  # what is missing is kept for the retention


def test_two_names_are_swapped(start: Start, volume: Path) -> None:
    running = start(volume)
    before = files_of(running.sync())
    a, b, aside = (volume / "trip" / name for name in ("picture-a.png", "picture-b.png", "aside.tmp"))
    a.rename(aside)
    b.rename(a)
    aside.rename(b)
    after = files_of(running.sync())
    assert after[str(a)]["content_id"] == before[str(b)]["content_id"]
    assert after[str(a)]["id"] == before[str(b)]["id"]
    assert after[str(b)]["id"] == before[str(a)]["id"]
    assert running.counters()["decodes"] == 6


@pytest.mark.parametrize("order", list(permutations("abc")), ids="".join)
def test_three_names_go_round_in_one_batch(
    start: Start, volume: Path, monkeypatch: pytest.MonkeyPatch, order: tuple[str, ...]
) -> None:
    first = start(volume)
    before = files_of(first.sync())
    first.engine.stop()
    a, b, c = (volume / "trip" / f"picture-{letter}.png" for letter in "abc")
    a.rename(aside := volume / "trip" / "aside.tmp")
    b.rename(a)
    c.rename(b)
    aside.rename(c)
    gather = Recorder._gather

    def gather_all(self: Recorder, batch: list[Any], _until: float) -> bool:
        last = gather(self, batch, time.monotonic() + 0.5)
        batch.sort(key=lambda outcome: order.index(os.fsdecode(outcome[0].path)[-5]))
        return last

    monkeypatch.setattr(Recorder, "_gather", gather_all)
    second = start(volume)
    after = files_of(second.sync())
    for place, was in ((a, b), (b, c), (c, a)):
        assert after[str(place)]["content_id"] == before[str(was)]["content_id"]
        assert after[str(place)]["id"] == before[str(was)]["id"]
    assert types(second)["changed"] == types(second)["missing"] == 0


def test_same_size_and_restored_times_do_not_hide_a_change(start: Start, volume: Path) -> None:
    path = volume / "flat.bmp"
    draw(path, 100)
    running = start(volume)
    before = files_of(running.sync())[str(path)]["content_id"]
    was = path.stat()
    draw(path, 101)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert path.stat().st_size == was.st_size
    assert files_of(running.sync())[str(path)]["content_id"] != before


def test_copies_are_one_asset_and_a_duplicate_group(start: Start, volume: Path) -> None:
    shutil.copy(volume / "trip" / "picture-a.png", volume / "picture-a (1).png")
    running = start(volume)
    catalog = running.sync()
    assert running.counters()["decodes"] == running.counters()["embeddings"] == 6
    (group,) = catalog["duplicates"]
    assert group["tier"] == "exact"
    assert files_of(catalog)[str(volume / "trip" / "picture-a.png")]["id"] == group["keeper"]


def test_what_changed_while_the_daemon_was_down_is_found(start: Start, volume: Path) -> None:
    first = start(volume)
    before = files_of(first.sync())
    decoded = first.counters()["decodes"]
    first.engine.stop()
    a, b = (volume / "trip" / f"picture-{letter}.png" for letter in "ab")
    a.rename(volume / "elsewhere.png")
    b.unlink()
    draw(volume / "late.png", 50)
    second = start(volume)
    after = files_of(second.sync())
    assert set(after) == {str(path) for path in volume.rglob("*.png")}
    assert after[str(volume / "elsewhere.png")]["id"] == before[str(a)]["id"]
    assert second.counters()["decodes"] == decoded + 1


def test_an_unchanged_restart_decodes_and_publishes_nothing_new(start: Start, volume: Path) -> None:
    first = start(volume)
    first.sync()
    counters = first.counters()
    first.engine.stop()
    second = start(volume)
    second.sync()
    again = second.counters()
    assert (again["decodes"], again["embeddings"]) == (counters["decodes"], counters["embeddings"])
    assert types(second) == {"added": 6}


def test_a_bad_file_is_quarantined_with_its_reason_and_tried_again_when_it_changes(start: Start, volume: Path) -> None:
    bad = volume / "bad.jpg"
    bad.write_bytes(b"\xff\xd8\xff\xe0 this is no picture")
    running = start(volume)
    catalog = running.sync()
    assert str(bad) not in files_of(catalog)
    (entry,) = running.engine.status()["quarantined"]
    assert entry["path"] == str(bad)
    assert entry["reason"]
    assert catalog["metadata"]["quarantined"] == 1
    assert catalog["metadata"]["pending"] == 0
    draw(bad, 60)
    assert str(bad) in files_of(running.sync())
    assert running.engine.status()["quarantined"] == []


def test_a_sync_tries_at_once_what_was_refused_before(start: Start, volume: Path) -> None:
    running = start(volume)
    running.sync()
    with running.engine.store.write() as tx:
        file = next(iter(tx.files))
        key = tx.files.key(file.volume, file.relpath)
        assert key is not None
        tx.work.put(WorkItem(key, time.time() + 3600, 9, "Permission denied", errno.EACCES, file.stat))
    assert running.engine.status()["pending"] == 1
    running.sync()
    assert running.engine.status()["pending"] == 0


def test_the_feed_tells_of_a_quarantined_file_what_the_catalog_shows(start: Start, volume: Path) -> None:
    path, elsewhere = volume / "file.jpg", volume / "elsewhere.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0 this is no picture")
    running = start(volume)

    def told() -> list[str]:
        seen = len(running.changes())
        files = files_of(running.sync())
        own = [line["type"] for line in running.changes()[seen:] if line["path"].endswith(".jpg")]
        assert (str(path) in files and files[str(path)]["state"] == "present") == (
            own[-1:] in (["added"], ["restored"])
        )
        return own

    assert told() == []
    path.rename(elsewhere)
    assert told() == []
    elsewhere.unlink()
    assert told() == []
    draw(path, 60)
    assert told() == ["added"]
    path.write_bytes(b"\xff\xd8\xff\xe0 nor is this")
    assert told() == ["removed"]
    draw(path, 61)
    assert told() == ["added"]
    path.unlink()
    assert told() == ["missing"]
    draw(path, 61)
    assert told() == ["restored"]


def test_names_that_are_no_text_and_very_long_ones(start: Start, volume: Path) -> None:
    odd = [b"not \xff utf-8.png", b"new\nline.png", b"x" * 251 + b".png"]
    for number, name in enumerate(odd):
        draw(volume / "plain.png", 200 + number).rename(os.fsdecode(os.path.join(os.fsencode(volume), name)))
    running = start(volume)
    assert len(files_of(running.sync())) == 6 + len(odd)
    first = running.changes()
    os.rename(os.path.join(os.fsencode(volume), odd[0]), os.path.join(os.fsencode(volume), b"other \xfe.png"))
    assert len(files_of(running.sync())) == 6 + len(odd)
    assert types(running, len(first)) == {"moved": 1}


def test_a_volume_that_goes_away_is_offline_and_loses_nothing(start: Start, volume: Path) -> None:
    running = start(volume)
    before = files_of(running.sync())
    counters = running.counters()
    away = volume.with_name("unplugged")
    volume.rename(away)
    after = files_of(running.sync())
    assert set(after) == set(before)
    assert {file["state"] for file in after.values()} == {"offline"}
    assert running.engine.status()["volumes"][0]["state"] == "offline"
    away.rename(volume)
    back = files_of(running.sync())
    assert {file["state"] for file in back.values()} == {"present"}
    again = running.counters()
    assert (again["decodes"], again["embeddings"]) == (counters["decodes"], counters["embeddings"])


def test_an_unmounted_drive_is_not_an_empty_one(start: Start, mounted: Path) -> None:
    for seed in range(4):
        draw(mounted / f"{seed}.png", seed)
    running = start(mounted)
    before = set(files_of(running.sync()))
    held = mounted.with_name("held")
    held.mkdir()
    subprocess.run(["mount", "--bind", mounted, held], check=True)
    try:
        subprocess.run(["umount", "--lazy", mounted], check=True)
        after = files_of(running.sync())
        assert set(after) == before
        assert {file["state"] for file in after.values()} == {"offline"}
        assert "empty" in running.engine.status()["volumes"][0]["reason"]
        subprocess.run(["mount", "--bind", held, mounted], check=True)
    finally:
        subprocess.run(["umount", held], check=True)
    assert {file["state"] for file in files_of(running.sync()).values()} == {"present"}
    assert running.counters()["decodes"] == 4
    assert "missing" not in types(running)
