"""Adding to a store what was read out of a damaged one: only what it lacks, and only what stays true by itself."""

from __future__ import annotations

import struct
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import orjson

from mediad.store.meta import COUNTERS
from mediad.store.salvage import Entry
from mediad.store.transaction import Transaction

_GROUPS = ("clusters", "members", "centroids")


@dataclass
class Saved:
    """What was added, by table, and what is yet to be decided. Counters, generation and seq only go forward."""

    counts: Counter[str] = field(default_factory=Counter)
    generation: int = 0
    seq: int = 0
    spaces: set[bytes] = field(default_factory=set)  # of vectors that are wanted; empty: not known, so all
    groups: dict[str, dict[bytes, bytes]] = field(default_factory=lambda: {name: {} for name in _GROUPS})
    clustering: bytes | None = None

    def finish(self, tx: Transaction) -> None:
        """Take the clusters over where the store has none: ids and names that people gave hang on them."""
        if any(True for _ in tx.raw.keys("clusters")):
            return
        whole = self.groups["clusters"].keys() & self.groups["members"].keys() & self.groups["centroids"].keys()
        for name in _GROUPS:
            for key in whole:
                tx.raw.put(name, key, self.groups[name][key])
        if whole and self.clustering is not None:
            tx.raw.put("meta", b"clustering", self.clustering)
        self.counts["clusters"] = len(whole)


def merge(tx: Transaction, entries: Iterable[Entry], saved: Saved, *, current: bool) -> None:
    """Add entries of `salvage.TREE`; `current`: they stood in a tree, so they are no old versions."""
    for table, key, value in entries:
        if table == "meta":
            _meta(tx, key, value, saved)
        elif table in _GROUPS:
            saved.groups[table][key] = value
        elif table == "names" and current:
            tx.raw.put(table, key, value)
        elif tx.raw.get(table, key) is None and _wanted(tx, table, key, value, saved, current=current):
            tx.raw.put(table, key, value)
            saved.counts[table] += 1
            _follow(tx, table, key)


def _wanted(tx: Transaction, table: str, key: bytes, value: bytes, saved: Saved, *, current: bool) -> bool:
    if table == "spaces":
        if current:
            saved.spaces.add(key)
        return current or not saved.spaces
    if table == "vectors":
        return not saved.spaces or key[:4] in saved.spaces
    if table == "attempts":  # of a try that was under way, or of what could be decoded after all, nothing is to be told
        return bool(orjson.loads(value)["quarantined"]) and tx.raw.get("assets", key[:16]) is None
    return True


def _follow(tx: Transaction, table: str, key: bytes) -> None:
    """What the tables' own writing does beside."""
    if table == "assets":
        aliases = list(tx.raw.keys("aliases", key))
        for alias in aliases:
            tx.raw.put("dirty", alias[16:], b"")
        if not aliases:
            tx.raw.put("orphans", key, struct.pack(">d", time.time()))
    elif table == "vectors" and key[20:] == b"\0\0":
        tx.raw.put("fresh", key[4:20], b"")


def _meta(tx: Transaction, key: bytes, value: bytes, saved: Saved) -> None:
    name = key.decode(errors="replace")
    if name == "catalog":
        record = orjson.loads(value)
        saved.generation, saved.seq = int(record["generation"]), int(record["seq"])
    elif name == "clustering":
        saved.clustering = value
    elif name.removeprefix("counter:") in COUNTERS:
        counter = name.removeprefix("counter:")
        saved.counts["counters"] += 1
        tx.meta.count(counter, max(0, int.from_bytes(value, "big") - tx.meta.counter(counter)))
    elif name in ("serving_encoder", "decoder_version") and tx.raw.get("meta", key) is None:
        tx.raw.put("meta", key, value)
