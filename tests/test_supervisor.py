"""Loops that fail, hang, and end: none takes another with it, and none is missed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from mediad import supervisor as module
from mediad.supervisor import Supervisor


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.05)
    monkeypatch.setattr(module, "_LAST_PAUSE", 0.4)
    monkeypatch.setattr(module, "_PATIENCE", 1.0)
    monkeypatch.setattr(module, "_LEAST_PATIENCE", 0.1)
    monkeypatch.setattr(module, "_WELL_AFTER", 1.0)


def until(done: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Loop:
    """Runs until stopped; fails as often as it is told to."""

    def __init__(self, log: list[str], name: str, failures: int = 0) -> None:
        self.log, self.name, self.failures = log, name, failures
        self.starts: list[float] = []
        self.stopped = threading.Event()

    def run(self) -> None:
        self.starts.append(time.monotonic())
        if len(self.starts) <= self.failures:
            raise ValueError(f"failure {len(self.starts)}")
        self.stopped.wait()
        self.log.append(self.name)


def test_loops_stop_in_reverse() -> None:
    log: list[str] = []
    supervisor = Supervisor()
    for name in "abc":
        loop = Loop(log, name)
        supervisor.start(name, loop.run, loop.stopped.set)
    supervisor.stop_all()
    assert log == ["c", "b", "a"]


def test_a_loop_that_fails_is_started_again_after_longer_and_longer_pauses() -> None:
    loop = Loop([], "one", failures=5)
    supervisor = Supervisor()
    supervisor.start("one", loop.run, loop.stopped.set)
    until(lambda: len(loop.starts) == 6)
    pauses = [after - before for before, after in zip(loop.starts, loop.starts[1:], strict=False)]
    for pause, least in zip(pauses, (0.05, 0.1, 0.2, 0.4, 0.4), strict=True):
        assert pause >= least
    assert supervisor.failures == {"one": "ValueError: failure 5"}
    until(lambda: supervisor.failures == {})  # it has gone well for a while
    supervisor.stop_all()
    assert loop.log == ["one"]


def test_a_failing_loop_can_be_stopped_in_its_pause_and_harms_no_other() -> None:
    log: list[str] = []
    bad, good = Loop(log, "bad", failures=1000), Loop(log, "good")
    supervisor = Supervisor()
    supervisor.start("bad", bad.run, bad.stopped.set)
    supervisor.start("good", good.run, good.stopped.set)
    until(lambda: len(bad.starts) >= 3)
    began = time.monotonic()
    supervisor.stop("bad")
    assert time.monotonic() - began < 0.3
    assert supervisor.failures == {}
    count = len(bad.starts)
    supervisor.start("bad", bad.run, bad.stopped.set)  # the same name again, as when a volume is set otherwise
    until(lambda: len(bad.starts) > count)
    supervisor.stop_all()
    assert log == ["good"]


def test_a_loop_that_hangs_is_left_behind_in_time() -> None:
    log: list[str] = []
    forever = threading.Event()

    def hang() -> None:
        forever.wait()

    supervisor = Supervisor()
    good = Loop(log, "good")
    supervisor.start("good", good.run, good.stopped.set)
    for name in ("hangs", "hangs too"):
        supervisor.start(name, hang, lambda: None)
    began = time.monotonic()
    supervisor.stop_all()
    assert time.monotonic() - began < 3
    assert log == ["good"]
    forever.set()


def test_a_vital_loop_without_signs_of_life_is_stuck_and_others_never_are() -> None:
    supervisor = Supervisor(stuck_after=0.3)
    vital, other = Loop([], "vital"), Loop([], "other")
    supervisor.start("vital", vital.run, vital.stopped.set, vital=True)
    supervisor.start("other", other.run, other.stopped.set)
    assert supervisor.stuck() == []
    until(lambda: supervisor.stuck() == ["vital"])
    supervisor.beat("vital")
    assert supervisor.stuck() == []
    supervisor.stop_all()
    assert supervisor.stuck() == []


def test_a_vital_loop_in_its_pause_is_not_stuck() -> None:
    supervisor = Supervisor(stuck_after=0.6)
    loop = Loop([], "vital", failures=1000)
    supervisor.start("vital", loop.run, loop.stopped.set, vital=True)
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        assert supervisor.stuck() == []  # a restart of the daemon would mend nothing
        time.sleep(0.02)
    supervisor.stop_all()
