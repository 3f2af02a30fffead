"""The catalog's bytes, in pieces, from the fragments and the placing: nothing is serialised that did not change."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import orjson

from mediad.catalog.document import SCHEMA_NAME, SCHEMA_VERSION, Metadata
from mediad.catalog.duplicates import keeper_order
from mediad.catalog.fragments import END, HEADER, ITSELF, ROOT
from mediad.catalog.index import Index
from mediad.catalog.placing import PlacedCluster, PlacedSequence, Placing
from mediad.catalog.text import path_text, preview_path
from mediad.model import FileState, Volume, VolumeState, short_id
from mediad.store import Transaction

SECTIONS = ("sequences", "clusters", "unclustered", "videos", "duplicates", "low_quality")


class Writer:
    """Renders one generation out of one read transaction."""

    def __init__(self, tx: Transaction, index: Index, volumes: Sequence[Volume]) -> None:
        self._tx = tx
        self._index = index
        self._roots = {bytes.fromhex(volume.id): path_text(volume.path.rstrip("/")) for volume in volumes}
        self._root_json = {key: orjson.dumps(root)[1:-1] for key, root in self._roots.items()}
        self._ends = {bytes.fromhex(volume.id): _end_of_file(volume.state) for volume in volumes}

    def document(self, placing: Placing) -> Iterator[bytes]:
        """The catalog from behind its metadata to its end."""
        for name in SECTIONS:
            yield f',\n"{name}":'.encode()
            yield from self.section(name, placing)
        yield b"}\n"

    def section(self, name: str, placing: Placing) -> Iterator[bytes]:
        """One of SECTIONS, as a JSON array."""
        sections: dict[str, tuple[Callable[[Any], Iterable[bytes]], Sequence[Any]]] = {
            "sequences": (self._sequence, placing.sequences),
            "clusters": (self._cluster, placing.clusters),
            "unclustered": (self._file, placing.unclustered),
            "videos": (self._video, placing.videos),
            "duplicates": (self._duplicates, placing.duplicates),
            "low_quality": (self._quality, placing.flagged),
        }
        render, entries = sections[name]
        yield b"["
        yield from _separated(render(entry) for entry in entries)
        yield b"]"

    def file(self, key: bytes, fragment: bytes) -> bytes:
        """The JSON of one file, from its key and its fragment."""
        end = HEADER.unpack_from(fragment)[6]
        return fragment[HEADER.size : end].replace(ROOT, self._root_json[key[:4]]) + self._ends[key[:4]]

    def _value(self, at: int) -> bytes:
        value = self._tx.raw.get("fragments", self._index.keys[at])
        assert value is not None  # the index was made from the same transaction
        return value

    def _complete(self, at: int, value: bytes, end: int) -> bytes:
        volume = self._index.keys[at][:4]
        return value[HEADER.size : end].replace(ROOT, self._root_json[volume]) + self._ends[volume]

    def _file(self, at: int) -> tuple[bytes]:
        value = self._value(at)
        return (self._complete(at, value, HEADER.unpack_from(value)[6]),)

    def _files(self, places: list[int]) -> Iterator[bytes]:
        yield b',"files":['
        yield from _separated(self._file(at) for at in places)
        yield b"]"

    def _extra(self, at: int, position: int) -> bytes:
        """The video's or the quality's JSON behind the file's."""
        value = self._value(at)
        end = HEADER.unpack_from(value)[6]
        part = value[end:].split(END)[position].replace(ROOT, self._root_json[self._index.keys[at][:4]])
        return part.replace(ITSELF, self._complete(at, value, end))

    def _video(self, at: int) -> tuple[bytes]:
        return (self._extra(at, 0),)

    def _quality(self, at: int) -> tuple[bytes]:
        return (self._extra(at, 1 if self._index.is_video(at) else 0),)

    def _folder(self, at: int) -> str:
        """The absolute path of the folder that a file is in, as text."""
        head = self._index.keys[at][:12]
        return self._folder_texts[head]

    @cached_property
    def _folder_texts(self) -> dict[bytes, str]:
        return {head: self._absolute(head[:4], path) for head, path in self._index.folders.items()}

    def _absolute(self, volume: bytes, relpath: bytes) -> str:
        root = self._roots[volume]
        return f"{root}/{path_text(relpath)}" if relpath else root or "/"

    def _sequence(self, placed: PlacedSequence) -> Iterator[bytes]:
        sequence = placed.sequence
        head = {"id": sequence.id, "name": sequence.name, "directory": self._folder(placed.files[0])}
        yield _open(head | {"count": len(placed.files)})
        yield from self._files(placed.files)
        optional = {
            "pattern": sequence.pattern,
            "first": sequence.first,
            "last": sequence.last,
            "missing": sequence.missing or None,
            "preview_gif": preview_path(sequence.preview_gif) if sequence.preview_gif else None,
        }
        yield _rest({"kind": sequence.kind} | _present(optional))

    def _cluster(self, placed: PlacedCluster) -> Iterator[bytes]:
        cluster = placed.cluster
        heads = Counter(self._index.keys[at][:12] for at in placed.files)
        counts: Counter[str] = Counter()
        for folder, count in heads.items():
            counts[self._folder_texts[folder]] += count
        distribution = dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
        directory = next(iter(distribution), None) or self._folder(placed.medoid)
        name = cluster.user_name or cluster.name
        yield _open({"id": cluster.id, "name": name, "directory": directory, "count": len(placed.files)})
        yield from self._files(placed.files)
        asset = self._tx.assets.get(cluster.medoid)
        preview = preview_path(asset.preview) if asset is not None and asset.preview else None
        facts: dict[str, Any] = {
            "kind": cluster.kind,
            "medoid": self._index.ids[placed.medoid].hex(),
            "tags": cluster.tags,
        }
        facts |= {"distribution": distribution, "sequences": placed.sequences}
        yield _rest(facts | _present({"preview": preview}))

    def _duplicates(self, places: list[int]) -> Iterator[bytes]:
        """One group of exact copies, its keeper first."""
        copies = []
        for at in places:
            value = self._value(at)
            _, _, _, modified, start, end, _ = HEADER.unpack_from(value)
            path = value[start:end].replace(ROOT, self._root_json[self._index.keys[at][:4]])
            copies.append((keeper_order(orjson.loads(path), modified), at, path))
        copies.sort()
        kept = self._on_disk(copies[0][1])
        relations = ["same_file" if self._on_disk(at) == kept else "identical" for _, at, _ in copies]
        relations[0] = "keeper"
        ids = [self._index.ids[at].hex() for _, at, _ in copies]
        group = {"id": short_id("exact", self._index.contents[places[0]]), "tier": "exact", "keeper": ids[0]}
        yield _open(group) + b',"files":['
        yield from _separated(
            (b'{"id":"%b","filepath":%b,"relation":"%b"}' % (one.encode(), path, relation.encode()),)
            for one, relation, (_, _, path) in zip(ids, relations, copies, strict=True)
        )
        yield b"]}"

    def _on_disk(self, at: int) -> object:
        """The same for two paths of one content: one file with two names, by a hard link or a link that was followed.

        The time of its status is no part of it: another hard link changes that, and only one path may be scanned yet.
        """
        key = self._index.keys[at]
        file = self._tx.files.at(key)
        if file is None:  # forgotten since its fragment was made
            return key
        return key[:4], file.stat.inode, file.stat.mtime_ns


