"""When a file may be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediad.model import Stat
from mediad.watcher import Settle

DAY = 86_400.0
WALL = 1_700_000_000.0


def stat(changed: float = 0.0, size: int = 10) -> Stat:
    """As of a file last changed so many seconds before `WALL`."""
    time_ns = int((WALL - changed) * 1e9)
    return Stat(size, time_ns, time_ns, 7)


def test_an_old_file_is_ready_at_once() -> None:
    settle = Settle(2.0)
    assert settle.observe("a", stat(DAY), 100.0, WALL) is None
    assert len(settle) == 0


def test_a_fresh_file_waits_until_it_is_old_enough() -> None:
    settle = Settle(2.0)
    assert settle.observe("a", stat(0.5), 100.0, WALL) == pytest.approx(101.5)
    assert settle.observe("a", stat(0.5), 101.0, WALL + 1.0) == pytest.approx(101.5)
    assert settle.observe("a", stat(0.5), 101.6, WALL + 1.6) is None


def test_a_growing_file_never_becomes_ready() -> None:
    settle = Settle(2.0)
    for second in range(100):
        assert settle.observe("a", stat(-second, size=second), 100.0 + second, WALL + second) == 102.0 + second


def test_a_restored_mtime_does_not_hide_a_change() -> None:
    old = int((WALL - DAY) * 1e9)
    assert Settle(2.0).observe("a", Stat(10, old, int(WALL * 1e9), 7), 100.0, WALL) == 102.0


@pytest.mark.parametrize("ahead", [1.0, DAY, 365 * DAY])
def test_a_time_in_the_future_is_waited_out_once(ahead: float) -> None:
    settle = Settle(2.0)
    assert settle.observe("a", stat(-ahead), 100.0, WALL) == 102.0
    assert settle.observe("a", stat(-ahead), 102.0, WALL + 0.5) is None


def test_the_clock_set_back_while_waiting() -> None:
    settle = Settle(2.0)
    assert settle.observe("a", stat(1.0), 100.0, WALL) == 101.0
    assert settle.observe("a", stat(1.0), 101.0, WALL - 365 * DAY) == 102.0
    assert settle.observe("a", stat(1.0), 102.0, WALL - 365 * DAY) is None


def test_a_closed_file_is_ready_sooner() -> None:
    settle = Settle(2.0, closed_seconds=0.3)
    assert settle.observe("a", stat(), 100.0, WALL) == 102.0
    settle.closed("a", 100.5)
    assert settle.observe("a", stat(-0.5), 100.6, WALL + 0.6) == pytest.approx(100.8)
    assert settle.observe("a", stat(-0.5), 100.9, WALL + 0.9) is None
    settle.closed("new", 100.0)
    assert settle.observe("new", stat(), 100.1, WALL + 0.1) == pytest.approx(100.3)


def test_an_empty_file_is_not_believed_when_closed() -> None:
    settle = Settle(2.0)
    settle.closed("a", 100.0)
    assert settle.observe("a", stat(size=0), 100.0, WALL) == 102.0


def test_a_change_after_closing_waits_in_full() -> None:
    settle = Settle(2.0, closed_seconds=0.3)
    settle.closed("a", 100.0)
    assert settle.observe("a", stat(), 100.1, WALL + 0.1) == pytest.approx(100.3)
    assert settle.observe("a", stat(-0.2, size=11), 100.2, WALL + 0.2) == pytest.approx(102.2)


def test_memory_is_bounded_and_the_oldest_goes_first() -> None:
    settle = Settle(2.0, capacity=3)
    for number in range(10):
        settle.observe(number, stat(-DAY), 100.0 + number, WALL)
        settle.closed(("closed", number), 100.0)
        assert len(settle) <= 3
    settle.forget(9)
    assert settle.observe(9, stat(-DAY), 200.0, WALL) == 202.0


@given(st.floats(0, 10), st.floats(-DAY, DAY), st.lists(st.tuples(st.floats(0, 5), st.floats(-DAY, DAY)), max_size=20))
def test_an_unchanged_file_is_ready_in_time_whatever_the_wall_clock_does(
    seconds: float, changed: float, steps: list[tuple[float, float]]
) -> None:
    settle, now = Settle(seconds), 100.0
    until = settle.observe("a", stat(changed), now, WALL)
    for step, jump in steps:
        if until is None:
            return
        assert now < until <= 100.0 + seconds
        now += step
        until = settle.observe("a", stat(changed), now, WALL + jump)
        assert until is None or now < 100.0 + seconds
