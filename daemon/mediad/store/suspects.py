"""Files that vanished together with so many others that nobody believes it yet: they count as present until then."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from mediad.model import VolumeId
from mediad.store.raw import Raw

_PACKED = struct.Struct(">8sd")


class Suspects:
    """By key in `files`: the id of the file that stood there, and since when (wall time) it is suspected."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw

    def put(self, key: bytes, file_id: str, since: float) -> None:
        self._raw.put("suspects", key, _PACKED.pack(bytes.fromhex(file_id), since))

    def drop(self, key: bytes) -> None:
        self._raw.delete("suspects", key)

    def of_volume(self, volume: VolumeId) -> Iterator[tuple[bytes, str, float]]:
        """(key, file id, since), by directory and name."""
        for key, value in self._raw.items("suspects", bytes.fromhex(volume)):
            file_id, since = _PACKED.unpack(value)
            yield key, file_id.hex(), since
