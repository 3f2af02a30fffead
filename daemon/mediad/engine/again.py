"""Files that deserve another reading: quarantined ones when asked, or after an update of what decodes."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace

import structlog

from mediad.media.decoder import DECODER_BUILD, DECODER_VERSION
from mediad.model import VolumeId
from mediad.store import Store

log = structlog.get_logger()

_VERSION = "decoder_version"


def retry_quarantined(store: Store, *, outdated_only: bool = False) -> int:
    """Forget the attempts of quarantined contents and queue their files; how many files.

    With `outdated_only` just those that another build of the decoder gave up on.
    """
    count = 0
    with store.write() as tx:
        for attempt in list(tx.attempts.quarantined()):
            if outdated_only and attempt.decoder == DECODER_BUILD:
                continue
            tx.attempts.clear(attempt.content_id, attempt.decoder)
            for file in [file for file in tx.files.of(attempt.content_id) if not file.missing]:
                tx.work.again(tx.files, file)
                count += 1
    return count


def retry_refused(store: Store, volumes: Collection[VolumeId]) -> int:
    """Try files on these volumes now that could not be opened or read before, whatever they were put off to; how many.

    What their permissions or their drive refused may be granted by now, and nothing would tell.
    """
    with store.read() as tx:
        refused = [item for item in tx.work.failing() if item.errno is not None and item.not_before > time.time()]
    mine = [item for item in refused if item.key[:4].hex() in volumes]
    if mine:
        with store.write() as tx:
            for item in mine:
                if tx.work.get(item.key) == item:
                    tx.work.put(replace(item, not_before=0.0))
    return len(mine)


def after_update(store: Store) -> None:
    """At start: give files another chance that a decoder before an update could not read, or read otherwise."""
    retried = retry_quarantined(store, outdated_only=True)
    with store.write() as tx:
        before = tx.meta.get(_VERSION)
        if before != DECODER_VERSION:  # a start writes nothing, should the disk be full
            tx.meta.put(_VERSION, DECODER_VERSION)
        outdated = before not in (None, DECODER_VERSION)
        for file in tx.files if outdated else ():
            if not file.missing:
                tx.work.again(tx.files, file)
    if retried or outdated:
        log.info("the decoder is another one now", retried=retried, all_again=outdated)
