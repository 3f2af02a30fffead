"""The small parts: the interval, the status file, replacing files, the choice of the keeper."""

from __future__ import annotations

import os
import random
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediad import durable
from mediad.catalog import atomic
from mediad.catalog.duplicates import keeper_order
from mediad.catalog.interval import Interval
from mediad.catalog.status import write_status
from mediad.catalog.text import iso, iso_ns, path_text

seconds = st.floats(0, 1e6)


def test_a_change_after_a_quiet_time_is_published_at_once() -> None:
    interval = Interval(0.5, 30.0)
    assert interval.wait(100.0) == 0.0
    interval.published(100.0, 0.2)
    assert interval.wait(100.0) == pytest.approx(1.8)
    assert interval.wait(101.0) == pytest.approx(0.8)
    assert interval.wait(101.9) == 0.0


def test_the_wait_stays_between_its_bounds() -> None:
    interval = Interval(0.5, 30.0)
    assert [interval.next_delay(cost) for cost in (0.0, 0.01, 1.0, 100.0)] == [0.5, 0.5, pytest.approx(9.0), 30.0]


@given(costs=st.lists(st.floats(0.001, 3.0), min_size=1, max_size=20), share=st.floats(0.05, 0.5))
def test_publishing_all_the_time_takes_no_more_than_its_share(costs: list[float], share: float) -> None:
    interval, now = Interval(0.0, 1e9, share), 50.0
    for cost in costs:
        now += interval.wait(now) + cost
        interval.published(now, cost)
    now += interval.wait(now)
    assert sum(costs) <= share * (now - 50.0) * 1.001


def test_the_status_file(tmp_path: Path) -> None:
    write_status(tmp_path, {"state": "idle", "pending": 0})
    file = tmp_path / "status.json"
    assert list(orjson.loads(file.read_bytes())) == ["state", "pending"]
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.stat()
    write_status(tmp_path, {"state": "idle", "pending": 0})
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    write_status(tmp_path, {"state": "busy"})
    assert orjson.loads(file.read_bytes()) == {"state": "busy"}
    assert [one.name for one in tmp_path.iterdir()] == ["status.json"]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    atomic.write(path, b"old")

    def fail() -> None:
        with durable.staged(atomic.stage_of(path)) as file:
            file.write(b"half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fail()
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"precious")
    atomic.stage_of(tmp_path / "file").symlink_to(other)
    with pytest.raises(OSError, match="Too many levels"):
        atomic.write(tmp_path / "file", b"new")
    assert other.read_bytes() == b"precious"


def test_which_copy_is_kept() -> None:
    best_first = [
        ("/a/photo.jpg", 1.0),
        ("/a/photo.jpg", 2.0),
        ("/b/photo.jpg", 2.0),
        ("/long/photo.jpg", 2.0),
        ("/a/photocopy.jpg", 3.0),
        ("/a/photo (1).jpg", 0.5),
        ("/a/photo - Copy.jpg", 0.7),
        ("/a/photo copy 2.jpg", 0.7),
    ]
    shuffled = random.Random(1).sample(best_first, len(best_first))
    assert sorted(shuffled, key=lambda one: keeper_order(*one)) == best_first


def test_times() -> None:
    assert iso(1.5) == iso_ns(1_500_000_000) == "1970-01-01T00:00:01.500000Z"
    assert iso_ns(-1) == "1969-12-31T23:59:59.999999Z"


@given(st.binary().map(lambda raw: raw.replace(b"\0", b"_")))
def test_any_path_becomes_text_that_json_can_hold(path: bytes) -> None:
    text = path_text(path)
    assert orjson.loads(orjson.dumps(text)) == text
    assert path_text(os.fsdecode(path)) == text