def head(generation: int, metadata: Metadata) -> bytes:
    """The document from its start to the end of its metadata."""
    start = {"$schema": SCHEMA_NAME, "schema_version": SCHEMA_VERSION, "generation": generation}
    return _open(start) + b',\n"metadata":' + orjson.dumps(metadata.model_dump(mode="json"))


def common_root(roots: Sequence[str]) -> str:
    """The root, or the deepest folder above all of them; empty where there is none."""
    return path_text(os.path.commonpath(roots)) if roots else ""


def _end_of_file(state: VolumeState) -> bytes:
    shown = FileState.PRESENT if state is VolumeState.ONLINE else FileState.OFFLINE
    return f'"{shown}"}}'.encode()


def _open(fields: Mapping[str, Any]) -> bytes:
    """An object that goes on."""
    return orjson.dumps(dict(fields))[:-1]


def _rest(fields: Mapping[str, Any]) -> bytes:
    """The end of an object that `_open` began."""
    return b"," + orjson.dumps(dict(fields))[1:]


def _present(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _separated(entries: Iterable[Iterable[bytes]]) -> Iterator[bytes]:
    """Each entry on a line of its own, so that a diff of two catalogs shows only what changed."""
    between = b"\n"
    for entry in entries:
        yield between
        yield from entry
        between = b",\n"
