"""Threads that read, write and close at the worst moment: nobody waits for ever, nobody reads unmapped pages."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from mediad.store import Store, Transaction
from mediad.store import environment as environment_module
from mediad.store.environment import StoreClosed

MAP = 1 << 20


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(environment_module, "_INITIAL_MAP", MAP)
    monkeypatch.setattr(environment_module, "_GROW_PATIENCE", 0.5)
    monkeypatch.setattr(environment_module, "_CLOSE_PATIENCE", 0.5)
    with Store(tmp_path) as one:
        yield one


def fill(tx: Transaction, start: int, count: int = 1) -> None:
    for number in range(start, start + count):
        tx.raw.put("work", b"%08d" % number, bytes(1000))


def fill_to(store: Store, share: float) -> int:
    count = 0
    while store.used_bytes < share * MAP:
        with store.write() as tx:
            fill(tx, count)
        count += 1
    return count


def joined(*threads: threading.Thread) -> bool:
    for thread in threads:
        thread.join(5)
    return not any(thread.is_alive() for thread in threads)


def test_a_write_inside_a_read_and_a_growing_map_do_not_wait_for_each_other(store: Store) -> None:
    reading, growing, wrote = threading.Event(), threading.Event(), []

    def read_then_write() -> None:
        with store.read():
            reading.set()
            growing.wait()
            time.sleep(0.2)  # the other one waits for this read by now
            with store.write() as tx:
                fill(tx, 90_000)
            wrote.append("inside")

    def grow() -> None:
        reading.wait()
        growing.set()
        with store.write() as tx:
            fill(tx, 80_000)
        wrote.append("other")

    with store.read():
        fill_to(store, 0.92)
    threads = [threading.Thread(target=target, daemon=True) for target in (read_then_write, grow)]
    for thread in threads:
        thread.start()
    assert joined(*threads)
    assert sorted(wrote) == ["inside", "other"]


def test_a_read_that_lasts_keeps_nobody_else_waiting(store: Store) -> None:
    with store.read():
        count = fill_to(store, 0.92)
        began = time.monotonic()

        def work() -> None:
            with store.write() as tx:
                fill(tx, count)
            with store.read() as tx:
                assert tx.raw.count("work") == count + 1

        other = threading.Thread(target=work, daemon=True)
        other.start()
        assert joined(other)
        assert time.monotonic() - began < 3
    with store.write() as tx:
        fill(tx, count + 1, 400)  # now the map could grow


def test_a_read_may_end_in_another_thread_than_it_began_in(store: Store) -> None:
    def rows() -> Generator[int, None, None]:
        with store.read() as tx:
            yield tx.raw.count("work")
            yield tx.raw.count("work")

    begun = rows()
    assert next(begun) == 0
    ending = threading.Thread(target=begun.close)
    ending.start()
    assert joined(ending)
    count = fill_to(store, 0.92)
    with store.write() as tx:
        fill(tx, count, 400)  # a map that a read is believed to be in would never grow


def test_closing_waits_for_who_is_in_it_and_refuses_who_comes_later(tmp_path: Path) -> None:
    store = Store(tmp_path)
    inside, done = threading.Event(), []

    def read() -> None:
        with store.read() as tx:
            inside.set()
            time.sleep(0.5)
            done.append(tx.raw.count("work"))

    reader = threading.Thread(target=read)
    reader.start()
    inside.wait()
    store.close()
    assert done == [0]
    assert joined(reader)
    for use in (store.read, store.write):
        with pytest.raises(StoreClosed), use():
            pass
    store.close()
    Store(tmp_path).close()


def test_closing_does_not_wait_for_ever_for_who_hangs(store: Store) -> None:
    inside, release = threading.Event(), threading.Event()

    def hang() -> None:
        with store.read() as tx:
            inside.set()
            release.wait()
            assert tx.raw.count("work") == 0

    hanging = threading.Thread(target=hang)
    hanging.start()
    inside.wait()
    began = time.monotonic()
    store.close()
    assert time.monotonic() - began < 3
    release.set()
    assert joined(hanging)
