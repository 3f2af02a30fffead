"""Forgetting: what has been missing for long goes, what came back at the last moment stays."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediad.model import Asset, ContentId, File, Kind, Stat, Volume, VolumeId
from mediad.store import Store, Transaction
from mediad.workers.upkeep import expire, forget_directories

VOLUME = VolumeId("00000001")
DAY = 86400.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path) as one:
        with one.write() as tx:
            tx.volumes.put(Volume(VOLUME, "volume", "/volume"))
        yield one


def put(tx: Transaction, number: int, missing_since: float = 0.0) -> File:
    content = ContentId(b"%016d" % number)
    tx.assets.put(Asset(content, Kind.IMAGE, 8, 8, "PNG", "1"))
    file = File(f"{number:016x}", VOLUME, b"a/b%d/%d.png" % (number, number), Stat(1, 1, 1, number), content)
    file.missing_since = missing_since
    tx.files.put(file)
    return file


def test_what_was_missing_for_the_retention_goes_and_its_folders_with_it(store: Store) -> None:
    now = time.time()
    with store.write() as tx:
        for number, since in enumerate((0.0, now - DAY, now - 40 * DAY, now - 31 * DAY)):
            put(tx, number, since)
    forgotten: list[ContentId] = []
    assert expire(store, 30 * DAY, forgotten.extend)[0] == 2
    expire(store, 30 * DAY, forgotten.extend)
    assert forgotten == [b"%016d" % 2, b"%016d" % 3]
    assert forget_directories(store) == 2
    with store.read() as tx:
        assert sorted(tx.files.directories(VOLUME)) == [b"", b"a", b"a/b0", b"a/b1"]
        assert sorted(tx.files.subdirectories(VOLUME, b"a")) == [b"b0", b"b1"]
        assert tx.assets.count() == 2
    assert forget_directories(store) == 0


def test_an_asset_whose_file_is_back_stays_in_the_index_too(store: Store) -> None:
    with store.write() as tx:
        file = put(tx, 1)
        assert file.content_id is not None
        tx.files.delete(file, time.time() - 40 * DAY)
        put(tx, 2)
        tx.raw.put("orphans", ContentId(b"%016d" % 2), bytes(8))  # as if it had come back since the list was made
    forgotten: list[ContentId] = []
    expire(store, 30 * DAY, forgotten.extend)
    assert forgotten == [file.content_id]
    with store.read() as tx:
        assert ContentId(b"%016d" % 2) in tx.assets
