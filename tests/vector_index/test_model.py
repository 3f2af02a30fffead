"""Any order of additions, removals, saves, loads and rebuilds, compared with a dictionary searched by brute force."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from mediad.vector_index import VectorIndex

DIMENSIONS = 8
some_ids = st.lists(st.integers(-12, 12).filter(lambda one: one != -1), max_size=10)
seeds = st.integers(0, 2**32 - 1)


def unit(count: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, DIMENSIONS))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float16).astype(np.float32)


class Machine(RuleBasedStateMachine):
    """At most 25 ids, so that the candidates of eight-bit codes are all there is and results must be exact."""

    kind = "flat"

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.truth: dict[int, np.ndarray] = {}
        self.saved: dict[int, np.ndarray] | None = None
        self.index = self.opened()
        assert not self.index.load()

    def opened(self) -> VectorIndex:
        limit = 1000 if self.kind == "flat" else 4
        exact = self.exact if self.kind == "sq8" else None
        return VectorIndex(self.directory, "encoder", DIMENSIONS, exact=exact, flat_limit=limit)

    def exact(self, ids: np.ndarray) -> np.ndarray:
        return np.array([self.truth[int(one)] for one in ids], np.float32).reshape(-1, DIMENSIONS)

    def teardown(self) -> None:
        shutil.rmtree(self.directory)

    @rule(ids=some_ids, seed=seeds)
    def add(self, ids: list[int], seed: int) -> None:
        vectors = unit(len(ids), seed)
        assert self.index.add(np.array(ids, np.int64), vectors).size == 0
        self.truth |= dict(zip(ids, vectors, strict=True))

    @rule(ids=some_ids)
    def remove(self, ids: list[int]) -> None:
        self.index.remove(np.array(ids, np.int64))
        for one in ids:
            self.truth.pop(one, None)

    @rule(generation=st.integers(0, 2**60))
    def save(self, generation: int) -> None:
        self.index.save(generation)
        self.saved = dict(self.truth)
        assert self.index.generation == generation

    @rule()
    def crash_and_load(self) -> None:
        """What was saved comes back; what the store has beyond it is found by `reconcile`."""
        self.index = self.opened()
        assert self.index.load() == (self.saved is not None)
        before = self.saved or {}
        missing, extra = self.index.reconcile(self.truth)
        assert (missing, extra) == (sorted(self.truth.keys() - before), sorted(before.keys() - self.truth))
        stale = [one for one, vector in before.items() if one in self.truth and self.truth[one] is not vector]
        fill = np.array([*missing, *stale], np.int64)
        self.index.add(fill, self.exact(fill))
        self.index.remove(np.array(extra, np.int64))

    @rule(size=st.integers(1, 7))
    def rebuild(self, size: int) -> None:
        ids = list(self.truth)
        batches = (np.array(ids[start : start + size], np.int64) for start in range(0, len(ids), size))
        assert self.index.rebuild((batch, self.exact(batch)) for batch in batches) == len(ids)

    @rule(seed=seeds, k=st.integers(4, 12))
    def search(self, seed: int, k: int) -> None:
        queries = unit(3, seed)
        scores, ids = self.index.search(queries, k)
        for query, row_scores, row_ids in zip(queries, scores, ids, strict=True):
            ranked = sorted((float(vector @ query) for vector in self.truth.values()), reverse=True)[:k]
            assert row_scores[: len(ranked)].tolist() == pytest.approx(ranked, abs=2e-3)
            found = [one for one in row_ids.tolist() if one != -1]
            assert len(found) == len(set(found)) == len(ranked)
            assert [float(self.truth[one] @ query) for one in found] == pytest.approx(ranked, abs=2e-3)  # ties swap

    @invariant()
    def holds_what_the_truth_holds(self) -> None:
        assert sorted(self.index.ids().tolist()) == sorted(self.truth)
        assert self.index.count == len(self.truth)
        assert all((one in self.index) == (one in self.truth) for one in range(-13, 14))


@pytest.mark.parametrize("kind", ["flat", "sq8", "fp16"])
def test_behaves_like_a_dictionary(kind: str) -> None:
    machine = type("Machine", (Machine,), {"kind": kind})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
