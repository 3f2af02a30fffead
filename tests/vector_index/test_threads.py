"""Searches run while vectors come and go; the library is loaded only when it is needed."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mediad.vector_index import VectorIndex
from mediad.vector_index.lock import ReadWriteLock

if TYPE_CHECKING:
    from tests.vector_index.conftest import Truth


def test_searches_beside_changes_and_saves_see_whole_states(
    open_index: Callable[[], VectorIndex], truth: Truth
) -> None:
    index = open_index()
    index.load()
    always, vectors = truth.make(list(range(60)))
    index.add(always, vectors)
    extra, extra_vectors = truth.make(list(range(100, 160)))
    stop = threading.Event()

    def search() -> int:
        rounds = 0
        while not stop.is_set() or not rounds:
            scores, ids = index.search(vectors, 1)
            assert ids[:, 0].tolist() == always.tolist()
            assert scores.min() > 0.998
            rounds += 1
        return rounds

    with ThreadPoolExecutor(3) as pool:
        searching = [pool.submit(search) for _ in range(3)]
        try:
            for generation in range(60):
                index.add(extra, extra_vectors)
                index.remove(extra[generation:])
                if generation % 20 == 0:
                    index.save(generation)
                    index.rebuild([(always, vectors)])
        finally:
            stop.set()
        assert min(future.result(timeout=30) for future in searching) > 0
    assert sorted(index.ids().tolist()) == [*range(60), *range(100, 159)]


def test_writers_are_alone() -> None:
    lock = ReadWriteLock()
    inside = {"readers": 0, "writers": 0}
    seen: list[tuple[int, int]] = []
    count = threading.Lock()

    def work(kind: str) -> None:
        for _ in range(300):
            with lock.reading() if kind == "readers" else lock.writing():
                with count:
                    inside[kind] += 1
                    seen.append((inside["readers"], inside["writers"]))
                with count:
                    inside[kind] -= 1

    with ThreadPoolExecutor(6) as pool:
        for future in [pool.submit(work, kind) for kind in ["readers", "writers"] * 3]:
            future.result(timeout=30)
    assert {writers for _, writers in seen} == {0, 1}
    assert all(writers == 0 or (readers, writers) == (0, 1) for readers, writers in seen)


def test_readers_go_in_together() -> None:
    lock = ReadWriteLock()
    together = threading.Barrier(3)

    def read() -> int:
        with lock.reading():
            return together.wait(timeout=10)

    with ThreadPoolExecutor(3) as pool:
        assert {future.result() for future in [pool.submit(read) for _ in range(3)]} == {0, 1, 2}


@pytest.mark.parametrize(("then", "wanted"), [("", "False"), ("index.load()", "True")])
def test_faiss_is_imported_at_first_use(then: str, wanted: str) -> None:
    code = f"""
import sys
from pathlib import Path
from mediad.vector_index import VectorIndex, vector_id
index = VectorIndex(Path("nowhere"), "encoder", {np.int64(4)})
{then}
print("faiss" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split()[-1] == wanted
