"""Opening, locking, growing, damage: real processes, real kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import lmdb
import pytest

from mediad.store import Store, StoreBusy, StoreDamaged, Transaction
from mediad.store import environment as environment_module
from mediad.store.migrations import VERSION, StoreTooNew, migrate

Run = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def run() -> Iterator[Run]:
    """Starts a Python program that gets a directory, and ends what is left of it."""
    started: list[subprocess.Popen[str]] = []

    def start(program: str, directory: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-u", "-c", program, str(directory)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


HOLD = """
import sys; from pathlib import Path; from mediad.store import Store
store = Store(Path(sys.argv[1])); print("open"); sys.stdin.readline()
"""


def test_a_second_writer_is_refused_and_told_who_holds_it(tmp_path: Path, run: Run) -> None:
    holder = run(HOLD, tmp_path)
    assert line_of(holder) == "open"
    with pytest.raises(StoreBusy, match=f"process {holder.pid}.*--state-dir") as caught:
        Store(tmp_path)
    assert caught.value.holder == holder.pid
    with Store(tmp_path, readonly=True) as reader, reader.read() as tx:
        assert tx.meta.get("schema_version") == VERSION


def test_the_lock_of_a_killed_writer_is_no_obstacle(tmp_path: Path, run: Run) -> None:
    holder = run(HOLD, tmp_path)
    assert line_of(holder) == "open"
    holder.kill()
    holder.wait()
    Store(tmp_path).close()


def test_a_store_can_be_opened_again_after_a_failed_opening(tmp_path: Path) -> None:
    with Store(tmp_path) as store, store.write() as tx:
        tx.meta.put("schema_version", VERSION + 1)
    for _ in range(2):
        with pytest.raises(StoreTooNew, match="install the newer one"):
            Store(tmp_path)


def test_reading_where_there_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="has the daemon run"):
        Store(tmp_path, readonly=True)
    assert not list(tmp_path.iterdir())


def test_only_the_user_can_read_it(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        Store(tmp_path / "store").close()
    finally:
        os.umask(mask)
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "store").iterdir()} == {0o600}


WRITE_BATCHES = """
import sys; from pathlib import Path; from mediad.store import Store
with Store(Path(sys.argv[1])) as store:
    with store.read() as tx:
        batch = (tx.meta.get("batch") or 0) + 1
    while True:
        with store.write() as tx:
            for number in range(50):
                tx.raw.put("work", b"%08d %03d" % (batch, number), b"x" * 700)
            tx.meta.put("batch", batch)
        print(batch)
        batch += 1
"""


def test_what_was_acknowledged_outlives_kills(tmp_path: Path, run: Run) -> None:
    acknowledged = 0
    for kill_round in range(6):
        writer = run(WRITE_BATCHES, tmp_path)
        for _ in range(5 + 7 * kill_round):
            acknowledged = int(line_of(writer))
        writer.kill()
        assert writer.stdout is not None
        rest = writer.stdout.read()  # not communicate(): it passes over what readline() has buffered
        acknowledged = max([acknowledged, *(int(line) for line in rest.splitlines() if line.strip())])
        with Store(tmp_path, readonly=True) as store, store.read() as tx:
            written = tx.meta.get("batch")
            assert acknowledged <= written <= acknowledged + 1  # one may have been committed and not yet told
            assert tx.raw.count("work") == 50 * written
    assert acknowledged > 50


READ_ALONG = """
import sys; from pathlib import Path; from mediad.store import Store
with Store(Path(sys.argv[1]), readonly=True) as store:
    print("open")
    while sys.stdin.readline():
        with store.read() as tx:
            print(tx.raw.count("work"), sum(len(value) for _, value in tx.raw.items("work")))
