"""The engine's events in the loop: one thread waits for them, all streams hear of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mediad.events import Event, Subscription


class Listener:
    """What one stream has not told yet. Of each type of event only the latest counts: a slow reader skips some."""

    def __init__(self) -> None:
        self._latest: dict[str, dict[str, Any]] = {}
        self._called = asyncio.Event()
        self.closed = False

    async def next(self, timeout: float) -> dict[str, dict[str, Any]]:
        """Data by type, empty when nothing happened for `timeout` seconds or the server stops (`closed`)."""
        try:
            async with asyncio.timeout(timeout):
                await self._called.wait()
        except TimeoutError:
            return {}
        self._called.clear()
        latest, self._latest = self._latest, {}
        return latest

    def tell(self, event: Event) -> None:
        self._latest[event.type] = event.data
        self._called.set()

    def close(self) -> None:
        self.closed = True
        self._called.set()


class Hub:
    """Spreads the events of one subscription. All but the thread's own loop is to be called in the event loop."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription
        self._loop = asyncio.get_running_loop()
        self._listeners: set[Listener] = set()
        self._closed = False
        self._thread = threading.Thread(target=self._listen, name="http-events")
        self._thread.start()

    def _listen(self) -> None:
        while (event := self._subscription.get()) is not None:
            self._loop.call_soon_threadsafe(self._spread, event)

    def _spread(self, event: Event) -> None:
        for listener in self._listeners:
            listener.tell(event)

    @contextmanager
    def listen(self) -> Iterator[Listener]:
        """Hear what happens from now on."""
        listener = Listener()
        if self._closed:
            listener.close()
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def close(self) -> None:
        """End all streams; nothing is heard any more."""
        self._closed = True
        self._subscription.close()
        self._thread.join()
        for listener in self._listeners:
            listener.close()
