"""The contract of each table: what follows from what."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mediad.model import (
    Asset,
    ChangeType,
    Cluster,
    ContentId,
    EncoderInfo,
    File,
    InputSpec,
    Kind,
    Sequence,
    Stat,
    Volume,
    VolumeId,
    VolumeState,
    content_id_of,
)
from mediad.store import Store, Transaction
from mediad.store.work import WorkItem

VOLUME = VolumeId("0a0b0c0d")
OTHER = VolumeId("ffffffff")
ONE, TWO = content_id_of(b"1"), content_id_of(b"2")
INFO = EncoderInfo("clip:1234", "clip", 4, True, InputSpec(224), "cpu")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "store") as one:
        yield one


@pytest.fixture
def tx(store: Store) -> Iterator[Transaction]:
    with store.write() as one:
        yield one


def put(tx: Transaction, path: bytes, content: ContentId | None = ONE, volume: VolumeId = VOLUME) -> File:
    file = File(tx.files.new_id(volume, path), volume, path, Stat(1, 2, 3, 4), content, first_seen=5.0)
    tx.files.put(file)
    return file


def asset(content: ContentId) -> Asset:
    return Asset(content, Kind.IMAGE, 3, 2, "PNG", "1")


def dirty(tx: Transaction) -> set[bytes]:
    """Names of the files whose fragments must be made again; forgets them."""
    keys = list(tx.raw.keys("dirty"))
    tx.raw.drop("dirty")
    return {key[12:] for key in keys}


def orphans(tx: Transaction) -> list[ContentId]:
    return tx.assets.orphans(1e12)


def test_a_moved_file_keeps_its_id(tx: Transaction) -> None:
    before = put(tx, b"old/a.jpg")
    after = replace(before, relpath=b"new/b.jpg")
    tx.files.put(after)
    tx.files.delete(before, 10.0)
    assert tx.files.by_id(before.id) == after
    assert tx.files.get(VOLUME, b"old/a.jpg") is None
    assert list(tx.files.of(ONE)) == [after]
    assert orphans(tx) == []


def test_two_files_may_swap_their_places(tx: Transaction) -> None:
    a, b = put(tx, b"a", ONE), put(tx, b"b", TWO)
    tx.files.put(replace(a, relpath=b"b"))
    tx.files.put(replace(b, relpath=b"a"))
    assert [tx.files.by_id(one.id) for one in (a, b)] == [replace(a, relpath=b"b"), replace(b, relpath=b"a")]
    assert [file.relpath for file in tx.files.of(ONE)] == [b"b"]
    assert [file.relpath for file in tx.files.of(TWO)] == [b"a"]


def test_an_id_is_the_same_after_a_rebuild_and_never_one_in_use(tx: Transaction) -> None:
    first = put(tx, b"a")
    moved = replace(first, relpath=b"b")
    tx.files.put(moved)
    tx.files.delete(first, 0.0)
    second = put(tx, b"a")
    assert second.id != first.id
    tx.files.delete(moved, 0.0)
    tx.files.delete(second, 0.0)
    assert put(tx, b"a").id == first.id


def test_contents_lead_to_all_their_files(tx: Transaction) -> None:
    files = [put(tx, b"a"), put(tx, b"d/b"), put(tx, b"a", volume=OTHER)]
    put(tx, b"c", TWO)
    assert list(tx.files.of(ONE)) == files
    tx.files.put(replace(files[0], content_id=TWO))
    assert list(tx.files.of(ONE)) == files[1:]


def test_the_last_file_of_a_content_leaves_an_orphan_until_one_comes_back(tx: Transaction) -> None:
    a, b = put(tx, b"a"), put(tx, b"b")
    tx.assets.put(asset(ONE))
    tx.files.delete(a, 10.0)
    assert orphans(tx) == []
    tx.files.delete(b, 20.0)
    assert orphans(tx) == [ONE]
    assert tx.assets.orphans(20.0) == []
    assert tx.assets.get(ONE) == asset(ONE)
    put(tx, b"c")
    assert orphans(tx) == []


def test_a_missing_file_keeps_its_asset(tx: Transaction) -> None:
    file = put(tx, b"a")
    tx.files.put(replace(file, missing_since=7.0))
    assert [one.missing for one in tx.files.of(ONE)] == [True]
    assert orphans(tx) == []


def test_an_asset_that_no_file_has_is_an_orphan_at_once(tx: Transaction) -> None:
    tx.assets.put(asset(ONE))
    assert orphans(tx) == [ONE]


def test_every_change_of_what_the_catalog_shows_of_a_file_is_noted(tx: Transaction) -> None:
    a, b = put(tx, b"a"), put(tx, b"d/b")
    put(tx, b"c", TWO)
    assert dirty(tx) == {b"a", b"b", b"c"}
    tx.assets.put(asset(ONE))
    assert dirty(tx) == {b"a", b"b"}
    tx.files.put(replace(a, missing_since=1.0))
    assert dirty(tx) == {b"a"}
    tx.files.put(replace(b, relpath=b"e"))
    tx.files.delete(b, 0.0)
    assert dirty(tx) == {b"b", b"e"}


def test_deleting_an_asset_forgets_all_that_was_computed_of_it_and_nothing_else(tx: Transaction) -> None:
    tx.vectors.add_space(INFO)
    for content in (ONE, TWO):
        tx.assets.put(asset(content))
        tx.vectors.put(INFO.id, content, np.ones((3, 4), np.float32))
        tx.attempts.put(tx.attempts.get(content, "v1"))
    tx.assets.delete(ONE)
    assert [tx.assets.get(ONE), tx.vectors.get(INFO.id, ONE), orphans(tx)] == [None, None, [TWO]]
    assert list(tx.vectors.ids(INFO.id)) == [TWO]
    assert tx.raw.count("attempts") == 1
    assert tx.vectors.take_fresh(10) == [TWO]
    assert tx.raw.count("vectors") == 3


def test_vectors_that_are_put_again_replace_all_frames(tx: Transaction) -> None:
    tx.vectors.put(INFO.id, ONE, np.ones((6, 4), np.float32))
    tx.vectors.put(INFO.id, ONE, np.ones((3, 4), np.float32))
    assert tx.vectors.frames(INFO.id, ONE).shape == (2, 4)


def test_spaces_stand_beside_each_other(tx: Transaction) -> None:
    other = replace(INFO, id="other:1")
    for info in (INFO, other):
        tx.vectors.add_space(info)
        tx.vectors.put(info.id, ONE, np.ones((2, 4), np.float32))
    assert {info.id for info in tx.vectors.spaces()} == {INFO.id, other.id}
    assert tx.vectors.drop_space(INFO.id) == 2
    assert not tx.vectors.has(INFO.id, ONE)
    assert tx.vectors.has(other.id, ONE)
    assert tx.vectors.spaces() == [other]


def test_batches_hold_each_assets_own_vector_once(tx: Transaction) -> None:
    ids = sorted(content_id_of(b"%d" % number) for number in range(25))
    for number, content in enumerate(ids):
        tx.vectors.put(INFO.id, content, np.full((1 + number % 3, 4), number, np.float32))
    batches = list(tx.vectors.batches(INFO.id, 10))
    assert [len(found) for found, _ in batches] == [10, 10, 5]
    assert [content for found, _ in batches for content in found] == ids
    assert np.concatenate([rows for _, rows in batches])[:, 0].tolist() == list(range(25))


def test_directories_are_known_with_all_above_them(tx: Transaction) -> None:
    put(tx, b"a/b/c.jpg")
    put(tx, b"a/d.jpg")
    assert list(tx.files.directories(VOLUME)) == [b"", b"a", b"a/b"]
    assert tx.files.subdirectories(VOLUME, b"a") == [b"b"]
    assert tx.files.directory_key(OTHER, b"a") is None


def test_a_directory_is_dropped_only_when_nothing_is_in_it(tx: Transaction) -> None:
    file = put(tx, b"a/b/c.jpg")
    for directory in (b"a/b", b"a", b""):
        tx.files.drop_directory(VOLUME, directory)
    assert tx.files.get(VOLUME, b"a/b/c.jpg") == file
    tx.files.delete(file, 0.0)
    for directory in (b"a/b", b"a", b""):
        tx.files.drop_directory(VOLUME, directory)
    assert list(tx.files.directories(VOLUME)) == [b""]
    put(tx, b"a/x.jpg")
    assert [one.relpath for one in tx.files.in_directory(VOLUME, b"a")] == [b"a/x.jpg"]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(b"/".join([b"d" * 200] * 20) + b"/" + b"n" * 75, id="4096 bytes"),
        pytest.param(b"x" * 251 + b".jpg", id="name of 255 bytes"),
        pytest.param(b"line\nbreak/caf\xe9 \xff\xfe.jpg", id="newline and not UTF-8"),
        pytest.param(b"a b/ .jpg", id="spaces"),
    ],
)
def test_any_path_that_a_disk_can_hold(tx: Transaction, path: bytes) -> None:
    file = put(tx, path)
    tx.work.put(WorkItem(tx.files.key(VOLUME, path) or b"", tries=1))
    assert tx.files.get(VOLUME, path) == tx.files.by_id(file.id) == file
    assert list(tx.files.of(ONE)) == [file]
    tx.files.delete(file, 0.0)
    assert (tx.files.get(VOLUME, path), tx.work.count()) == (None, 0)


def test_a_name_is_not_mistaken_for_one_that_it_begins(tx: Transaction) -> None:
    for path in (b"a/x", b"ab/x", b"a.jpg", b"a.jpgx"):
        put(tx, path)
    assert [one.relpath for one in tx.files.in_directory(VOLUME, b"a")] == [b"a/x"]
    assert [one.relpath for one in tx.files.in_directory(VOLUME, b"")] == [b"a.jpg", b"a.jpgx"]


def test_the_journal_counts_on_after_it_was_trimmed(tx: Transaction) -> None:
    numbers = [tx.journal.append(ChangeType.ADDED, f"{number:016x}", path=str(number)) for number in range(10)]
    assert numbers == list(range(1, 11))
    assert tx.journal.trim(3) == 7
    assert [change.seq for change in tx.journal.after(0)] == [8, 9, 10]
    assert [change.detail for change in tx.journal.after(9)] == [{"path": "9"}]
    assert tx.journal.trim(0) == 2
    assert tx.journal.append(ChangeType.REMOVED, "x") == 11


def test_counters_and_values(tx: Transaction) -> None:
    assert tx.meta.counters()["decodes"] == 0
    assert [tx.meta.count("decodes"), tx.meta.count("decodes", 5)] == [1, 6]
    tx.meta.put("thing", {"a": [1]})
    assert (tx.meta.get("thing"), tx.meta.get("nothing")) == ({"a": [1]}, None)


def test_volumes(tx: Transaction) -> None:
    volume = Volume(VOLUME, "photos", "/srv/photos", VolumeState.UNREADABLE, "why", 1.5, {"root": [1, 2]})
    tx.volumes.put(volume)
    assert (tx.volumes.get(VOLUME), list(tx.volumes)) == (volume, [volume])
    tx.volumes.delete(VOLUME)
    assert tx.volumes.get(VOLUME) is None


def test_sequences_by_directory_and_whether_they_changed(tx: Transaction) -> None:
    file = put(tx, b"shots/a_1.png")
    key = tx.files.directory_key(VOLUME, b"shots")
    assert key is not None
    one = Sequence("s", "numbered", "a", VOLUME, b"shots", (file.id,), ONE, "a_#.png", 1, 3, (2,), "x.gif")
    assert [tx.sequences.replace(key, [one]), tx.sequences.replace(key, [one])] == [True, False]
    assert list(tx.sequences) == tx.sequences.in_directory(key) == [one]
    assert [tx.sequences.replace(key, []), tx.sequences.replace(key, [])] == [True, False]
    assert list(tx.sequences) == []


def test_a_persons_name_for_a_cluster_outlives_it(tx: Transaction) -> None:
    cluster = Cluster("c", "visual", "made", ONE, (ONE,))
    tx.clusters.put(cluster)
    tx.clusters.rename("c", "mine")
    tx.clusters.replace_all([])
    assert list(tx.clusters) == []
    tx.clusters.put(cluster)
    tx.clusters.add_member("c", TWO)
    tx.clusters.add_member("gone", TWO)
    assert list(tx.clusters) == [replace(cluster, members=(ONE, TWO), user_name="mine")]
    tx.clusters.rename("c", None)
    assert tx.clusters.get("c") == replace(cluster, members=(ONE, TWO))


def test_work_and_attempts(tx: Transaction) -> None:
    items = [WorkItem(b"k%d" % number, 1.0, number, "why", 5) for number in range(3)]
    for item in items:
        tx.work.put(item)
    assert (list(tx.work.after(b"")), list(tx.work.after(b"k1"))) == (items, items[2:])
    tx.work.done(b"k0")
    assert tx.work.count() == 2
    tried = replace(tx.attempts.get(ONE, "v1"), count=2, reason="crashed", quarantined=True)
    tx.attempts.put(tried)
    tx.attempts.put(replace(tx.attempts.get(TWO, "v1"), count=1))
    assert (tx.attempts.get(ONE, "v2").count, list(tx.attempts.quarantined())) == (0, [tried])
    tx.attempts.clear(ONE, "v1")
    assert list(tx.attempts.quarantined()) == []


def test_a_write_that_raises_leaves_nothing(store: Store) -> None:
    with contextlib.suppress(ZeroDivisionError), store.write() as tx:
        put(tx, b"a")
        raise ZeroDivisionError
    with store.read() as tx:
        assert list(tx.files) == []


def test_samples_are_spread_over_a_volume_and_never_none_while_there_is_a_file(store: Store) -> None:
    with store.write() as tx:
        for number in range(400):
            path = b"%d/%d.png" % (number // 20, number)
            since = float(number < 200)
            tx.files.put(File(f"{number:016x}", VOLUME, path, Stat(1, 1, 1, number), missing_since=since))
    with store.read() as tx:
        found = tx.files.sample(VOLUME, 16)
        assert len({file.id for file in found}) == 16
        assert not any(file.missing for file in found)
        assert len({file.relpath.partition(b"/")[0] for file in found}) >= 7
        assert tx.files.sample(VolumeId("0000000f"), 16) == []
    with store.write() as tx:
        for file in list(tx.files):
            if file.id != f"{399:016x}":
                file.missing_since = 1.0
                tx.files.put(file)
    with store.read() as tx:
        assert [file.id for file in tx.files.sample(VOLUME, 16)] == [f"{399:016x}"]


def test_what_failed_is_found_among_all_that_waits(tx: Transaction) -> None:
    for number in range(5):
        put(tx, b"%d.png" % number)
    keys = [tx.files.key(VOLUME, b"%d.png" % number) or b"" for number in range(5)]
    for number, key in enumerate(keys):
        tx.work.put(WorkItem(key, tries=number, reason="EIO" if number % 2 else None, seen=Stat(1, 2, 3, 4)))
    assert [item.key for item in tx.work.failing()] == [keys[1], keys[3]]
    tx.work.put(WorkItem(keys[1], seen=Stat(5, 6, 7, 8)))  # it changed: nothing is known against it
    assert [(item.key, item.seen) for item in tx.work.failing()] == [(keys[3], Stat(1, 2, 3, 4))]
    tx.work.done(keys[3])
    assert list(tx.work.failing()) == []
