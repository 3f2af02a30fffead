"""Assets, by content."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import asdict

import orjson

from mediad.model import Asset, ContentId, Frame, Kind
from mediad.store.raw import Raw


class Assets:
    """Every image and video that was decoded and not forgotten."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw

    def get(self, content_id: ContentId) -> Asset | None:
        value = self._raw.get("assets", content_id)
        return None if value is None else _load(content_id, value)

    def __contains__(self, content_id: ContentId) -> bool:
        return self._raw.get("assets", content_id) is not None

    def by_prefix(self, prefix: bytes) -> ContentId | None:
        """The content id that starts with these bytes (the vector index knows only the first eight)."""
        return next((ContentId(key) for key in self._raw.keys("assets", prefix)), None)

    def put(self, asset: Asset) -> None:
        data = asdict(asset)
        del data["content_id"]
        kept = {name: value for name, value in data.items() if value not in (None, (), {})}
        self._raw.put("assets", asset.content_id, orjson.dumps(kept))
        aliases = list(self._raw.keys("aliases", asset.content_id))
        for alias in aliases:
            self._raw.put("dirty", alias[16:], b"")
        if not aliases:
            self._raw.put("orphans", asset.content_id, struct.pack(">d", 0.0))

    def delete(self, content_id: ContentId) -> None:
        """Forget an asset with everything that was computed of it."""
        self._raw.delete("assets", content_id)
        self._raw.delete("orphans", content_id)
        self._raw.delete("fresh", content_id)
        for space in list(self._raw.keys("spaces")):
            for key in list(self._raw.keys("vectors", space + content_id)):
                self._raw.delete("vectors", key)
        for key in list(self._raw.keys("attempts", content_id)):
            self._raw.delete("attempts", key)

    def starting(self, prefix: bytes) -> Iterator[Asset]:
        """Assets whose content id starts so, in order."""
        return (_load(ContentId(key), value) for key, value in self._raw.items("assets", prefix))

    def ids(self) -> Iterator[ContentId]:
        """All content ids, in order."""
        return (ContentId(key) for key in self._raw.keys("assets"))

    def orphans(self, before: float) -> list[ContentId]:
        """Assets that no file has had since before this time."""
        return [ContentId(key) for key, since in self._raw.items("orphans") if struct.unpack(">d", since)[0] < before]

    def move_orphans(self, moved: Callable[[float], float]) -> None:
        """Set since when assets have no file, to what `moved` makes of it."""
        for key, value in list(self._raw.items("orphans")):
            (since,) = struct.unpack(">d", value)
            if moved(since) != since:
                self._raw.put("orphans", key, struct.pack(">d", moved(since)))

    def count(self) -> int:
        return self._raw.count("assets")

    def __iter__(self) -> Iterator[Asset]:
        return (_load(ContentId(key), value) for key, value in self._raw.items("assets"))


def _load(content_id: ContentId, value: bytes) -> Asset:
    data = orjson.loads(value)
    data["kind"] = Kind(data["kind"])
    data["frames"] = tuple(Frame(**frame) for frame in data.get("frames", ()))
    for name in ("gps", "keywords", "flags"):
        if name in data:
            data[name] = tuple(data[name])
    return Asset(content_id=content_id, **data)
