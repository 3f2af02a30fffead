"""Nearest neighbours of a vector among the assets: the vector index, kept in step with the store.

The index is loaded when somebody asks and given back when nobody has for a while, so that a daemon that is not asked
does not carry it. At loading it is reconciled with the store, which also mends whatever a crash left behind.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
import structlog

from mediad.model import ContentId, EncoderInfo, short_id
from mediad.store import Store
from mediad.vector_index import Exact, VectorIndex, vector_id, vector_ids

log = structlog.get_logger()

_BATCH = 4096


class Search:
    """Searches one space at a time. Thread-safe."""

    def __init__(self, store: Store, directory: Path, *, persist: bool = True) -> None:
        self._store = store
        self._directory = directory
        self._persist = persist
        self._lock = threading.RLock()
        self._index: VectorIndex | None = None
        self._space: str | None = None
        self._unsaved = False
        self._last_used = time.monotonic()

    def nearest(self, info: EncoderInfo, vector: npt.NDArray[np.float32], count: int) -> list[tuple[ContentId, float]]:
        """The `count` assets most alike to `vector` (d,), best first, with their cosine."""
        with self._lock:
            index = self._loaded(info)
            self._last_used = time.monotonic()
            if index.count == 0:
                return []
            scores, ids = index.search(vector.reshape(1, -1), min(count, index.count))
        found = [(int(number), float(score)) for number, score in zip(ids[0], scores[0], strict=True) if number != -1]
        with self._store.read() as tx:
            pairs = [(tx.assets.by_prefix(_prefix(number)), score) for number, score in found]
        return [(content_id, score) for content_id, score in pairs if content_id is not None]

    def add(self, info: EncoderInfo, ids: list[ContentId], vectors: npt.NDArray[np.float32]) -> None:
        """Vectors that the store has just got; nothing to do while the index is not loaded."""
        with self._lock:
            if self._index is not None and self._space == info.id:
                self._index.add(vector_ids(ids), vectors)
                self._unsaved = True

    def remove(self, ids: list[ContentId]) -> None:
        with self._lock:
            if self._index is not None and ids:
                self._index.remove(vector_ids(ids))
                self._unsaved = True

    def _loaded(self, info: EncoderInfo) -> VectorIndex:
        if self._index is None or self._space != info.id:
            started = time.monotonic()
            directory = self._own_directory(info.id)
            self._index = VectorIndex(directory, info.id, info.dimensions, exact=self._exact(info.id, info.dimensions))
            self._space = info.id
            if not self._persist or not self._index.load():
                self._index.rebuild(self._from_store(info.id))
                self._unsaved = True
            else:
                self._reconcile(self._index, info.id)
            log.info("vector index ready", vectors=self._index.count, seconds=round(time.monotonic() - started, 3))
        return self._index

    def _own_directory(self, space: str) -> Path:
        """A directory for each space; those of other spaces are of no more use."""
        own = self._directory / short_id(space)
        if self._persist and self._directory.is_dir():
            for other in self._directory.iterdir():
                if other != own:
                    shutil.rmtree(other, ignore_errors=True)
        return own

    def _from_store(self, space: str) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
        with self._store.read() as tx:
            for ids, vectors in tx.vectors.batches(space, _BATCH):
                yield vector_ids(ids), vectors

    def _exact(self, space: str, dimensions: int) -> Exact:
        """Vectors as the store has them, by the index's ids: a large index ranks its candidates by them."""
        unknown = np.full(dimensions, np.nan, np.float32)

        def exact(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
            with self._store.read() as tx:
                found = [tx.vectors.by_prefix(space, _prefix(number)) for number in numbers.tolist()]
            return np.stack([unknown if vector is None else vector for vector in found])

        return exact

    def _reconcile(self, index: VectorIndex, space: str) -> None:
        with self._store.read() as tx:
            missing, extra = index.reconcile(vector_id(content_id) for content_id in tx.vectors.ids(space))
        if extra:
            index.remove(np.array(extra, np.int64))
        waiting = iter(missing)
        while batch := list(islice(waiting, _BATCH)):
            self._add_numbers(index, space, batch)
        self._unsaved |= bool(missing or extra)

    def _add_numbers(self, index: VectorIndex, space: str, numbers: Iterable[int]) -> None:
        ids, vectors = [], []
        with self._store.read() as tx:
            for number in numbers:
                content_id = tx.assets.by_prefix(_prefix(number))
                vector = tx.vectors.get(space, content_id) if content_id is not None else None
                if vector is not None:
                    ids.append(number)
                    vectors.append(vector)
        if ids:
            index.add(np.array(ids, np.int64), np.stack(vectors))

    def save(self, generation: int) -> None:
        """Write the index beside the store, if it changed; after the store commit that it tells of."""
        with self._lock:
            if self._index is not None and self._unsaved and self._persist:
                try:
                    self._index.save(generation)
                except OSError as error:  # it can be made again of the store at any time
                    log.warning("the vector index was not saved", reason=str(error))
                    return
                self._unsaved = False

    def drop_saved(self) -> int:
        """Remove what was written, to give its space back; how many files."""
        with self._lock:
            files = [path for path in self._directory.rglob("*") if path.is_file()]
            for path in files:
                path.unlink(missing_ok=True)
            self._unsaved = self._index is not None
        return len(files)

    def give_back(self, idle_seconds: float, generation: int) -> None:
        """Save and unload when nobody asked for so long."""
        with self._lock:
            if self._index is not None and time.monotonic() - self._last_used > idle_seconds:
                self.save(generation)
                self._index.unload()
                self._index = None


def _prefix(number: int) -> bytes:
    """The first eight bytes of a content id, from its id in the index."""
    return number.to_bytes(8, "big", signed=True)
