"""Coalescing, polling intervals and the advice about limits: all pure."""

from __future__ import annotations

import errno
import math
import re

from mediad.watcher.limits import advice
from mediad.watcher.pending import Pending
from mediad.watcher.polling import Poll


def pending() -> Pending:
    return Pending(quiet=0.1, longest=1.0, slow=2.0)


def add(queue: Pending, reldir: bytes, now: float, *, recursive: bool = False, quick: bool = True) -> float:
    return queue.add("v", reldir, now, recursive=recursive, quick=quick)


def test_a_burst_is_one_hint() -> None:
    queue = pending()
    for step in range(5):
        add(queue, b"a", 100.0 + step * 0.05)
    assert math.isclose(queue.next_due(), 100.3)
    assert queue.take(100.25) == []
    assert queue.take(100.31) == [("v", b"a", False)]
    assert queue.next_due() == math.inf


def test_an_endless_burst_still_speaks_each_second() -> None:
    queue, hints = pending(), 0
    for step in range(1000):
        add(queue, b"a", 100.0 + step * 0.01)
        hints += len(queue.take(100.0 + step * 0.01))
    assert 8 <= hints <= 10


def test_writing_waits_and_closing_does_not() -> None:
    queue = pending()
    assert add(queue, b"a", 100.0, quick=False) == 102.0
    assert add(queue, b"a", 100.5, quick=False) == 102.0
    assert math.isclose(add(queue, b"a", 100.6), 100.7)
    assert queue.take(100.75) == [("v", b"a", False)]


def test_recursive_stays_recursive_and_swallows_what_is_below() -> None:
    queue = pending()
    for reldir, recursive in ((b"a", True), (b"a", False), (b"a/b", True), (b"a/b/c", False), (b"ab", False)):
        add(queue, reldir, 100.0, recursive=recursive)
    queue.add("w", b"a/b", 100.0, recursive=False, quick=True)
    assert sorted(queue.take(101.0)) == [("v", b"a", True), ("v", b"ab", False), ("w", b"a/b", False)]
    add(queue, b"x/y", 100.0, recursive=True)
    add(queue, b"", 100.0, recursive=True)
    assert queue.take(101.0) == [("v", b"", True)]


def test_very_many_directories_become_the_whole_volume() -> None:
    queue = pending()
    for number in range(10_000):
        add(queue, b"%d" % number, 100.0)
    hints = queue.take(200.0)
    assert len(hints) <= 4096
    assert ("v", b"", True) in hints
    add(queue, b"a", 300.0)
    queue.forget("v")
    assert queue.take(400.0) == []


def test_polls_relax_while_nothing_changes_and_tighten_when_something_does() -> None:
    poll = Poll(10.0, 100.0, due=110.0, targets=frozenset({b""}))
    assert not poll.take(109.9)
    assert poll.take(110.0)
    assert not poll.take(150.0)  # the scan is under way
    intervals = []
    for _ in range(8):
        poll.report(0.1, changed=False, now=200.0)
        intervals.append(poll.due - 200.0)
    assert intervals == sorted(intervals)
    assert (intervals[0], intervals[-1]) == (15.0, 100.0)
    poll.report(0.1, changed=True, now=200.0)
    assert poll.due == 210.0


def test_dear_polls_are_rare() -> None:
    poll = Poll(10.0, 100.0, due=0.0, targets=frozenset({b""}))
    for seconds, interval in ((1.0, 20.0), (4.0, 80.0), (30.0, 100.0), (500.0, 500.0)):
        poll.report(seconds, changed=True, now=0.0)
        assert poll.due == interval


def test_a_scan_that_never_reports_does_not_end_polling() -> None:
    poll = Poll(10.0, 100.0, due=0.0, targets=frozenset({b""}))
    assert poll.take(0.0)
    assert poll.take(100.0)


def test_the_advice_names_one_setting_and_enough() -> None:
    watches = advice(OSError(errno.ENOSPC, ""), 1_000_000)
    found = re.search(r"sysctl -w (fs\.inotify\.max_user_watches|user\.max_inotify_watches)=(\d+)", watches)
    assert found is not None
    assert int(found[2]) >= 1_500_000
    assert re.search(r"sysctl -w \S*inotify\S*instances=\d+", advice(OSError(errno.EMFILE, ""), 0))
