"""Clusters and sequences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace

import numpy as np
import orjson

from mediad.model import Cluster, ContentId, Sequence, VolumeId
from mediad.store.files import HEAD
from mediad.store.raw import Raw


class Clusters:
    """Clusters by id, and the names that people gave them (kept when a cluster dies: it may come back)."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw

    def put(self, cluster: Cluster) -> None:
        key = cluster.id.encode()
        data = asdict(replace(cluster, members=(), centroid=()))
        data["medoid"] = cluster.medoid.hex()
        for name in ("members", "centroid", "user_name", "id"):
            del data[name]
        self._raw.put("clusters", key, orjson.dumps(data))
        self._raw.put("members", key, b"".join(cluster.members))
        self._raw.put("centroids", key, np.asarray(cluster.centroid, np.float32).tobytes())

    def get(self, cluster_id: str) -> Cluster | None:
        value = self._raw.get("clusters", cluster_id.encode())
        return None if value is None else self._load(cluster_id.encode(), value)

    def delete(self, cluster_id: str) -> None:
        for table in ("clusters", "members", "centroids"):
            self._raw.delete(table, cluster_id.encode())

    def rename(self, cluster_id: str, name: str | None) -> None:
        """Keep the name that a person gave; None takes it back."""
        if name is None:
            self._raw.delete("names", cluster_id.encode())
        else:
            self._raw.put("names", cluster_id.encode(), name.encode())

    def replace_all(self, clusters: Iterable[Cluster]) -> None:
        for table in ("clusters", "members", "centroids"):
            self._raw.drop(table)
        for cluster in clusters:
            self.put(cluster)

    def add_member(self, cluster_id: str, content_id: ContentId) -> None:
        members = self._raw.get("members", cluster_id.encode())
        if members is not None:
            self._raw.put("members", cluster_id.encode(), members + content_id)

    def __iter__(self) -> Iterator[Cluster]:
        return (self._load(key, value) for key, value in self._raw.items("clusters"))

    def _load(self, key: bytes, value: bytes) -> Cluster:
        data = orjson.loads(value)
        data["medoid"] = ContentId(bytes.fromhex(data["medoid"]))
        data["tags"] = tuple(data["tags"])
        members = self._raw.get("members", key) or b""
        name = self._raw.get("names", key)
        centroid = np.frombuffer(self._raw.get("centroids", key) or b"", np.float32)
        return Cluster(
            id=key.decode(),
            members=tuple(ContentId(members[at : at + 16]) for at in range(0, len(members), 16)),
            centroid=tuple(centroid.tolist()),
            user_name=name.decode() if name is not None else None,
            **data,
        )


class Sequences:
    """Sequences, by the directory that they stand in."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw

    def replace(self, directory_key: bytes, sequences: Iterable[Sequence]) -> bool:
        """Set the sequences of one directory; whether that changed anything."""
        rows = [_dump(sequence) for sequence in sequences]
        value = orjson.dumps(rows)
        before = self._raw.get("sequences", directory_key)
        if value == (before or b"[]"):
            return False
        if rows:
            self._raw.put("sequences", directory_key, value)
        else:
            self._raw.delete("sequences", directory_key)
        return True

    def in_directory(self, directory_key: bytes) -> list[Sequence]:
        value = self._raw.get("sequences", directory_key)
        return self._rows(directory_key, value) if value is not None else []

    def __iter__(self) -> Iterator[Sequence]:
        for key, value in self._raw.items("sequences"):
            yield from self._rows(key, value)

    def _rows(self, key: bytes, value: bytes) -> list[Sequence]:
        directory = self._raw.get("directories", key[:HEAD]) or b""
        return [_load_sequence(row, VolumeId(key[:4].hex()), directory) for row in orjson.loads(value)]


def _dump(sequence: Sequence) -> dict[str, object]:
    data = asdict(sequence)
    del data["directory"], data["volume"]
    data["representative"] = sequence.representative.hex() if sequence.representative else None
    return data


def _load_sequence(row: dict[str, object], volume: VolumeId, directory: bytes) -> Sequence:
    data = dict(row)
    content = data["representative"]
    data["representative"] = ContentId(bytes.fromhex(str(content))) if content else None
    for name in ("files", "missing"):
        data[name] = tuple(data[name])  # type: ignore[arg-type]  # lists, as _dump wrote them
    return Sequence(volume=volume, directory=directory, **data)  # type: ignore[arg-type]
