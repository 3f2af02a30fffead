"""Threads for what blocks: the loop answers everyone, so nothing in it may wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_LAST_WORD = 1.0


class Pool:
    """At most `size` calls at a time, further ones wait. Whoever goes away while a call runs does not wait for it."""

    def __init__(self, name: str, size: int) -> None:
        self._threads = ThreadPoolExecutor(size, f"http-{name}")
        self._running: set[Future[Any]] = set()

    async def run(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What `function` returns or raises."""
        future = self._threads.submit(function, *args, **kwargs)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return await asyncio.wrap_future(future)

    def close(self, patience: float) -> None:
        """Begin nothing any more; give what runs so many seconds to end."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        wait(list(self._running), patience)


class Pools:
    """Three kinds of calls, so that slow ones of one kind do not hold up another."""

    def __init__(self) -> None:
        self.reads = Pool("reads", 4)
        """Milliseconds: from the store, and of small files of our own."""
        self.work = Pool("work", 3)
        """Computing: searches, sections of the catalog."""
        self.waits = Pool("waits", 32)
        """Waiting for others: the disk that a volume is on, the engine until it is in step."""

    def close(self) -> None:
        self.reads.close(_LAST_WORD)  # these use the store, which is closed next
        self.work.close(_LAST_WORD)
        self.waits.close(0.0)  # these end when the engine does
