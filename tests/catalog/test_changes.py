"""The feed: no line lost, none twice, none torn."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path

import orjson
import pytest

from mediad.catalog.changes import Feed
from mediad.model import Change, ChangeType


def changes(first: int, last: int, text: str = "") -> list[Change]:
    return [Change(seq, 1.5, ChangeType.ADDED, f"{seq:016x}", {"text": text}) for seq in range(first, last + 1)]


def seqs(lines: Iterable[dict[str, object]]) -> list[object]:
    return [line["seq"] for line in lines]


def follow(feed: Feed, last: int, **options: str) -> None:
    """What the publisher does: append what is behind the last whole line."""
    feed.append(changes(feed.repair(last) + 1, last, **options), 7)


def test_a_line(tmp_path: Path) -> None:
    change = Change(3, 1.5, ChangeType.MOVED, "00ff", {"from": "a\nb", "seq": "not this one"})
    Feed(tmp_path).append([change], 7)
    assert (tmp_path / "changes.ndjson").read_bytes() == (
        b'{"seq":3,"generation":7,"time":"1970-01-01T00:00:01.500000Z","type":"moved","id":"00ff","from":"a\\nb"}\n'
    )


def test_reading_goes_on_behind_a_number(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    assert (list(feed.read()), feed.append([], 1), feed.exists()) == ([], 0, False)
    follow(feed, 5)
    assert (seqs(feed.read()), seqs(feed.read(3)), seqs(feed.read(9))) == ([1, 2, 3, 4, 5], [4, 5], [])


@pytest.mark.parametrize("torn", [b'{"seq":6,"gener', b"{", b'{"seq":6}', bytes(5000), b"x" * 200_000])
def test_half_a_line_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    feed = Feed(tmp_path)
    follow(feed, 5)
    with (tmp_path / "changes.ndjson").open("ab") as file:
        file.write(torn)
    assert seqs(feed.read()) == [1, 2, 3, 4, 5]
    follow(feed, 7)
    assert seqs(feed.read()) == [1, 2, 3, 4, 5, 6, 7]


def test_nothing_but_half_a_line(tmp_path: Path) -> None:
    (tmp_path / "changes.ndjson").write_bytes(b'{"seq":1')
    follow(Feed(tmp_path), 2)
    assert seqs(Feed(tmp_path).read()) == [1, 2]


def test_lines_longer_than_what_is_looked_at_first(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    for last in (2, 3, 5):
        follow(feed, last, text="x" * 150_000)
    assert seqs(feed.read()) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("garbage", [b"garbage\n", b"[1]\n", b'{"seq":"x"}\n', b"\xff\xfe\n", b'{"seq":99}\n'])
def test_a_file_that_is_not_this_stores_feed_is_begun_again(tmp_path: Path, garbage: bytes) -> None:
    feed = Feed(tmp_path)
    (tmp_path / "changes.ndjson").write_bytes(garbage)
    (tmp_path / "changes.ndjson.1").write_bytes(garbage)
    follow(feed, 3)
    assert seqs(feed.read()) == [1, 2, 3]


def test_rotation_keeps_one_old_file_and_the_numbers(tmp_path: Path) -> None:
    feed = Feed(tmp_path, max_bytes=1000)
    for last in range(1, 41):
        follow(feed, last)
    assert {file.name for file in tmp_path.iterdir()} == {"changes.ndjson", "changes.ndjson.1"}
    kept = seqs(feed.read())
    assert kept == list(range(41 - len(kept), 41))
    assert 9 < len(kept) < 40
    assert max(file.stat().st_size for file in tmp_path.iterdir()) < 1200


def test_a_kill_between_rotation_and_the_first_line_of_the_new_file(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    follow(feed, 4)
    (tmp_path / "changes.ndjson").rename(tmp_path / "changes.ndjson.1")
    follow(feed, 6)
    assert seqs(feed.read(2)) == [3, 4, 5, 6]
    assert len((tmp_path / "changes.ndjson").read_bytes().splitlines()) == 2


def test_a_reader_follows_while_it_is_written_and_rotated(tmp_path: Path) -> None:
    feed, done = Feed(tmp_path, max_bytes=16_000), threading.Event()

    def write() -> None:
        for last in range(1, 300):
            follow(feed, last)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    found: list[object] = []
    while not done.is_set():
        found += seqs(Feed(tmp_path).read(len(found)))
    writer.join()
    found += seqs(Feed(tmp_path).read(len(found)))
    assert found == list(range(1, 300))
    assert (tmp_path / "changes.ndjson.1").exists()


def test_only_the_user_can_read_it(tmp_path: Path) -> None:
    follow(Feed(tmp_path), 1)
    assert (tmp_path / "changes.ndjson").stat().st_mode & 0o777 == 0o600
    assert orjson.loads((tmp_path / "changes.ndjson").read_bytes())["seq"] == 1
