"""Telling whoever listens in this process what happens: live progress in the terminal, server-sent events.

Publishing never waits for a listener. One that is slower than the events loses the oldest and can tell how many; what
must not be lost (the change feed) is read from the store, by sequence number, not from here.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

CAPACITY = 1000
"""Events that wait for one listener, at most, unless it asks for another number."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: `type` says what ("published", "progress", "change"), `data` is plain JSON."""

    type: str
    data: dict[str, Any]


class Subscription:
    """The events since it began, for one listener; ends with its `with` block, `close`, or when all is closed."""

    def __init__(self, capacity: int, leave: Callable[[Subscription], None]) -> None:
        self._waiting: deque[Event] = deque(maxlen=capacity)
        self._changed = threading.Condition()
        self._leave = leave
        self._dropped = 0
        self._closed = False

    def get(self, timeout: float | None = None) -> Event | None:
        """The oldest event that waits; None when none came within `timeout` seconds, or when closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, timeout)
            return self._waiting.popleft() if self._waiting else None

    @property
    def dropped(self) -> int:
        """How many events were lost because the listener was too slow."""
        return self._dropped

    @property
    def closed(self) -> bool:
        """Whether no more events will come; those that wait can still be had."""
        return self._closed

    def close(self) -> None:
        """End the subscription; a `get` under way returns."""
        self._leave(self)
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _put(self, event: Event) -> None:
        with self._changed:
            if self._closed:
                return
            self._dropped += len(self._waiting) == self._waiting.maxlen
            self._waiting.append(event)
            self._changed.notify()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Events:
    """Gives every event to every subscription that is open at that moment, in the order of publishing. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: list[Subscription] = []
        self._closed = False

    def publish(self, event: Event) -> None:
        """Give `event` to all who listen now; returns at once."""
        with self._lock:  # held throughout, so that all subscriptions see one order
            for subscription in self._subscriptions:
                subscription._put(event)

    def subscribe(self, capacity: int = CAPACITY) -> Subscription:
        """Listen from now on, with at most `capacity` (1 or more) events waiting; use it in a `with` block."""
        if capacity < 1:
            raise ValueError(f"capacity must be 1 or more, got {capacity}")
        subscription = Subscription(capacity, self._remove)
        with self._lock:
            closed = self._closed
            if not closed:
                self._subscriptions.append(subscription)
        if closed:
            subscription.close()
        return subscription

    def close(self) -> None:
        """End all subscriptions, and those that come later at once: nobody waits for a daemon that stops."""
        with self._lock:
            self._closed = True
            ending = list(self._subscriptions)
        for subscription in ending:
            subscription.close()

    def _remove(self, subscription: Subscription) -> None:
        with self._lock:
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)