"""


@pytest.fixture
def small_map(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment_module, "_INITIAL_MAP", 1 << 20)


def fill(tx: Transaction, start: int, count: int) -> None:
    for number in range(start, start + count):
        tx.raw.put("work", b"%08d" % number, bytes(1000))


@pytest.mark.usefixtures("small_map")
def test_another_process_reads_while_we_write_and_grow(tmp_path: Path, run: Run) -> None:
    with Store(tmp_path) as store:
        reader = run(READ_ALONG, tmp_path)
        assert line_of(reader) == "open"
        for batch in range(40):
            with store.write() as tx:
                fill(tx, batch * 100, 100)
            go_on(reader)
            assert line_of(reader) == f"{(batch + 1) * 100} {(batch + 1) * 100_000}"
        assert store.used_bytes > 4 << 20


def test_the_map_grows_while_threads_read_without_a_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment_module, "_INITIAL_MAP", 4 << 20)
    stop = threading.Event()
    wrong: list[int] = []

    def read() -> None:
        while not stop.is_set():
            with store.read() as tx:
                count = tx.raw.count("work")
                if sum(1 for _ in tx.raw.items("work")) != count or count % 50:
                    wrong.append(count)

    with Store(tmp_path) as store:
        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for batch in range(120):
                with store.write() as tx:
                    fill(tx, batch * 50, 50)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        with store.read() as tx:
            assert tx.raw.count("work") == 6000
    assert not wrong


@pytest.mark.usefixtures("small_map")
def test_a_transaction_larger_than_the_map_succeeds_when_tried_again(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        refused = 0
        for _ in range(8):
            try:
                with store.write() as tx:
                    fill(tx, 0, 5000)
                break
            except lmdb.MapFullError:
                refused += 1
        assert 0 < refused < 8
        with store.read() as tx:
            assert tx.raw.count("work") == 5000


@pytest.mark.usefixtures("small_map")
def test_reads_and_a_write_inside_a_read_do_not_wait_for_each_other(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        with store.read() as outer:
            count = 0
            while store.used_bytes < 0.93 * (1 << 20):
                with store.write() as tx:
                    tx.raw.put("work", b"%08d" % count, bytes(1000))
                count += 1
                with store.read() as inner:
                    assert inner.raw.count("work") == count
            assert outer.raw.count("work") == 0
        with store.write() as tx:
            fill(tx, count, 800)  # more than is free: the map has grown now
        assert store.used_bytes > 1 << 20


def filled(directory: Path) -> Path:
    with Store(directory) as store:
        for batch in range(5):
            with store.write() as tx:
                fill(tx, batch * 1000, 1000)
    return directory / "data.mdb"


@pytest.mark.parametrize("readonly", [False, True])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.999])
def test_a_truncated_store_is_refused(tmp_path: Path, share: float, *, readonly: bool) -> None:
    data = filled(tmp_path)
    os.truncate(data, int(data.stat().st_size * share) // 4096 * 4096)
    for _ in range(2):  # it is left as it is, and our lock is given back
        with pytest.raises(StoreDamaged, match="newest good backup"):
            Store(tmp_path, readonly=readonly)


@pytest.mark.parametrize("content", [b"", b"short", bytes(1 << 16), b"\xa5" * (1 << 16)])
def test_what_is_no_store_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "data.mdb").write_bytes(content)
    with pytest.raises(StoreDamaged, match="newest good backup"):
        Store(tmp_path)
    assert (tmp_path / "data.mdb").read_bytes() == content


def test_a_creation_cut_short_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "data.mdb.new").write_bytes(b"half")
    Store(tmp_path).close()
    assert {file.name for file in tmp_path.iterdir()} == {"data.mdb", "lock", "lock.mdb"}


def test_what_cannot_be_opened_is_not_called_damaged(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").mkdir()
    with pytest.raises(OSError, match="cannot be opened"):
        Store(tmp_path)


HOLD_A_READ = """
import os, sys; from pathlib import Path; from mediad.store import Store
with Store(Path(sys.argv[1]), readonly=True) as store, store.read() as tx:
    print(tx.raw.count("work")); sys.stdin.readline()
"""


def test_a_killed_reader_does_not_make_the_store_grow_for_ever(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment_module, "_INITIAL_MAP", 4 << 20)
    sizes = []
    with Store(tmp_path) as store:
        with store.write() as tx:
            fill(tx, 0, 100)
        reader = run(HOLD_A_READ, tmp_path)
        assert line_of(reader) == "100"
        reader.send_signal(signal.SIGKILL)
        reader.wait()
        for _ in range(60):
            with store.write() as tx:
                fill(tx, 0, 100)
            sizes.append(store.used_bytes)
    assert sizes[0] < sizes[-1] == sizes[-20]


def test_migration_steps_run_in_order_and_only_those_that_are_due(tmp_path: Path) -> None:
    ran: list[int] = []

    def step(version: int) -> Callable[[Transaction], None]:
        return lambda tx: ran.append(version)

    steps = {version: step(version) for version in range(1, 5)}
    with Store(tmp_path) as store:
        with store.write() as tx:
            tx.meta.put("schema_version", 2)
            migrate(tx, steps, to=5)
            assert tx.meta.get("schema_version") == 5
            migrate(tx, steps, to=5)
        assert ran == [2, 3, 4]
        with store.write() as tx, pytest.raises(StoreTooNew, match="version 5"):
            migrate(tx, steps, to=4)


def test_a_failed_migration_leaves_the_old_version_whole(tmp_path: Path) -> None:
    def half(tx: Transaction) -> None:
        tx.raw.put("work", b"key", b"value")
        raise RuntimeError("broken step")

    with Store(tmp_path) as store:
        with store.write() as tx:
            tx.meta.put("schema_version", 1)
        with pytest.raises(RuntimeError, match="broken step"), store.write() as tx:
            migrate(tx, {1: half}, to=2)
        with store.read() as tx:
            assert (tx.meta.get("schema_version"), tx.raw.count("work")) == (1, 0)
