"""A store with a catalog beside it, filled by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

import orjson
import pytest
from jsonschema import Draft202012Validator

from mediad.catalog.document import Encoder
from mediad.catalog.metadata import Facts
from mediad.catalog.publish import Publication, Publisher
from mediad.catalog.schema import schema
from mediad.model import (
    Asset,
    ChangeType,
    Cluster,
    ContentId,
    File,
    Frame,
    Kind,
    Sequence,
    Stat,
    Volume,
    VolumeId,
    VolumeState,
    content_id_of,
)
from mediad.store import Store

Document = dict[str, Any]
FACTS = Facts(encoder=Encoder(id="clip:12ab", dimensions=512, text=True), pending=3)
VALIDATOR = Draft202012Validator(schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)


def checked(document: Document) -> Document:
    """The document, after the checks that hold for every catalog."""
    VALIDATOR.validate(document)
    metadata = document["metadata"]
    grouped = [file for group in document["sequences"] + document["clusters"] for file in group["files"]]
    images = [file["id"] for file in grouped + document["unclustered"] if file["kind"] == "image"]
    assert len(images) == len(set(images)) == metadata["total_images"]
    videos = {video["id"]: video["metadata"] for video in document["videos"]}
    assert len(videos) == len(document["videos"]) == metadata["total_videos"]
    for file in grouped:
        assert file["kind"] == "image" or videos[file["id"]] == file
    assert all(group["count"] == len(group["files"]) for group in document["sequences"] + document["clusters"])
    assert all(sum(group["distribution"].values()) == group["count"] for group in document["clusters"])
    assert metadata["unclustered_count"] == len(document["unclustered"])
    sequences = {sequence["id"] for sequence in document["sequences"]}
    inside = [one for cluster in document["clusters"] for one in cluster["sequences"]]
    assert len(inside) == len(set(inside))
    assert set(inside) <= sequences
    assert sum(volume["assets"] for volume in metadata["volumes"]) == len(images) + len(videos)
    return document


class Shelf:
    """One store, one catalog directory, one volume (and more where asked for)."""

    def __init__(self, directory: Path, **options: Any) -> None:
        self.store = Store(directory / "store")
        self.catalog = directory / "catalog"
        self.volume = Volume(VolumeId("0a0b0c0d"), "photos", "/srv/photos", VolumeState.ONLINE, last_scan=1.7e9)
        self.volumes = [self.volume]
        self.publisher = Publisher(self.store, self.catalog, **{"clock": lambda: 0.0, **options})

    def put(self, path: bytes, content: bytes | None = None, **fields: Any) -> File:
        """A file of this content (its path, where nothing is said) with an asset, and a line in the journal."""
        asset = image(content if content is not None else path, **fields)
        volume = self.volume.id
        with self.store.write() as tx:
            before = tx.files.get(volume, path)
            file_id = before.id if before else tx.files.new_id(volume, path)
            file = File(file_id, volume, path, Stat(10, 1_600_000_000 * 10**9, 1_500_000_000 * 10**9, crc32(path)))
            file.content_id = asset.content_id
            tx.assets.put(asset)
            tx.files.put(file)
            tx.journal.append(ChangeType.CHANGED if before else ChangeType.ADDED, file_id)
        return file

    def change(self, file: File, **fields: Any) -> None:
        with self.store.write() as tx:
            tx.files.put(replace(file, **fields))
            tx.journal.append(ChangeType.CHANGED, file.id)

    def cluster(self, cluster_id: str, *contents: bytes, **fields: Any) -> None:
        members = tuple(content_id_of(content) for content in contents)
        cluster = Cluster(cluster_id, fields.pop("kind", "visual"), f"name of {cluster_id}", members[0], members)
        with self.store.write() as tx:
            tx.clusters.put(replace(cluster, **fields))

    def sequence(self, sequence_id: str, files: list[File], **fields: Any) -> None:
        directory = files[0].relpath.rpartition(b"/")[0]
        sequence = Sequence(
            sequence_id, "numbered", sequence_id, self.volume.id, directory, tuple(file.id for file in files)
        )
        with self.store.write() as tx:
            key = tx.files.directory_key(self.volume.id, directory)
            assert key is not None
            tx.sequences.replace(key, [*tx.sequences.in_directory(key), replace(sequence, **fields)])

    def publish(self, facts: Facts = FACTS) -> Publication:
        return self.publisher.publish(self.volumes, facts)

    def raw(self) -> bytes:
        return (self.catalog / "catalog.json").read_bytes()

    def read(self) -> Document:
        """Publish, and read what came out."""
        self.publish()
        return checked(orjson.loads(self.raw()))

    def feed(self) -> list[Document]:
        return [orjson.loads(line) for line in (self.catalog / "changes.ndjson").read_bytes().splitlines()]


def image(content: bytes, **fields: Any) -> Asset:
    asset = Asset(content_id_of(content), Kind.IMAGE, 40, 30, "JPEG", "1", phash="0123456789abcdef")
    asset.preview = f"{asset.content_id.hex()[:2]}/{asset.content_id.hex()}.webp"
    return replace(asset, **fields)


VIDEO: dict[str, Any] = {
    "kind": Kind.VIDEO,
    "phash": None,
    "duration": 12.5,
    "fps": 25.0,
    "codec": "h264",
    "preview_gif": "ab/v.gif",
    "frames": (Frame(1.0, "ab/1.webp"), Frame(2.5)),
}


@pytest.fixture
def new_shelf(tmp_path: Path) -> Iterator[Callable[..., Shelf]]:
    with ExitStack() as stack:
        count = 0

        def make(**options: Any) -> Shelf:
            nonlocal count
            count += 1
            shelf = Shelf(tmp_path / f"shelf{count}", **options)
            stack.callback(shelf.store.close)
            return shelf

        yield make


@pytest.fixture
def shelf(new_shelf: Callable[..., Shelf]) -> Shelf:
    return new_shelf()


@pytest.fixture
def video() -> dict[str, Any]:
    """Fields that make an asset a video."""
    return dict(VIDEO)


@pytest.fixture
def cid() -> Callable[[bytes], ContentId]:
    return content_id_of
