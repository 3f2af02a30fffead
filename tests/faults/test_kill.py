"""kill -9 at every step: the n-th call of each kind that changes a file, in any thread of a scripted session.

strace counts the calls of each thread by itself, so the n-th call is that of the thread that is there first. Between
them lie the moments of `test_power_loss`, whose mode "kept" is kill -9 after each operation of all threads together.
MEDIAD_FAULTS=all tries every n.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.engine.conftest import draw
from tests.faults.crash import Acknowledged, Host, check_feed, check_restart, film, need_strace, session
from tests.faults.host import known, make_engine

from mediad_service.audit import audit

ALL = os.environ.get("MEDIAD_FAULTS") == "all"
CALLS = ("fsync", "fdatasync", "rename", "pwrite64", "writev", "write", "mkdir")
CHILDREN = ("mediad.media.child", "mediad.encoders.child", "mediad.analysis.child")
_AT_ONCE = 3  # a session mostly waits
pytestmark = [pytest.mark.long, pytest.mark.timeout(7200 if ALL else 180)]


@pytest.fixture(scope="module", autouse=True)
def strace() -> None:
    need_strace()


def _tracing(output: Path | str, *expressions: str) -> list[str]:
    calls = ["-e", f"trace={','.join(CALLS)}"]
    return ["strace", "-f", "-qq", "-o", str(output), *calls, *(f"-einject={e}" for e in expressions)]


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """How often the busiest thread makes each call in a session that nothing happens to."""
    home = tmp_path_factory.mktemp("counts")
    assert len(session(Host(home, prefix=_tracing(home / "trace"))).ids) == 8
    lines = (re.match(r"(\d+) +(\w+)\(", line) for line in (home / "trace").read_text().splitlines())
    found = Counter(line.group(2, 1) for line in lines if line is not None)
    return {call: max(count for (name, _), count in found.items() if name == call) for call in CALLS}


def _spread(count: int, most: int) -> list[int]:
    """`most` numbers from 1 to `count`, close together at first: what happens once happens early."""
    if ALL or count <= most:
        return list(range(1, count + 1))
    return sorted({round(count ** (step / (most - 1))) for step in range(most)})


def _try(home: Path, *expressions: str) -> tuple[Acknowledged, dict[str, int]]:
    """One session with a fault, then what must hold after a restart."""
    host = Host(home, prefix=_tracing("/dev/null", *expressions))
    acknowledged = session(host)
    try:
        again = check_restart(host.state, host.library, acknowledged)
    except AssertionError as error:
        log = (home / "host.log").read_text()[-3000:]
        raise AssertionError(f"{expressions}: {error}\n{log}") from error
    shutil.rmtree(home)
    return acknowledged, again


def _try_all(tmp_path: Path, faults: list[str]) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        results = pool.map(lambda one: _try(tmp_path / str(one[0]), one[1]), enumerate(faults))
        died = [fault for fault, (told, _) in zip(faults, results, strict=True) if len(told.ids) < 8]
    print(f"{len(faults)} sessions with a fault, of which {len(died)} ended in the middle")


def test_killed_at_any_call(counts: dict[str, int], tmp_path: Path) -> None:
    faults = [f"{call}:signal=KILL:when={n}" for call in CALLS for n in _spread(counts[call], 3)]
    _try_all(tmp_path, faults)


def test_disk_errors_at_any_call(counts: dict[str, int], tmp_path: Path) -> None:
    """One call fails, as on a dying or a full disk: the daemon copes, or ends; started again it knows everything."""
    kinds = {"fsync": "EIO", "fdatasync": "EIO", "pwrite64": "ENOSPC", "write": "ENOSPC", "rename": "EIO"}
    faults = [f"{call}:error={name}:when={n}" for call, name in kinds.items() for n in _spread(counts[call], 3)[1:]]
    _try_all(tmp_path, faults)


def test_a_slow_disk_loses_nothing(tmp_path: Path) -> None:
    """30 ms more for each fsync of every thread: all is acknowledged, only later."""
    told, again = _try(tmp_path / "slow", "fsync,fdatasync:delay_exit=30000")
    assert len(told.ids) == 8
    assert again == {"decodes": 0, "embeddings": 0}


def _kill_children(host: Host, until: threading.Event, killed: Counter[str]) -> None:
    """Kill a child of each kind again and again, at moments of a fixed order."""
    dice = random.Random(5)
    while not until.wait(dice.uniform(0.05, 0.4)):
        for kind, child in host.children():
            if kind in CHILDREN and killed[kind] < 4:
                child.kill()
                killed[kind] += 1


def test_children_are_killed_again_and_again(tmp_path: Path) -> None:
    """Decoder, encoder and clustering process: each asset is made once all the same, and no file is given up."""
    host = Host(tmp_path, more={"limits": {"attempts": 10, "decoders": 1}})
    for number in range(24):
        draw(host.library / f"{number}.png", number, (1200, 900))
    film(host.library / "film.mp4", 50)
    killed: Counter[str] = Counter()
    over = threading.Event()
    assert host.start()
    killer = threading.Thread(target=_kill_children, args=(host, over, killed))
    killer.start()
    try:
        deadline = time.monotonic() + 90
        while not (all(killed[kind] >= 2 for kind in CHILDREN) and host.ask("status")["counters"]["reclusters"]):
            assert time.monotonic() < deadline, killed
            host.ask("recluster")
            assert host.sync(clusters=True)
    finally:
        over.set()
        killer.join()
    assert host.sync(clusters=True)
    status = host.ask("status")
    host.end()
    assert len(host.acknowledged.ids) == 25
    assert (status["quarantined"], status["pending"]) == ([], 0)
    assert (status["counters"]["decodes"], status["counters"]["embeddings"]) == (25, 25)
    _check_library(host)
    print(f"killed: {dict(killed)}")


def _check_library(host: Host) -> None:
    engine = make_engine(host.state, host.library)
    engine.start()
    try:
        engine.sync(timeout=60)
        found = known(host.state / "catalog" / "catalog.json")
        assert not audit(host.state / "catalog", engine.settings).divergences
    finally:
        engine.stop()
    assert {content_id: file_id for file_id, content_id in found.values()} == host.acknowledged.ids
    check_feed(host.state / "catalog", set(host.acknowledged.ids.values()))
