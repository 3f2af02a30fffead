"""Recall and cost of the vector index against exact search: `python -m bench.recall [--count N]`, one JSON line.

The vectors are synthetic but hard: pictures of 1,000 subjects of very unequal size in a narrow cone, a third of them in
runs of near copies (a search must tell ten of 50 apart), arriving subject by subject as folders do. Exact vectors are
read from an LMDB file like the store's. Queries are pictures, and mixtures off the cone as text embeddings are.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import lmdb
import numpy as np
import numpy.typing as npt
import orjson

from mediad.vector_index import VectorIndex

Half = npt.NDArray[np.float16]
Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

NEIGHBOURS = 10
QUERIES = 200
SUBJECTS = 1_000
COPIES = 50
BATCH = 4_096

_LOAD = """
import sys, time
from pathlib import Path
import psutil
from mediad.vector_index import VectorIndex, kinds
kinds.faiss()
before = psutil.Process().memory_info().rss
index = VectorIndex(Path(sys.argv[1]), "bench", int(sys.argv[2]), exact=lambda ids: None)
start = time.perf_counter()
assert index.load()
print(time.perf_counter() - start, (psutil.Process().memory_info().rss - before) / 1e6)
"""


class Pictures:
    """Makes the vectors; `spectrum` lets few directions carry most of the variance, as in real embeddings."""

    def __init__(self, dimensions: int, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self._spectrum = np.arange(1, dimensions + 1) ** -0.4
        self._cone = self.directions(1)
        self._subjects = self.directions(SUBJECTS)

    def directions(self, count: int) -> Floats:
        return unit(self._random.normal(size=(count, len(self._spectrum))) * self._spectrum)

    def make(self, count: int) -> Half:
        """`count` pictures, subject by subject, float16 of shape (count, d)."""
        shares = np.arange(1, SUBJECTS + 1) ** -0.7
        subjects = np.sort(self._random.choice(SUBJECTS, count, p=shares / shares.sum()))
        made = np.empty((count, len(self._spectrum)), np.float16)
        for start in range(0, count, BATCH):
            part = subjects[start : start + BATCH]
            own = self.directions(len(part))
            copied = self._random.random(len(part)) < 1 / 3
            source = np.arange(len(part)) // COPIES * COPIES
            own[copied] = own[source[copied]] + 0.3 * self.directions(int(copied.sum()))
            made[start : start + BATCH] = unit(0.8 * self._cone + 0.9 * self._subjects[part] + 0.7 * own)
        return made

    def texts(self, count: int) -> Floats:
        """Queries that lie far from all pictures and still name a subject."""
        named = self._subjects[self._random.integers(SUBJECTS, size=count)]
        return unit(0.4 * named + self.directions(count) - 0.5 * self._cone)

    def near(self, pictures: Half, count: int) -> Floats:
        """Queries that are slightly altered pictures."""
        chosen = pictures[self._random.choice(len(pictures), count)].astype(np.float32)
        return unit(chosen + 0.2 * self.directions(count))


class Vectors:
    """Exact vectors in LMDB, by id, as the store keeps them."""

    def __init__(self, path: Path, ids: Ids, vectors: Half) -> None:
        self._environment = lmdb.open(str(path), map_size=len(ids) * vectors.shape[1] * 8 + (1 << 26), sync=False)
        self._dimensions = vectors.shape[1]
        with self._environment.begin(write=True) as transaction:
            for at in np.argsort(ids.view(np.uint64)):
                transaction.put(ids[at].tobytes()[::-1], vectors[at].tobytes(), append=True)

    def exact(self, ids: Ids) -> Floats:
        with self._environment.begin(buffers=True) as transaction:
            rows = [np.frombuffer(transaction.get(one.tobytes()[::-1]) or b"", np.float16) for one in ids]
            return np.array(rows, np.float32).reshape(len(ids), self._dimensions)


def unit(vectors: npt.NDArray[np.floating]) -> Floats:
    scaled: Floats = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def batches(ids: Ids, vectors: Half) -> Iterator[tuple[Ids, Floats]]:
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH], unit(vectors[start : start + BATCH].astype(np.float32))


def truth(queries: Floats, ids: Ids, vectors: Half) -> Ids:
    """The nearest neighbours by comparing with every vector in float32, (m, NEIGHBOURS)."""
    best = np.full((len(queries), NEIGHBOURS), -np.inf, np.float32)
    found = np.full(best.shape, -1, np.int64)
    for part_ids, part in batches(ids, vectors):
        scores = np.concatenate([best, queries @ part.T], axis=1)
        candidates = np.concatenate([found, np.broadcast_to(part_ids, (len(queries), len(part_ids)))], axis=1)
        order = np.argsort(-scores, axis=1)[:, :NEIGHBOURS]
        best, found = np.take_along_axis(scores, order, 1), np.take_along_axis(candidates, order, 1)
    return found


def recall(found: Ids, wanted: Ids) -> float:
    shared = [len(np.intersect1d(*pair)) for pair in zip(found, wanted, strict=True)]
    return float(np.mean(shared) / NEIGHBOURS)


def milliseconds(work: Callable[[int], object], rounds: int) -> list[float]:
    """How long each of `rounds` calls took, in order of length."""
    took = []
    for turn in range(rounds):
        start = time.perf_counter()
        work(turn)
        took.append(1000 * (time.perf_counter() - start))
    return sorted(took)


def measure(count: int, dimensions: int, directory: Path) -> dict[str, object]:
    pictures = Pictures(dimensions)
    vectors = pictures.make(count)
    ids = np.random.default_rng(1).integers(-(2**63), 2**63 - 1, size=count)
    stored = Vectors(directory / "vectors", ids, vectors)
    index = VectorIndex(directory / "index", "bench", dimensions, exact=stored.exact)
    start = time.perf_counter()
    index.rebuild(batches(ids, vectors))
    built = time.perf_counter()
    index.save(generation=1)
    saved = time.perf_counter()
    near, texts = pictures.near(vectors, QUERIES), pictures.texts(QUERIES)
    query = milliseconds(lambda turn: index.search(near[turn : turn + 1], NEIGHBOURS), QUERIES)
    result: dict[str, object] = {
        "bench": "recall",
        "count": count,
        "dimensions": dimensions,
        "kind": index.kind,
        "recall_at_10": round(recall(index.search(near, NEIGHBOURS)[1], truth(near, ids, vectors)), 4),
        "recall_at_10_text": round(recall(index.search(texts, NEIGHBOURS)[1], truth(texts, ids, vectors)), 4),
        "query_ms_p50": round(query[QUERIES // 2], 2),
        "query_ms_p95": round(query[QUERIES * 95 // 100], 2),
        "rebuild_s": round(built - start, 2),
        "save_s": round(saved - built, 2),
        "file_mb": round(sum(path.stat().st_size for path in (directory / "index").iterdir()) / 1e6, 1),
    }
    remove = milliseconds(lambda turn: index.remove(ids[turn * 100 : turn * 100 + 10]), 20)
    add = milliseconds(lambda turn: index.add(ids[turn : turn + 1], near[turn : turn + 1]), 20)
    result |= {"remove_10_ms_p50": round(remove[10], 2), "add_1_ms_p50": round(add[10], 2)}
    command = [sys.executable, "-c", _LOAD, str(directory / "index"), str(dimensions)]
    loaded, resident = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return result | {"load_s": round(float(loaded), 2), "index_rss_mb": round(float(resident), 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=150_000, help="vectors in the index (default: %(default)s)")
    parser.add_argument("--dimensions", type=int, default=512, help="numbers in each (default: %(default)s)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        print(orjson.dumps(measure(given.count, given.dimensions, Path(directory))).decode())


if __name__ == "__main__":
    main()
