"""The vectors in memory: FAISS codes by position, and which id stands at which position."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mediad.vector_index import kinds
from mediad.vector_index.kinds import Kind
from mediad.vector_index.vectors import NO_ID, Floats, Ids, last_of_each


class Shelf:
    """Unit vectors by id; not thread-safe. Becomes `large` when it grows beyond `flat_limit` vectors.

    Positions are dense: a removed vector's place is taken by the last one, so nothing dead is ever searched or kept.
    Ids are found by bisection in a sorted copy, which takes 16 bytes an id where a dictionary takes 100.
    """

    def __init__(self, index: Any, ids: Ids, *, kind: Kind, large: Kind, flat_limit: int) -> None:
        self.kind = kind
        self._large = large
        self._flat_limit = flat_limit
        self.index = index
        self.ids = ids
        self._places = np.argsort(ids)
        self._sorted = ids[self._places]

    @property
    def count(self) -> int:
        return len(self.ids)

    def __contains__(self, vector_id: int) -> bool:
        at = int(np.searchsorted(self._sorted, vector_id))
        return at < self.count and int(self._sorted[at]) == vector_id

    def add(self, ids: Ids, vectors: Floats) -> None:
        """Add vectors (n, d), or replace them where their id is known; of one id given twice the last counts."""
        once = last_of_each(ids)
        ids, vectors = ids[once], vectors[once]
        known, at = self._find(ids)
        if known.any():
            kinds.codes(self.index)[self._places[at[known]]] = kinds.encode(self.index, vectors[known])
        self._append(ids[~known], vectors[~known])
        if self.kind is Kind.FLAT and self.count > self._flat_limit:
            self._grow()

    def remove(self, ids: Ids) -> None:
        """Remove the vectors of these ids; unknown ones are passed over."""
        known, at = self._find(np.unique(ids))
        at = at[known]
        if not len(at):
            return
        freed = self._places[at]
        self._sorted, self._places = np.delete(self._sorted, at), np.delete(self._places, at)
        left = self.count - len(freed)
        holes = freed[freed < left]
        moving = np.setdiff1d(np.arange(left, self.count), freed)
        codes = kinds.codes(self.index)
        codes[holes] = codes[moving]
        self.ids[holes] = self.ids[moving]
        self._places[np.searchsorted(self._sorted, self.ids[holes])] = holes
        self.ids = self.ids[:left].copy()
        kinds.cut(self.index, left)

    def search(self, queries: Floats, k: int, allowed: Ids | None) -> tuple[Floats, Ids]:
        """Scores and ids, (m, k), best first; -inf and -1 where there are fewer."""
        scores = np.full((len(queries), k), -np.inf, np.float32)
        ids = np.full((len(queries), k), NO_ID, np.int64)
        width = min(k, self.count)
        if width and len(queries):
            found, places = kinds.search(self.index, queries, width, self._mask(allowed))
            hit = places >= 0
            scores[:, :width][hit] = found[hit]
            ids[:, :width][hit] = self.ids[places[hit]]
        return scores, ids

    def _find(self, ids: Ids) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.intp]]:
        """Which of `ids` are known, and where each stands, or would stand, in the sorted copy."""
        at = np.searchsorted(self._sorted, ids)
        known = np.zeros(len(ids), np.bool_)
        inside = at < self.count
        known[inside] = self._sorted[at[inside]] == ids[inside]
        return known, at

    def _mask(self, allowed: Ids | None) -> npt.NDArray[np.bool_] | None:
        if allowed is None:
            return None
        mask = np.zeros(self.count, np.bool_)
        known, at = self._find(allowed)
        mask[self._places[at[known]]] = True
        return mask

    def _append(self, ids: Ids, vectors: Floats) -> None:
        """Add vectors of unknown ids, which are sorted and distinct."""
        if not len(ids):
            return
        at = np.searchsorted(self._sorted, ids)
        self._sorted = np.insert(self._sorted, at, ids)
        self._places = np.insert(self._places, at, np.arange(self.count, self.count + len(ids)))
        self.ids = np.concatenate([self.ids, ids])
        self.index.add(vectors)

    def _grow(self) -> None:
        """Become the large kind: what is here are the exact vectors, so nothing needs to be read again."""
        vectors = kinds.codes(self.index).view(np.float32)
        index = kinds.empty(self._large, vectors.shape[1], sample=vectors)
        index.add(vectors)
        self.index, self.kind = index, self._large
