"""Following the feed's file: every line once and in order, through rotation, halves of lines and new beginnings."""

from __future__ import annotations

from pathlib import Path

import pytest

from mediad.catalog.changes import Feed
from mediad.model import Change, ChangeType
from mediad_service.api.feed import GAP, Tail


def write(feed: Feed, first: int, last: int) -> None:
    feed.append(
        [Change(seq, 1.7e9, ChangeType.ADDED, "ab" * 8, {"path": "x" * (seq % 50)}) for seq in range(first, last + 1)],
        1,
    )


def follow(directory: Path, after: int | None) -> Tail:
    tail = Tail(directory)
    tail.begin(after)
    return tail


def seqs(tail: Tail, limit: int = 10_000) -> list[int]:
    return [line.seq for line in tail.read(limit)]


@pytest.mark.parametrize("after", [0, 1, 2, 49, 50, 51, 120, 298, 299])
def test_any_number_is_found(tmp_path: Path, after: int) -> None:
    write(Feed(tmp_path), 1, 300)
    tail = follow(tmp_path, after)
    assert seqs(tail) == list(range(after + 1, 301))
    assert seqs(tail) == []
    tail.close()


def test_from_the_end_on(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    write(feed, 1, 10)
    tail = Tail(tmp_path)
    assert tail.begin(None) == 10
    assert seqs(tail) == []
    write(feed, 11, 12)
    assert seqs(tail) == [11, 12]
    tail.close()


def test_there_is_no_feed_yet(tmp_path: Path) -> None:
    tail = Tail(tmp_path)
    assert (tail.begin(None), seqs(tail)) == (0, [])
    write(Feed(tmp_path), 1, 2)
    assert seqs(tail) == [1, 2]
    tail.close()


def test_rotation_is_followed(tmp_path: Path) -> None:
    feed = Feed(tmp_path, max_bytes=2000)
    tail = follow(tmp_path, 0)
    told: list[int] = []
    for first in range(1, 200, 7):
        write(feed, first, first + 6)
        if first % 2:
            told += seqs(tail, limit=10)
    while more := seqs(tail, limit=10):
        told += more
    assert (tmp_path / "changes.ndjson.1").exists()
    assert told[:7] == list(range(1, 8))
    assert told == sorted(set(told))
    tail.close()


def test_both_files_are_read_from_the_right_place(tmp_path: Path) -> None:
    feed = Feed(tmp_path, max_bytes=1000)
    for first in range(1, 41, 10):
        write(feed, first, first + 9)
    start = follow(tmp_path, 0)
    oldest = start.read(1)
    start.close()
    there = [line["seq"] for line in feed.read()]
    assert 1 < there[0] < 40
    assert (oldest[0].type, oldest[0].seq) == (GAP, there[0] - 1)
    for after in (there[0] - 1, there[0], there[-1] - 1, there[-1]):
        tail = follow(tmp_path, after)
        assert seqs(tail) == list(range(after + 1, 41))
        tail.close()


def test_half_a_line_waits_until_it_is_whole(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    write(feed, 1, 3)
    whole = (tmp_path / "changes.ndjson").read_bytes()
    (tmp_path / "changes.ndjson").write_bytes(whole[:-10])
    tail = follow(tmp_path, 0)
    assert seqs(tail) == [1, 2]
    with (tmp_path / "changes.ndjson").open("ab") as file:
        file.write(whole[-10:])
    assert seqs(tail) == [3]
    tail.close()
    (tmp_path / "changes.ndjson").write_bytes(whole[:-10])
    end = Tail(tmp_path)
    assert end.begin(None) == 2
    end.close()


def test_a_feed_that_begins_again_is_told_as_a_gap(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    write(feed, 1, 5)
    tail = follow(tmp_path, 5)
    feed.reset()
    write(feed, 1, 3)
    lines = tail.read(10)
    assert [(line.seq, line.type) for line in lines] == [(0, GAP), (1, "added"), (2, "added"), (3, "added")]
    tail.close()


def test_closing_ends_it_for_all(tmp_path: Path) -> None:
    write(Feed(tmp_path), 1, 5)
    tail = follow(tmp_path, 0)
    tail.close()
    assert tail.read(10) == []
    late = Tail(tmp_path)
    late.close()
    assert late.begin(None) == 0
