"""How long to wait between two publications, so that rewriting never takes more than its share of a core."""

from __future__ import annotations


class Interval:
    """Publish at once after a quiet time; while changes keep coming, no more often than the cost allows.

    After a publication that took `cost` seconds the next one waits `cost * (1 - share) / share`, at least `minimum`
    and at most `maximum` seconds: at a share of 0.1 a rewrite of 0.5 s may happen every 5 s. Times are seconds of any
    one monotonic clock.
    """

    def __init__(self, minimum: float, maximum: float, share: float = 0.1) -> None:
        self._minimum = minimum
        self._maximum = max(minimum, maximum)
        self._factor = (1 - share) / share
        self._earliest = float("-inf")

    def next_delay(self, cost: float) -> float:
        """Seconds to keep still after a publication that took `cost` seconds of processor time."""
        return min(max(cost * self._factor, self._minimum), self._maximum)

    def published(self, now: float, cost: float) -> None:
        """Note that a publication ended `now` and what it cost."""
        self._earliest = now + self.next_delay(cost)

    def wait(self, now: float) -> float:
        """Seconds until a change that is known `now` may be published; 0 for one that comes after a quiet time."""
        return max(0.0, self._earliest - now)
