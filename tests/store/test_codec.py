"""What is put into the store comes out as it was, for anything that a disk or a decoder can come up with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mediad.model import Asset, Cluster, ContentId, EncoderInfo, File, Frame, InputSpec, Kind, Stat, VolumeId, short_id
from mediad.store import Store, Transaction

VOLUME = VolumeId("0a0b0c0d")
INFO = EncoderInfo("clip:1234", "clip", 8, True, InputSpec(224), "cpu")

contents = st.binary(min_size=16, max_size=16).filter(any).map(ContentId)
names = st.binary(min_size=1, max_size=255).map(lambda raw: raw.replace(b"/", b"_").replace(b"\0", b"_"))
paths = st.lists(names, min_size=1, max_size=5).map(b"/".join)
# XFS and btrfs hold times beyond the 64 bits of nanoseconds that end in 2262
times = st.integers(-(2**63), 2**66)
stats = st.builds(Stat, st.integers(0, 2**64 - 1), times, times, st.integers(0, 2**64 - 1))
seconds = st.floats(0, 4e9)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
maybe_text = st.none() | texts
numbers = st.floats(allow_nan=False, allow_infinity=False)
assets = st.builds(
    Asset,
    content_id=contents,
    kind=st.sampled_from(Kind),
    width=st.integers(0, 2**31),
    height=st.integers(0, 2**31),
    format=texts,
    decoder=texts,
    phash=maybe_text,
    captured=maybe_text,
    camera=maybe_text,
    lens=maybe_text,
    gps=st.none() | st.tuples(numbers, numbers) | st.tuples(numbers, numbers, numbers),
    rating=st.none() | st.integers(-1, 5),
    keywords=st.lists(texts, max_size=4).map(tuple),
    preview=maybe_text,
    duration=st.none() | numbers,
    fps=st.none() | numbers,
    codec=maybe_text,
    frames=st.lists(st.builds(Frame, numbers, maybe_text), max_size=3).map(tuple),
    scores=st.dictionaries(texts, numbers, max_size=3),
    flags=st.lists(texts, max_size=3).map(tuple),
)

quiet = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@contextlib.contextmanager
def undone(store: Store) -> Iterator[Transaction]:
    """A write that is not kept."""

    class Undo(Exception):
        pass

    with contextlib.suppress(Undo), store.write() as tx:
        yield tx
        raise Undo


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with Store(Path(tmp_path_factory.mktemp("codec"))) as one:
        yield one


@quiet
@given(path=paths, stat=stats, content=st.none() | contents, seen=seconds, missing=seconds)
def test_files(store: Store, path: bytes, stat: Stat, content: ContentId | None, seen: float, missing: float) -> None:
    file = File(short_id(path), VOLUME, path, stat, content, seen, missing)
    with undone(store) as tx:
        tx.files.put(file)
        assert tx.files.get(VOLUME, path) == file
        assert tx.files.by_id(file.id) == file
        assert list(tx.files) == list(tx.files.of_volume(VOLUME)) == [file]
        assert list(tx.files.in_directory(VOLUME, path.rpartition(b"/")[0])) == [file]
        assert list(tx.files.of(content) if content else []) == ([file] if content else [])


@quiet
@given(asset=assets)
def test_assets(store: Store, asset: Asset) -> None:
    with undone(store) as tx:
        tx.assets.put(asset)
        assert tx.assets.get(asset.content_id) == asset
        assert list(tx.assets) == [asset]


@quiet
@given(content=contents, frames=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
def test_vectors_to_half_precision(store: Store, content: ContentId, frames: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(frames, 8)).astype(np.float32)
    with undone(store) as tx:
        tx.vectors.put(INFO.id, content, vectors)
        own = tx.vectors.get(INFO.id, content)
        assert own is not None
        np.testing.assert_allclose(own, vectors[0], rtol=1e-3, atol=1e-6)
        assert len(tx.vectors.frames(INFO.id, content)) == frames - 1


@quiet
@given(
    members=st.lists(contents, min_size=1, max_size=20).map(tuple),
    name=texts,
    given_name=maybe_text,
    tags=st.lists(texts, max_size=3).map(tuple),
    centroid=st.lists(st.floats(-1, 1, width=32), max_size=8).map(tuple),
    radius=st.floats(0, 1),
)
def test_clusters(
    store: Store,
    members: tuple[ContentId, ...],
    name: str,
    given_name: str | None,
    tags: tuple[str, ...],
    centroid: tuple[float, ...],
    radius: float,
) -> None:
    cluster = Cluster("c1", "visual", name, members[0], members, centroid, radius, tags, given_name)
    with undone(store) as tx:
        tx.clusters.put(cluster)
        tx.clusters.rename("c1", given_name)
        assert tx.clusters.get("c1") == cluster
        assert list(tx.clusters) == [cluster]
