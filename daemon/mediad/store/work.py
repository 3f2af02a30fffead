"""What is still to be read, and how often a content was tried: both durable, so that a killer file cannot loop us."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, astuple, dataclass

import orjson

from mediad.model import ContentId, File, Stat, VolumeId
from mediad.store.files import Files
from mediad.store.raw import Raw


@dataclass(slots=True)
class WorkItem:
    """A file that must be read. `not_before` is wall time; `reason` and `tries` tell of what failed so far.

    `seen` is what the scan saw that queued it. An entry that was taken is done only while `seen` is as it was then:
    another one is of a later change, which is still to be read.
    """

    key: bytes
    not_before: float = 0.0
    tries: int = 0
    reason: str | None = None
    errno: int | None = None
    seen: Stat | None = None


class Work:
    """Files that a scan found new or changed and that are not recorded yet."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw

    def put(self, item: WorkItem) -> None:
        data = {
            "not_before": item.not_before,
            "tries": item.tries,
            "reason": item.reason,
            "errno": item.errno,
            "seen": list(astuple(item.seen)) if item.seen else None,
        }
        self._raw.put("work", item.key, orjson.dumps(data))
        if item.reason is not None:
            self._raw.put("failing", item.key, b"")
        else:
            self._raw.delete("failing", item.key)

    def get(self, key: bytes) -> WorkItem | None:
        value = self._raw.get("work", key)
        return None if value is None else _load(key, value)

    def done(self, key: bytes) -> None:
        self._raw.delete("work", key)
        self._raw.delete("failing", key)

    def again(self, files: Files, file: File) -> None:
        """Queue a known file, as if it had never been tried."""
        key = files.key(file.volume, file.relpath)
        if key is not None:
            self.put(WorkItem(key, seen=file.stat))

    def count(self) -> int:
        return self._raw.count("work")

    def failing(self) -> Iterator[WorkItem]:
        """Items that failed so far, in key order: few, however long the list is."""
        return (item for key in self._raw.keys("failing") if (item := self.get(key)) is not None)

    def of_volume(self, volume: VolumeId) -> Iterator[WorkItem]:
        """Items of one volume, in key order."""
        for found, value in self._raw.items("work", bytes.fromhex(volume)):
            yield _load(found, value)

    def after(self, key: bytes) -> Iterator[WorkItem]:
        """Items whose key is greater, in key order (b"": all)."""
        for found, value in self._raw.items("work", after=key or None):
            yield _load(found, value)


def _load(key: bytes, value: bytes) -> WorkItem:
    data = orjson.loads(value)
    seen = data.pop("seen")
    return WorkItem(key, **data, seen=Stat(*seen) if seen else None)


@dataclass(slots=True)
class Attempt:
    """How decoding of one content by one version of the decoder went so far."""

    content_id: ContentId
    decoder: str
    count: int = 0
    reason: str | None = None
    quarantined: bool = False


class Attempts:
    """Tries of decoding, counted before they are made."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw

    def get(self, content_id: ContentId, decoder: str) -> Attempt:
        value = self._raw.get("attempts", content_id + decoder.encode())
        return Attempt(content_id, decoder, **(orjson.loads(value) if value else {}))

    def put(self, attempt: Attempt) -> None:
        data = asdict(attempt)
        del data["content_id"], data["decoder"]
        self._raw.put("attempts", attempt.content_id + attempt.decoder.encode(), orjson.dumps(data))

    def clear(self, content_id: ContentId, decoder: str) -> None:
        self._raw.delete("attempts", content_id + decoder.encode())

    def quarantined(self) -> Iterator[Attempt]:
        for key, value in self._raw.items("attempts"):
            attempt = Attempt(ContentId(key[:16]), key[16:].decode(), **orjson.loads(value))
            if attempt.quarantined:
                yield attempt
