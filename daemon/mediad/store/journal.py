"""The change feed, as it was decided: written in the same transaction as what it tells."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import orjson

from mediad.model import Change, ChangeType
from mediad.store.raw import Raw


class Journal:
    """Changes by sequence number, from 1, without gaps but behind a restored backup; the oldest are dropped in time."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw

    def append(self, kind: ChangeType, id: str, **detail: Any) -> int:  # noqa: A002 - the feed's own word
        return self._put(self.last_seq() + 1, kind, id, detail)

    def go_on_behind(self, seq: int) -> int:
        """After an older store was put back: tell of it with a greater number than `seq`, which readers know."""
        return self._put(max(self.last_seq(), seq) + 1, ChangeType.RECOVERED, "store", {})

    def _put(self, seq: int, kind: ChangeType, id: str, detail: dict[str, Any]) -> int:  # noqa: A002 - see `append`
        line = {"time": time.time(), "type": kind, "id": id, "detail": detail}
        self._raw.put("journal", seq.to_bytes(8, "big"), orjson.dumps(line))
        return seq

    def last_seq(self) -> int:
        last = self._raw.last("journal")
        return int.from_bytes(last[0], "big") if last else 0

    def first_seq(self) -> int:
        """The number of the oldest change that is kept; 0 where there is none."""
        return next((int.from_bytes(key, "big") for key in self._raw.keys("journal")), 0)

    def after(self, seq: int) -> Iterator[Change]:
        """Changes with a greater number, in order."""
        for key, value in self._raw.items("journal", after=seq.to_bytes(8, "big")):
            data = orjson.loads(value)
            data["type"] = ChangeType(data["type"])
            yield Change(seq=int.from_bytes(key, "big"), **data)

    def trim(self, keep: int) -> int:
        """Drop all but the newest `keep` changes; how many went. The newest always stays, it holds the count."""
        limit = self.last_seq() - max(keep, 1)
        old = []
        for key in self._raw.keys("journal"):
            if int.from_bytes(key, "big") > limit:
                break
            old.append(key)
        for key in old:
            self._raw.delete("journal", key)
        return len(old)
