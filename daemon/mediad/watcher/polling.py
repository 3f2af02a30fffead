"""How often to look where no events come from."""

from __future__ import annotations

from dataclasses import dataclass, field

_DUTY = 20.0
"""A poll may take a twentieth of the time, as long as that keeps within the longest interval."""
_RELAX = 1.5
"""Each poll that finds nothing makes the next this much later."""


@dataclass(slots=True)
class Poll:
    """When the directories `targets` of one volume are due; all times in seconds of the monotonic clock."""

    minimum: float
    maximum: float
    due: float
    targets: frozenset[bytes]
    interval: float = field(init=False)

    def __post_init__(self) -> None:
        self.interval = self.minimum

    def pace(self, minimum: float, maximum: float, now: float) -> None:
        """Other limits from now on."""
        self.minimum, self.maximum = minimum, maximum
        self.interval = min(max(self.interval, minimum), maximum)
        self.due = min(self.due, now + self.interval)

    def take(self, now: float) -> bool:
        """Whether a poll is due; if so the next waits for `report`, or for the longest interval if none comes."""
        if now < self.due:
            return False
        self.due = now + max(self.maximum, self.interval)
        return True

    def report(self, seconds: float, *, changed: bool, now: float) -> None:
        """A scan of the volume took so long, and did or did not find something: when is the next?"""
        wish = self.minimum if changed else self.interval * _RELAX
        limit = max(self.maximum, seconds)  # beyond the longest interval, never scan more than half of the time
        self.interval = min(max(wish, self.minimum, seconds * _DUTY), limit)
        self.due = now + self.interval
