"""Two daemons and one state directory; and commands beside a daemon, beside none, and while one comes and goes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.daemon import Daemon, files_of
from tests.engine.conftest import draw

BUSY = 3
COMMANDS = (
    ("status", "--json"),
    ("volumes", "list", "--json"),
    ("duplicates", "--json"),
    ("clusters", "--json"),
    ("search", "--image", "{picture}", "--json"),
)
pytestmark = pytest.mark.long


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    library = tmp_path / "library"
    for number in range(12):
        draw(library / f"{number}.png", number)
    with Daemon(tmp_path, [library]) as daemon:
        daemon.sync()
        yield daemon


def _pid(daemon: Daemon) -> int:
    assert daemon.process is not None
    return daemon.process.pid


def test_the_second_daemon_exits_at_once_and_names_the_first(daemon: Daemon) -> None:
    before = daemon.counters()
    for _ in range(3):
        began = time.monotonic()
        second = daemon.run("run", check=False, timeout=30)
        assert second.returncode == BUSY
        assert f"process {_pid(daemon)}" in second.stderr
        assert "Traceback" not in second.stderr
        assert time.monotonic() - began < 10
    assert daemon.answers()  # its socket is still its own
    assert daemon.status()["pid"] == _pid(daemon)
    draw(daemon.home / "library" / "new.png", 99)
    assert len(files_of(daemon.sync())) == 13
    assert daemon.counters()["decodes"] == before["decodes"] + 1
    assert daemon.run("audit").returncode == 0


def test_of_many_started_together_one_runs(tmp_path: Path) -> None:
    library = tmp_path / "library"
    draw(library / "0.png", 0)
    daemon = Daemon(tmp_path, [library])
    daemon.write_config()
    started = [
        subprocess.Popen(daemon.command("run"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=daemon.environment)
        for _ in range(4)
    ]
    try:
        daemon.until(lambda: sum(one.poll() is not None for one in started) == 3, 60)
        (holder,) = (one for one in started if one.poll() is None)
        daemon.until(lambda: daemon.status().get("pid") == holder.pid, 60)
        assert len(files_of(daemon.sync())) == 1
        assert [one.returncode for one in started if one is not holder] == [BUSY] * 3
    finally:
        for one in started:
            one.kill()
            one.communicate()


def test_a_stale_lock_after_kill_9_is_no_obstacle(daemon: Daemon) -> None:
    ids = {path: file["id"] for path, file in files_of(daemon.sync()).items()}
    before = daemon.counters()
    for _ in range(2):
        stale = _pid(daemon)
        daemon.kill()
        assert (daemon.state / "store" / "lock").read_text().strip() == str(stale)
        daemon.start()
    assert {path: file["id"] for path, file in files_of(daemon.sync()).items()} == ids
    after = daemon.counters()
    assert (after["decodes"], after["embeddings"]) == (before["decodes"], before["embeddings"])
    assert daemon.run("audit").returncode == 0


class Asking:
    """Commands in a loop, in threads of their own, until it ends."""

    def __init__(self, daemon: Daemon, *, may_fail: bool) -> None:
        self._daemon = daemon
        self._may_fail = may_fail
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(2)
        self.asked: Counter[str] = Counter()

    def __enter__(self) -> Asking:
        halves = COMMANDS[::2], COMMANDS[1::2]
        self._loops = [self._pool.submit(self._loop, half) for half in halves]
        return self

    def _loop(self, commands: tuple[tuple[str, ...], ...]) -> None:
        while not self._over.is_set():
            for command in commands:
                self._ask(command)

    def _ask(self, command: tuple[str, ...]) -> None:
        picture = self._daemon.home / "library" / "0.png"
        done = self._daemon.run(*(part.format(picture=picture) for part in command), check=False, timeout=60)
        assert "Traceback" not in done.stderr, done.stderr
        if done.returncode:
            assert self._may_fail, f"{command}: {done.stderr}"
            assert done.returncode == 1, done.stderr
            assert done.stderr.strip()
        else:
            json.loads(done.stdout)
            self.asked[command[0]] += 1

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._over.set()
        self._pool.shutdown()
        if kind is None:
            for loop in self._loops:
                loop.result()
            print(dict(self.asked))


def _whole(daemon: Daemon) -> None:
    """Every page of the store can be read."""
    check = [sys.executable, "-P", "-m", "mediad.store.check", str(daemon.state / "store")]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_commands_beside_an_indexing_daemon_disturb_nothing(daemon: Daemon) -> None:
    with Asking(daemon, may_fail=False) as asking:
        for number in range(100, 220):
            draw(daemon.home / "library" / f"{number}.png", number)
        daemon.until(lambda: len(files_of(daemon.sync())) == 132 and all(asking.asked[c[0]] for c in COMMANDS), 90)
    counters = daemon.counters()
    assert (counters["decodes"], counters["embeddings"]) == (132, 132)
    assert daemon.run("audit").returncode == 0
    assert daemon.stop() == 0
    _whole(daemon)


def test_commands_without_a_daemon_read_and_write_nothing(daemon: Daemon) -> None:
    daemon.kill()  # what a clean stop leaves, and what it would have put in order
    data, catalog = daemon.state / "store" / "data.mdb", daemon.catalog_dir / "catalog.json"
    before = [hashlib.sha256(path.read_bytes()).digest() for path in (data, catalog)]
    with Asking(daemon, may_fail=False) as asking:
        daemon.until(lambda: all(asking.asked[command[0]] for command in COMMANDS), 60)
    assert [hashlib.sha256(path.read_bytes()).digest() for path in (data, catalog)] == before
    assert daemon.status()["state"] == "stopped"
    daemon.start()
    assert len(files_of(daemon.sync())) == 12
    assert daemon.counters()["decodes"] == 12
    assert daemon.run("audit").returncode == 0


def test_commands_while_daemons_come_and_go(daemon: Daemon) -> None:
    with Asking(daemon, may_fail=True) as asking:
        for number in range(3):
            draw(daemon.home / "library" / f"come{number}.png", 500 + number)
            if number % 2:
                assert daemon.stop() == 0
            else:
                daemon.kill()
            daemon.start()
        daemon.until(lambda: all(asking.asked[command[0]] for command in COMMANDS), 60)
    assert len(files_of(daemon.sync())) == 15
    counters = daemon.counters()
    assert (counters["decodes"], counters["embeddings"]) == (15, 15)
    assert daemon.run("audit").returncode == 0
    assert daemon.stop() == 0
    _whole(daemon)
