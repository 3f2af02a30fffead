"""The public face of the vector index: thread-safe, saved whole, loaded only when it is certainly whole."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import structlog

from mediad.vector_index import disk, kinds
from mediad.vector_index.kinds import Kind
from mediad.vector_index.lock import ReadWriteLock
from mediad.vector_index.ranking import CANDIDATES, Exact, rank
from mediad.vector_index.shelf import Shelf
from mediad.vector_index.vectors import NO_ID, Floats, Ids, checked_ids, checked_vectors, normalized, unit_rows

log = structlog.get_logger()

FLAT_LIMIT = 100_000
"""Up to this many vectors are kept as float32 (200 MB at 512 dimensions)."""

_MOST_CANDIDATES = 1 << 22  # of all queries together, at 12 bytes each; more queries are searched in parts


class IndexNotLoaded(RuntimeError):
    """The index was used before `load` or `rebuild`, or after `unload`."""


class VectorIndex:
    """Unit vectors of one encoder by id (`vector_id`), searched by cosine.

    Up to `flat_limit` vectors it is exact; beyond, it keeps eight bits a number and ranks candidates by the vectors
    that `exact` gives, or, without `exact`, float16 (twice the memory; neighbours that only a float32 tells apart may
    change places). It changes by itself when it grows. Searches run together and beside `save`; additions and removals
    wait for them.
    """

    def __init__(
        self,
        directory: Path,
        encoder_id: str,
        dimensions: int,
        *,
        exact: Exact | None = None,
        flat_limit: int = FLAT_LIMIT,
    ) -> None:
        self._directory = directory
        self._encoder_id = encoder_id
        self._dimensions = dimensions
        self._exact = exact
        self._flat_limit = flat_limit
        self._large = Kind.HALF if exact is None else Kind.BYTE
        self._lock = ReadWriteLock()
        self._saving = threading.Lock()
        self._rebuilding = threading.Lock()
        self._shelf: Shelf | None = None
        self._journal: list[Callable[[Shelf], None]] | None = None
        self._generation = 0
        self._version = self._saved_version = 0

    def load(self) -> bool:
        """Load what was saved last. False, with the reason logged, when there is nothing or anything is off.

        What is off is set aside as `*.damaged-N`, and the index is then empty: `rebuild` it.
        """
        expected = {"encoder": self._encoder_id, "dimensions": self._dimensions, "faiss": kinds.version()}
        try:
            manifest, index, ids = disk.read(self._directory, expected)
            shelf = self._new_shelf(index, ids, manifest.kind)
        except disk.NothingSaved:
            log.info("no vector index saved yet", directory=str(self._directory))
            self._install(self._empty_shelf(), generation=0)
            return False
        except disk.Damaged as error:
            moved = disk.quarantine(self._directory)
            log.warning("vector index cannot be used", directory=str(self._directory), reason=str(error), moved=moved)
            self._install(self._empty_shelf(), generation=0)
            return False
        self._install(shelf, manifest.generation)
        return True

    def save(self, generation: int) -> None:
        """Write the index durably and atomically, as of `generation`; OSError leaves the saved one as it was."""
        with self._saving:
            with self._lock.reading():
                shelf = self._loaded()
                version = self._version
                count, kind = shelf.count, shelf.kind
                written = disk.write(self._directory, shelf.index, shelf.ids)
            manifest = disk.Manifest(
                file=written.file,
                length=written.length,
                hash=written.hash,
                generation=generation,
                encoder=self._encoder_id,
                dimensions=self._dimensions,
                count=count,
                kind=kind.value,
                faiss=kinds.version(),
            )
            disk.publish(written.path, manifest)
            with self._lock.writing():
                self._generation, self._saved_version = generation, version

    def unload(self) -> None:
        """Free the memory. What was not saved is lost (the store has it); `load` comes before the next use."""
        with self._lock.writing():
            self._shelf = None

    def rebuild(self, batches: Iterable[tuple[Ids, Floats]]) -> int:
        """Replace the content by `batches` of ids (n,) and vectors (n, d), in any order; how many there are then.

        Searches see the old content until the new is complete. What is added and removed meanwhile is not lost.
        """
        with self._rebuilding:
            with self._lock.writing():
                self._shelf = self._shelf or self._empty_shelf()
                self._journal = []
            try:
                shelf = self._empty_shelf()
                for ids, vectors in batches:
                    shelf.add(*self._accepted(ids, vectors)[:2])
                with self._lock.writing():
                    for change in self._journal:
                        change(shelf)
                    self._shelf = shelf
                    self._version += 1
            finally:
                self._journal = None
            return shelf.count

    def add(self, ids: npt.ArrayLike, vectors: npt.ArrayLike) -> Ids:
        """Add vectors (n, d) under ids (n,), or replace them where the id is known.

        Returns the ids that were refused, because their vector was not finite or not of length 1 (or the id was
        -1, which stands for nothing); ValueError on wrong shapes.
        """
        good, accepted, refused = self._accepted(ids, vectors)
        self._change(lambda shelf: shelf.add(good, accepted))
        return refused

    def remove(self, ids: npt.ArrayLike) -> None:
        """Remove the vectors of ids (n,); unknown ids are passed over."""
        gone = checked_ids(ids)
        self._change(lambda shelf: shelf.remove(gone))

    def search(self, queries: npt.ArrayLike, k: int, allowed: npt.ArrayLike | None = None) -> tuple[Floats, Ids]:
        """The `k` nearest of each query (m, d; any length but zero): cosines and ids, both (m, k), best first.

        `allowed` limits the search to these ids. Where there are fewer than `k`, scores are -inf and ids -1.
        """
        wanted = normalized(checked_vectors(queries, self._dimensions))
        among = None if allowed is None else checked_ids(allowed)
        step = max(1, _MOST_CANDIDATES // (max(k, 1) * CANDIDATES))
        parts = [self._search(wanted[start : start + step], k, among) for start in range(0, len(wanted) or 1, step)]
        return np.concatenate([scores for scores, _ in parts]), np.concatenate([ids for _, ids in parts])

    def reconcile(self, ids_in_store: Iterable[int]) -> tuple[list[int], list[int]]:
        """What the index lacks, and what it has too much, against the ids of the store: (missing, extra), sorted."""
        truth = np.unique(np.fromiter(ids_in_store, np.int64))
        ours = np.sort(self.ids())
        missing = np.setdiff1d(truth, ours, assume_unique=True)
        extra = np.setdiff1d(ours, truth, assume_unique=True)
        return missing.tolist(), extra.tolist()

    def ids(self) -> Ids:
        """All ids, in no order, int64 of shape (count,)."""
        with self._lock.reading():
            return self._loaded().ids.copy()

    def __contains__(self, vector_id: int) -> bool:
        with self._lock.reading():
            return vector_id in self._loaded()

    @property
    def count(self) -> int:
        with self._lock.reading():
            return self._loaded().count

    @property
    def kind(self) -> str:
        """How vectors are kept now: "flat", "sq8" or "fp16"."""
        with self._lock.reading():
            return self._loaded().kind.value

    @property
    def loaded(self) -> bool:
        return self._shelf is not None

    @property
    def changed(self) -> bool:
        """Whether the content differs from what is on disk."""
        return self._version != self._saved_version

    @property
    def generation(self) -> int:
        """The generation that was loaded or saved last; 0 for none."""
        return self._generation

    def _search(self, queries: Floats, k: int, allowed: Ids | None) -> tuple[Floats, Ids]:
        with self._lock.reading():
            shelf = self._loaded()
            exact = self._exact if shelf.kind is Kind.BYTE else None
            scores, ids = shelf.search(queries, k if exact is None else k * CANDIDATES, allowed)
        if exact is None:
            return scores, ids
        return rank(queries, ids, k, exact)  # not under the lock: `exact` reads the store

    def _change(self, change: Callable[[Shelf], None]) -> None:
        with self._lock.writing():
            change(self._loaded())
            self._version += 1
            if self._journal is not None:
                self._journal.append(change)

    def _accepted(self, ids: npt.ArrayLike, vectors: npt.ArrayLike) -> tuple[Ids, Floats, Ids]:
        """The good ids and their vectors, and the ids refused."""
        given, rows = checked_ids(ids), checked_vectors(vectors, self._dimensions)
        if len(given) != len(rows):
            raise ValueError(f"{len(given)} ids for {len(rows)} vectors")
        good = unit_rows(rows) & (given != NO_ID)
        if not good.all():
            log.warning("vectors refused by the index: not finite or not of length 1", ids=given[~good].tolist()[:10])
        return given[good], normalized(rows[good]), given[~good]

    def _install(self, shelf: Shelf, generation: int) -> None:
        with self._lock.writing():
            self._shelf, self._generation, self._saved_version = shelf, generation, self._version

    def _empty_shelf(self) -> Shelf:
        return self._new_shelf(kinds.empty(Kind.FLAT, self._dimensions), np.empty(0, np.int64), Kind.FLAT)

    def _new_shelf(self, index: object, ids: Ids, kind: str) -> Shelf:
        if kind not in (Kind.FLAT, self._large):
            raise disk.Damaged(f"it keeps vectors as {kind}, not as {self._large}")
        return Shelf(index, ids, kind=Kind(kind), large=self._large, flat_limit=self._flat_limit)

    def _loaded(self) -> Shelf:
        if self._shelf is None:
            raise IndexNotLoaded("the vector index is not in memory: call load() or rebuild() first")
        return self._shelf
