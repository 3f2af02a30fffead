"""What a child may do to us: nothing that costs more than the request under way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from tests.channel.unruly_child import FRAMES

from mediad.channel import Child, ChildError, Limits, describe_exit


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Iterator[Child]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    child = Child("unruly_child", limits=Limits(memory=2 << 30, nice=3))
    yield child
    child.stop()
    assert child.pid is None


def reason_of(child: Child, deadline: float = 20, **message: object) -> str:
    with pytest.raises(ChildError) as caught:
        child.request(message, deadline=deadline)
    return caught.value.reason


def works(child: Child) -> bool:
    answer, blobs = child.request({"do": "echo", "text": "well"}, [b"a", b"", b"bc"], deadline=20)
    return answer["said"] == "well" and [bytes(blob) for blob in blobs] == [b"a", b"", b"bc"]


def test_blobs_go_there_and_back_and_the_child_stays(child: Child) -> None:
    big = os.urandom(20 << 20)
    first, (echo,) = child.request({"do": "echo"}, [memoryview(big)], deadline=20)
    assert echo == big
    assert child.request({"do": "echo"}, deadline=20)[0]["pid"] == first["pid"] == child.pid


@pytest.mark.parametrize("frame", FRAMES)
def test_nonsense_costs_one_request(child: Child, frame: str) -> None:
    assert works(child)
    started = time.monotonic()
    expected = {"no json": "crashed", "half": "crashed"}.get(frame, "protocol")
    assert reason_of(child, do="frame", frame=frame) == expected
    assert time.monotonic() - started < 5
    assert works(child)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, 40])
def test_a_crash_costs_one_request(child: Child, number: int) -> None:
    assert reason_of(child, do="die", signal=number) == "crashed"
    assert works(child)


def test_a_refusal_costs_nothing(child: Child) -> None:
    assert works(child)
    pid = child.pid
    with pytest.raises(ChildError, match="ValueError: no such thing") as caught:
        child.request({"do": "raise", "text": "no such thing"}, deadline=20)
    assert caught.value.reason == "refused"
    assert works(child)
    assert child.pid == pid


def test_memory_without_end_costs_one_request(child: Child) -> None:
    with pytest.raises(ChildError, match="memory"):
        child.request({"do": "allocate"}, deadline=20)
    assert works(child)


@pytest.mark.parametrize("how", ["sleep", "trickle"])
def test_a_hanging_child_is_ended_at_its_deadline(child: Child, how: str) -> None:
    assert works(child)
    started = time.monotonic()
    assert reason_of(child, 0.3, do=how, seconds=60) == "timeout"
    assert time.monotonic() - started < 3
    assert works(child)


def test_deadlines_that_are_just_met_never_harm_the_next_request(child: Child) -> None:
    assert works(child)
    late = 0
    for step in range(40):
        try:
            child.request({"do": "sleep", "seconds": 0.02}, deadline=0.015 + step * 0.0004)
        except ChildError as error:
            assert error.reason == "timeout"  # noqa: PT017 - both outcomes are right here
            late += 1
        assert works(child)
    assert late


def test_requests_of_many_threads_do_not_mix(child: Child) -> None:
    def ask(number: int) -> bool:
        answer, (blob,) = child.request({"do": "echo", "text": number}, [b"%d" % number], deadline=20)
        return answer["said"] == number and blob == b"%d" % number

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(ask, range(400)))


@pytest.mark.parametrize("after", [0.0, 0.01, 0.05, 0.3])
def test_stop_ends_a_request_at_any_moment_and_blames_nobody(child: Child, after: float) -> None:
    reasons: list[str] = []
    asking = threading.Thread(target=lambda: reasons.append(reason_of(child, 30, do="sleep", seconds=30)))
    asking.start()
    while not child._lock.locked():
        time.sleep(0.001)
    time.sleep(after)  # while it is being started, while it imports, while it works
    started = time.monotonic()
    child.stop()
    asking.join()
    assert time.monotonic() - started < 2
    assert reasons == ["stopped"]
    assert works(child)


def test_a_child_that_cannot_be_started_is_not_the_callers_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(ChildError, match="could not be started") as caught:
        Child("unruly_child").request({"do": "echo"}, deadline=5)
    assert caught.value.reason == "unavailable"


def test_limits_hold_in_the_child(child: Child) -> None:
    answer, _ = child.request({"do": "limits"}, deadline=20)
    assert answer["nice"] >= 3
    assert answer["ignored"] == ["SIGINT", "SIGTERM"]


PARENT = """
import sys, time
from mediad.channel import Child
child = Child("unruly_child")
child.request({"do": "echo"}, deadline=20)
print(child.pid, flush=True)
child.request({"do": "sleep", "seconds": 60}, deadline=120)
"""


def test_a_child_ends_with_its_parent_even_in_the_middle_of_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    psutil.wait_procs([child], timeout=5)
    assert not child.is_running()


def test_every_end_can_be_described() -> None:
    texts = [describe_exit(status) for status in (None, 0, 1, 86, *range(-64, 0))]
    assert all(texts)
    assert describe_exit(-9) == "the child was ended by SIGKILL"
