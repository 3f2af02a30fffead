"""Watching volumes: events become hints that a directory be scanned. A hint decides nothing; only a scan does."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from mediad.watcher.pending import Pending
from mediad.watcher.polling import Poll
from mediad.watcher.ports import Rules, Source

log = structlog.get_logger()

HintCallback = Callable[[str, bytes, bool], None]
"""Called with the volume, a directory relative to its root (b"": the root), and whether all below it is meant."""

POLL_CHOICES = ("auto", "always", "never")
_WHOLE = frozenset({b""})


@dataclass(slots=True)
class _Volume:
    source: Source | None
    poll: Poll
    reason: str
    watched: int = 1


class Watcher:
    """Watches volumes where events tell of changes, and polls them where they do not.

    `hint` is called from a thread of ours, and should only queue what it is told; hints of one directory are coalesced
    (`debounce` seconds after its last event, a second after its first at most). `closed(volume, relpath)` is called
    when a file that was written to was closed or moved into place, `overflow(volume)` when the kernel lost events of a
    volume (a recursive hint of its root follows by itself). Intervals are seconds on the monotonic clock.
    """

    def __init__(
        self,
        hint: HintCallback,
        *,
        closed: Callable[[str, bytes], None] | None = None,
        overflow: Callable[[str], None] | None = None,
        debounce: float = 0.1,
        poll_min: float = 30.0,
        poll_max: float = 900.0,
        check_seconds: float = 2.0,
    ) -> None:
        self._hint = hint
        self._on_closed = closed
        self._on_overflow = overflow
        self._poll_min, self._poll_max = poll_min, max(poll_min, poll_max)
        self._check_seconds = check_seconds
        self._pending = Pending(quiet=debounce)
        self._volumes: dict[str, _Volume] = {}
        self._advised: set[str] = set()
        self._overflows = 0
        self._stopping = False
        self._sleeps_until = 0.0
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="watch-hints", daemon=True)
        self._thread.start()

    @property
    def overflows(self) -> int:
        """How often the kernel lost events, of all volumes, since this watcher was made."""
        return self._overflows

    @property
    def expecting(self) -> bool:
        """Whether hints are on their way, of any volume."""
        with self._wake:
            sources = [volume.source for volume in self._volumes.values() if volume.source is not None]
            return bool(self._pending) or any(source.busy for source in sources)

    def add(self, volume_id: str, root: str | bytes, rules: Rules, *, poll: str = "auto", remote: bool = False) -> None:
        """Watch a volume; one that is watched already is watched anew.

        Returns at once. Watches are put in place in the background, then a recursive hint of the root goes out, so that
        nothing is lost between a scan made now and the watch. The root need not be there. `remote` says that events
        do not tell everything there (see `mediad.volume.is_remote`): then poll "auto" polls it and never touches it
        from here, "never" listens to what events there are.

        Raises:
            ValueError: `poll` is none of "auto", "always", "never".
        """
        if poll not in POLL_CHOICES:
            raise ValueError(f"poll is {poll!r}; it must be one of {', '.join(POLL_CHOICES)}")
        self.remove(volume_id)
        polled = poll == "always" or (poll == "auto" and remote)
        targets = _WHOLE if polled else frozenset()
        volume = _Volume(None, Poll(self._poll_min, self._poll_max, time.monotonic() + self._poll_min, targets), "")
        if polled:
            volume.reason = "as configured" if poll == "always" else "changes made by other machines raise no events"
        else:
            volume.source = self._make_source(os.fsencode(root), rules, _VolumeSink(self, volume_id, volume))
        with self._wake:
            self._volumes[volume_id] = volume
            self._wake.notify()
        if volume.source is not None:
            volume.source.start()

    def pace(self, poll_min: float, poll_max: float) -> None:
        """Poll at other intervals from now on (seconds)."""
        with self._wake:
            self._poll_min, self._poll_max = poll_min, max(poll_min, poll_max)
            for volume in self._volumes.values():
                volume.poll.pace(self._poll_min, self._poll_max, time.monotonic())
            self._wake.notify()

    def _make_source(self, root: bytes, rules: Rules, sink: _VolumeSink) -> Source:
        if sys.platform == "linux":
            from mediad.watcher.inotify import InotifySource as Native  # imports only where there is inotify
        else:
            from mediad.watcher.recursive import RecursiveSource as Native
        return Native(root, rules, sink, check_seconds=self._check_seconds)

    def remove(self, volume_id: str) -> None:
        """Watch a volume no more; no hint of it comes after this returns, but for one under way."""
        with self._wake:
            volume = self._volumes.pop(volume_id, None)
        if volume is not None and volume.source is not None:
            volume.source.stop()
        with self._wake:
            self._pending.forget(volume_id)

    def mode(self, volume_id: str) -> str:
        """How a volume is watched: "live", "polled", or "mixed" (live but for some directories). KeyError: unknown."""
        volume = self._volumes[volume_id]
        if not volume.poll.targets:
            return "live"
        return "mixed" if volume.source is not None and volume.watched else "polled"

    def reason(self, volume_id: str) -> str:
        """Why a volume is not watched live, and what to do about it; "" if it is. KeyError: unknown."""
        return self._volumes[volume_id].reason

    def report_cost(self, volume_id: str, seconds: float, changed: bool) -> None:
        """A recursive scan took `seconds`, and did or did not find a change: this sets when the next poll is."""
        with self._wake:
            volume = self._volumes.get(volume_id)
            if volume is not None:
                volume.poll.report(seconds, changed=changed, now=time.monotonic())
                self._wake.notify()

    def stop(self) -> None:
        """End all watching."""
        for volume_id in list(self._volumes):
            self.remove(volume_id)
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()

    # Hints on their way out.

    def _run(self) -> None:
        while True:
            with self._wake:
                if self._stopping:
                    return
                self._sleeps_until = self._next_due()
                self._wake.wait(max(0.0, min(self._sleeps_until - time.monotonic(), threading.TIMEOUT_MAX)))
                now = time.monotonic()
                self._poll(now)
                hints = self._pending.take(now)
            for hint in hints:
                try:
                    self._hint(*hint)
                except Exception:
                    log.exception("hint failed", volume=hint[0])

    def _next_due(self) -> float:
        polls = [volume.poll.due for volume in self._volumes.values() if volume.poll.targets]
        return min([*polls, self._pending.next_due()])

    def _poll(self, now: float) -> None:
        for volume_id, volume in self._volumes.items():
            if volume.poll.targets and volume.poll.take(now):
                for reldir in volume.poll.targets:
                    self._pending.add(volume_id, reldir, now, recursive=True, quick=True)

    # What the sources tell, from their threads.

    def changed(self, volume_id: str, volume: _Volume, reldir: bytes, *, recursive: bool, quick: bool) -> None:
        """Something happened; see `ports.Sink`."""
        with self._wake:
            if self._volumes.get(volume_id) is volume:
                due = self._pending.add(volume_id, reldir, time.monotonic(), recursive=recursive, quick=quick)
                if due < self._sleeps_until:
                    self._wake.notify()

    def closed(self, volume_id: str, relpath: bytes) -> None:
        """A file was closed after writing; see `ports.Sink`."""
        if self._on_closed is not None:
            self._on_closed(volume_id, relpath)

    def overflowed(self, volume_id: str) -> None:
        """Events were lost; see `ports.Sink`."""
        self._overflows += 1
        log.warning("events were lost; the volume is scanned", volume=volume_id)
        if self._on_overflow is not None:
            self._on_overflow(volume_id)

    def uncovered(self, volume: _Volume, reldirs: frozenset[bytes], watched: int, advice: str) -> None:
        """Some directories are without events; see `ports.Sink`."""
        with self._wake:
            volume.poll.targets, volume.watched, volume.reason = reldirs, watched, advice
            news = bool(advice) and advice not in self._advised
            self._advised.add(advice)
            self._wake.notify()
        if news:
            log.warning("some directories are polled", reason=advice, directories=len(reldirs), watched=watched)


class _VolumeSink:
    """A source's way to the watcher; knows which volume it speaks of."""

    def __init__(self, watcher: Watcher, volume_id: str, volume: _Volume) -> None:
        self._watcher = watcher
        self._volume_id = volume_id
        self._volume = volume

    def changed(self, reldir: bytes, *, recursive: bool, quick: bool = True) -> None:
        self._watcher.changed(self._volume_id, self._volume, reldir, recursive=recursive, quick=quick)

    def closed(self, relpath: bytes) -> None:
        self._watcher.closed(self._volume_id, relpath)

    def overflowed(self) -> None:
        self._watcher.overflowed(self._volume_id)

    def uncovered(self, reldirs: frozenset[bytes], *, watched: int, advice: str) -> None:
        self._watcher.uncovered(self._volume, reldirs, watched, advice)
