"""Embeddings, by encoder and content. An encoder's vectors are its own space; another encoder's stand beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import islice

import numpy as np
import numpy.typing as npt
import orjson
from blake3 import blake3

from mediad.model import ContentId, EncoderInfo, InputSpec
from mediad.store.raw import Raw

Vector = npt.NDArray[np.float32]


class Vectors:
    """Vectors are kept as float16 (half the bytes, and more than half of the pages) and given as float32."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw

    def add_space(self, info: EncoderInfo) -> None:
        self._raw.put("spaces", _space(info.id), orjson.dumps(asdict(info)))

    def spaces(self) -> list[EncoderInfo]:
        found = [orjson.loads(value) for _, value in self._raw.items("spaces")]
        return [EncoderInfo(**{**data, "input": InputSpec(**data["input"])}) for data in found]

    def put(self, encoder_id: str, content_id: ContentId, vectors: Vector) -> None:
        """Keep an asset's vectors, shape (1 + frames, d): its own first, then one for each keyframe (videos)."""
        head = _space(encoder_id) + content_id
        for key in list(self._raw.keys("vectors", head)):
            self._raw.delete("vectors", key)
        for frame, vector in enumerate(vectors.astype(np.float16)):
            self._raw.put("vectors", head + frame.to_bytes(2, "big"), vector.tobytes())
        self._raw.put("fresh", content_id, b"")

    def take_fresh(self, limit: int) -> list[ContentId]:
        """Assets embedded since they were last taken, at most `limit`; they are struck off (call in a write)."""
        taken = list(islice(self._raw.keys("fresh"), limit))
        for key in taken:
            self._raw.delete("fresh", key)
        return [ContentId(key) for key in taken]

    def get(self, encoder_id: str, content_id: ContentId, frame: int = 0) -> Vector | None:
        """One vector, shape (d,), float32."""
        value = self._raw.get("vectors", _space(encoder_id) + content_id + frame.to_bytes(2, "big"))
        return None if value is None else np.frombuffer(value, np.float16).astype(np.float32)

    def by_prefix(self, encoder_id: str, prefix: bytes) -> Vector | None:
        """The own vector (d,) of the asset whose content id starts so."""
        for _, value in self._raw.items("vectors", _space(encoder_id) + prefix):
            return np.frombuffer(value, np.float16).astype(np.float32)
        return None

    def frames(self, encoder_id: str, content_id: ContentId) -> Vector:
        """Vectors of an asset's keyframes, shape (frames, d); (0, 0) where there are none."""
        found = [
            value for key, value in self._raw.items("vectors", _space(encoder_id) + content_id) if key[20:] != b"\0\0"
        ]
        if not found:
            return np.empty((0, 0), np.float32)
        return np.stack([np.frombuffer(value, np.float16).astype(np.float32) for value in found])

    def has(self, encoder_id: str, content_id: ContentId) -> bool:
        return self._raw.get("vectors", _space(encoder_id) + content_id + b"\0\0") is not None

    def ids(self, encoder_id: str) -> Iterator[ContentId]:
        """Content ids that have a vector in this space, in order."""
        space = _space(encoder_id)
        return (ContentId(key[4:20]) for key in self._raw.keys("vectors", space) if key[20:] == b"\0\0")

    def batches(self, encoder_id: str, size: int = 4096) -> Iterator[tuple[list[ContentId], Vector]]:
        """All assets' own vectors in order of content id, in batches: ids, float32 of shape (n, d)."""
        ids: list[ContentId] = []
        values: list[bytes] = []
        for key, value in self._raw.items("vectors", _space(encoder_id)):
            if key[20:] != b"\0\0":
                continue
            ids.append(ContentId(key[4:20]))
            values.append(value)
            if len(ids) == size:
                yield ids, _stack(values)
                ids, values = [], []
        if ids:
            yield ids, _stack(values)

    def drop_space(self, encoder_id: str) -> int:
        """Delete a space with all its vectors; how many there were."""
        keys = list(self._raw.keys("vectors", _space(encoder_id)))
        for key in keys:
            self._raw.delete("vectors", key)
        self._raw.delete("spaces", _space(encoder_id))
        return len(keys)


def _stack(values: list[bytes]) -> Vector:
    return np.frombuffer(b"".join(values), np.float16).reshape(len(values), -1).astype(np.float32)


def _space(encoder_id: str) -> bytes:
    return blake3(encoder_id.encode()).digest(length=4)
