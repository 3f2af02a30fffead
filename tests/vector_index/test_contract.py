"""What every kind of index does alike: add, replace, remove, search, save, load, rebuild, reconcile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.vector_index.conftest import file_size_limit

from mediad.model import content_id_of
from mediad.vector_index import IndexNotLoaded, VectorIndex, vector_id, vector_ids

if TYPE_CHECKING:
    from tests.vector_index.conftest import Floats, Ids, Truth

Open = Callable[[], VectorIndex]

IDS = [-(2**63), -7, -2, 0, 1, 5, 12, 99, 1000, 2**40, 2**63 - 1, *range(2000, 2029)]


@pytest.fixture
def index(open_index: Open, truth: Truth) -> VectorIndex:
    """An index of 40 vectors."""
    index = open_index()
    assert not index.load()
    assert index.add(*truth.make(IDS)).size == 0
    return index


def assert_finds(index: VectorIndex, truth: Truth, queries: Floats, k: int = 5) -> None:
    scores, ids = index.search(queries, k)
    assert scores.shape == ids.shape == (len(queries), k)
    assert scores.dtype == np.float32
    assert ids.dtype == np.int64
    for query, row_scores, row_ids in zip(queries, scores, ids, strict=True):
        wanted = truth.nearest(query, k)
        assert row_ids.tolist() == [vector_id for vector_id, _ in wanted] + [-1] * (k - len(wanted))
        assert row_scores[: len(wanted)].tolist() == pytest.approx([score for _, score in wanted], abs=1e-3)
        assert np.isneginf(row_scores[len(wanted) :]).all()


def some_queries(count: int = 12) -> Floats:
    return np.random.default_rng(9).normal(size=(count, 16)).astype(np.float32)


def test_finds_what_brute_force_finds(index: VectorIndex, truth: Truth) -> None:
    assert index.count == len(IDS)
    assert_finds(index, truth, some_queries())
    assert_finds(index, truth, some_queries(1), k=1)


def test_is_of_the_kind_that_the_size_asks_for(index: VectorIndex, open_index: Open) -> None:
    assert index.kind == open_index.kind  # type: ignore[attr-defined]  # see the fixture


def test_pads_when_there_are_fewer_than_asked_for(index: VectorIndex, truth: Truth) -> None:
    assert_finds(index, truth, some_queries(2), k=len(IDS) + 3)


def test_empty_index_finds_nothing(open_index: Open) -> None:
    index = open_index()
    index.load()
    scores, ids = index.search(some_queries(3), 4)
    assert (ids == -1).all()
    assert np.isneginf(scores).all()
    assert index.search(np.empty((0, 16), np.float32), 4)[1].shape == (0, 4)


def test_added_again_is_replaced(index: VectorIndex, truth: Truth) -> None:
    index.add(*truth.make([5, 12, 3333]))
    assert index.count == len(IDS) + 1
    assert_finds(index, truth, some_queries())


def test_of_one_id_twice_in_a_call_the_last_counts(index: VectorIndex, truth: Truth) -> None:
    _, first = truth.make([77])
    _, last = truth.make([77])
    index.add([77, 77], np.concatenate([first, last]))
    assert index.count == len(IDS) + 1
    assert index.search(last, 1)[0][0, 0] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("gone", [[0], [2028], [-(2**63), 5, 2028, 2027, 404], IDS[:20], IDS[20:], IDS, []])
def test_removed_is_never_found(index: VectorIndex, truth: Truth, gone: list[int]) -> None:
    index.remove([*gone, *gone[:1]])
    for removed in gone:
        truth.vectors.pop(removed, None)
        assert removed not in index
    assert sorted(index.ids().tolist()) == sorted(truth.vectors)
    assert_finds(index, truth, some_queries())
    index.add(*truth.make([4, *gone]))
    assert index.count == len(truth.vectors)
    assert_finds(index, truth, some_queries())
    index.add(*truth.make(sorted(truth.vectors)))  # what was moved into the gaps is found by its id, too
    assert_finds(index, truth, some_queries())


def test_searches_among_the_allowed_only(index: VectorIndex, truth: Truth) -> None:
    allowed = [-7, 0, 12, 2001, 2020, 424242]
    for query in some_queries(6):
        _, ids = index.search(query[None], 10, allowed=allowed)
        wanted = [vector_id for vector_id, _ in truth.nearest(query, 10, set(allowed))]
        assert ids[0].tolist() == wanted + [-1] * 5


def test_knows_what_it_holds(index: VectorIndex) -> None:
    assert 12 in index
    assert 13 not in index
    assert 2**63 - 1 in index


def test_refuses_bad_vectors_and_keeps_the_good_ones(index: VectorIndex, truth: Truth) -> None:
    ids, vectors = truth.make([301, 302, 303, 304, 305, -1])
    vectors[0, 3], vectors[1, 3], vectors[2] = np.nan, np.inf, 0
    vectors[3] *= 1e30
    assert index.add(ids, vectors).tolist() == [301, 302, 303, 304, -1]
    assert 305 in index
    assert index.count == len(IDS) + 1


def test_wrong_shapes_and_queries_are_errors(index: VectorIndex) -> None:
    with pytest.raises(ValueError, match=r"\(n, 16\)"):
        index.add([1], np.ones((1, 15), np.float32))
    with pytest.raises(ValueError, match="2 ids for 1 vectors"):
        index.add([1, 2], np.full((1, 16), 0.25, np.float32))
    with pytest.raises(ValueError, match="integers"):
        index.remove([0.5])
    for bad in (0, np.nan, np.inf):
        with pytest.raises(ValueError, match="finite and not zero"):
            index.search(np.full((1, 16), bad, np.float32), 3)


def test_saved_and_loaded_is_the_same(index: VectorIndex, open_index: Open, truth: Truth) -> None:
    assert index.changed
    index.save(generation=7)
    assert not index.changed
    again = open_index()
    assert again.load()
    assert (again.generation, again.count, again.kind) == (7, index.count, index.kind)
    assert not again.changed
    assert_finds(again, truth, some_queries())
    again.remove([5, 2028])
    del truth.vectors[5], truth.vectors[2028]
    again.add(*truth.make([12, 6]))
    assert again.changed
    assert_finds(again, truth, some_queries())


def test_saving_leaves_two_files(index: VectorIndex, open_index: Open, truth: Truth) -> None:
    for generation in range(4):
        index.add(*truth.make([50_000 + generation]))
        index.save(generation)
    directory = index._directory
    assert sorted(path.suffix for path in directory.iterdir()) == [".faiss", ".json"]


def test_failed_save_leaves_the_saved_one(index: VectorIndex, open_index: Open, truth: Truth) -> None:
    index.save(generation=1)
    index.add(*truth.make(list(range(9000, 9200))))
    with file_size_limit(1024), pytest.raises(OSError, match="too large"):
        index.save(generation=2)
    assert index.changed
    again = open_index()
    assert again.load()
    assert (again.generation, again.count) == (1, len(IDS))


def test_unloaded_is_not_used_by_mistake(index: VectorIndex, open_index: Open) -> None:
    assert index.loaded
    index.save(generation=1)
    index.unload()
    assert not index.loaded
    with pytest.raises(IndexNotLoaded, match="load"):
        index.search(some_queries(1), 1)
    assert index.load()
    assert index.count == len(IDS)
    with pytest.raises(IndexNotLoaded):
        open_index().add([1], np.full((1, 16), 0.25))


def test_rebuild_replaces_everything(index: VectorIndex, truth: Truth) -> None:
    truth.vectors.clear()
    batches = [truth.make(list(range(start, start + 6))) for start in (0, 100, 200, 300)]
    assert index.rebuild(batches) == 24
    assert sorted(index.ids().tolist()) == sorted(truth.vectors)
    assert_finds(index, truth, some_queries())
    assert index.rebuild([]) == 0
    assert index.count == 0


def test_changes_during_a_rebuild_are_kept(index: VectorIndex, truth: Truth) -> None:
    stored = truth.make(list(range(20)))

    def batches() -> Iterator[tuple[Ids, Floats]]:
        yield stored
        index.add(*truth.make([3, 500]))
        index.remove([4])
        assert index.count == len(set(IDS) | {3, 500})  # searches still see the old content

    index.rebuild(batches())
    truth.vectors = {key: value for key, value in truth.vectors.items() if key in {*range(20), 500} - {4}}
    assert sorted(index.ids().tolist()) == sorted(truth.vectors)
    assert_finds(index, truth, some_queries())


def test_failed_rebuild_changes_nothing(index: VectorIndex, truth: Truth) -> None:
    def batches() -> Iterator[tuple[Ids, Floats]]:
        yield np.array([42]), np.full((1, 16), 0.25, np.float32)
        raise OSError("the store is gone")

    with pytest.raises(OSError, match="gone"):
        index.rebuild(batches())
    assert 42 not in index
    assert_finds(index, truth, some_queries())


def test_reconcile_names_missing_and_extra(index: VectorIndex) -> None:
    stored = {*IDS, 31, 30} - {5, -7}
    assert index.reconcile(iter([*stored, 31])) == ([30, 31], [-7, 5])
    assert index.reconcile([]) == ([], sorted(IDS))


def test_vector_ids_are_the_heads_of_content_ids() -> None:
    contents = [content_id_of(bytes([number])) for number in range(50)]
    assert vector_ids(contents).tolist() == [vector_id(content) for content in contents]
    assert vector_id(b"\xff" * 7 + b"\xfe" + b"\0" * 8) == -2
    assert vector_id(b"\x7f" + b"\xff" * 15) == 2**63 - 1
    assert vector_ids([]).shape == (0,)
