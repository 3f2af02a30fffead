"""Ranking candidates by their exact vectors, where the index keeps too few bits to tell close neighbours apart."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mediad.vector_index.vectors import NO_ID, Floats, Ids

Exact = Callable[[Ids], Floats]
"""Gives the exact vectors, (n, d), of ids (n,); a row of NaN for an id that it does not have."""

CANDIDATES = 8
"""Candidates asked for each neighbour wanted. Among 150 near copies of each of 960 photos, eight-bit codes alone keep
0.73 of the ten nearest; the ten nearest are all among 40 candidates, so 80 leave room (bench/recall.py measures)."""

_QUERIES_AT_ONCE = 256  # bounds the exact vectors in memory: 256 queries x 80 candidates x 512 dimensions are 42 MB


def rank(queries: Floats, candidates: Ids, k: int, exact: Exact) -> tuple[Floats, Ids]:
    """The best `k` of each query's `candidates` (m, c) by exact cosine: scores and ids (m, k), best first.

    Candidates that `exact` no longer has are dropped; -inf and -1 stand where there are fewer than `k`.
    """
    scores = np.full((len(queries), k), -np.inf, np.float32)
    ids = np.full((len(queries), k), NO_ID, np.int64)
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        part = slice(start, start + _QUERIES_AT_ONCE)
        distinct, where = np.unique(candidates[part], return_inverse=True)
        vectors = _vectors(distinct, exact, queries.shape[1])
        for row, places in enumerate(where.reshape(candidates[part].shape), start):
            _rank_one(queries[row], distinct[places], vectors[places], scores[row], ids[row])
    return scores, ids


def _rank_one(query: Floats, candidates: Ids, vectors: Floats, scores: Floats, ids: Ids) -> None:
    """Fill one row of the result."""
    cosines = vectors @ query
    living = np.flatnonzero(~np.isnan(cosines))
    best = living[np.argsort(-cosines[living], kind="stable")][: len(scores)]
    scores[: len(best)] = cosines[best]
    ids[: len(best)] = candidates[best]


def _vectors(ids: Ids, exact: Exact, dimensions: int) -> Floats:
    """Unit vectors of `ids`, (n, dimensions); rows of NaN where there is none."""
    vectors = np.full((len(ids), dimensions), np.nan, np.float32)
    asked = ids != NO_ID
    vectors[asked] = exact(ids[asked])
    with np.errstate(invalid="ignore"):  # a zero vector becomes NaN too
        unit: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
