"""Counters, single values, volumes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import orjson

from mediad.model import Volume, VolumeId, VolumeState
from mediad.store.raw import Raw

COUNTERS = ("decodes", "embeddings", "scans", "overflows", "publishes", "reclusters")


class Meta:
    """Single values by name, and counters that only grow."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw

    def get(self, name: str) -> Any:
        value = self._raw.get("meta", name.encode())
        return None if value is None else orjson.loads(value)

    def put(self, name: str, value: Any) -> None:
        self._raw.put("meta", name.encode(), orjson.dumps(value))

    def count(self, counter: str, by: int = 1) -> int:
        """Add to a counter; its new value."""
        value = self.counter(counter) + by
        self._raw.put("meta", f"counter:{counter}".encode(), value.to_bytes(8, "big"))
        return value

    def counter(self, counter: str) -> int:
        return int.from_bytes(self._raw.get("meta", f"counter:{counter}".encode()) or b"", "big")

    def counters(self) -> dict[str, int]:
        """The counters that `status` shows, since the state directory was made."""
        return {name: self.counter(name) for name in COUNTERS}


class Volumes:
    """The volumes that were ever configured and not forgotten."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw

    def get(self, volume: VolumeId) -> Volume | None:
        value = self._raw.get("volumes", bytes.fromhex(volume))
        return None if value is None else _load(value)

    def put(self, volume: Volume) -> None:
        self._raw.put("volumes", bytes.fromhex(volume.id), orjson.dumps(asdict(volume)))

    def delete(self, volume: VolumeId) -> None:
        self._raw.delete("volumes", bytes.fromhex(volume))

    def __iter__(self) -> Iterator[Volume]:
        return (_load(value) for _, value in self._raw.items("volumes"))


def _load(value: bytes) -> Volume:
    data = orjson.loads(value)
    data["state"] = VolumeState(data["state"])
    return Volume(**data)
