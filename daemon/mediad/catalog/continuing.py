"""A store that is older than the catalog (a backup, or one made anew) goes on where that was.

Generations and numbers of changes never go back, so readers that resume by them miss nothing.
"""

from __future__ import annotations

import re
from pathlib import Path

import structlog

from mediad.catalog.changes import Feed
from mediad.catalog.publish import CATALOG_NAME, RECORD
from mediad.store import Store

log = structlog.get_logger()

_GENERATION = re.compile(rb'"generation":\s*(\d{1,15})\b')
_HEAD = 4096


def continue_after(store: Store, directory: Path, *, generation: int = 0, seq: int = 0) -> bool:
    """Set the store's generation and journal behind all that was published; whether they were not.

    `generation` and `seq` are the last ones that are known otherwise. The feed then gets a line of type "recovered":
    what follows it may tell again what was told before.
    """
    generation = max(_published(directory / CATALOG_NAME), generation)
    seq = max(Feed(directory).last(), seq)
    with store.read() as tx:
        record = tx.meta.get(RECORD)
        ahead = generation > (record["generation"] if record else 0) or seq > tx.journal.last_seq()
    if not ahead:
        return False
    with store.write() as tx:
        before = record or {"generation": 0, "totals": None}
        generation = max(generation, before["generation"])
        tx.meta.put(RECORD, {**before, "generation": generation, "seq": 0, "fingerprint": "", "file": None})
        tx.journal.go_on_behind(seq)
    log.warning("the store is older than the catalog; it goes on from there", generation=generation, seq=seq)
    return True


def _published(path: Path) -> int:
    """The generation that a catalog's file tells in its head; 0 where it tells none."""
    try:
        with path.open("rb") as file:
            found = _GENERATION.search(file.read(_HEAD))
    except OSError:
        return 0
    return int(found[1]) if found else 0
