"""A volume's own loop: many triggers (hints, sweeps, requests, the clock), one scan that decides.

    hint / sweep / sync -> health -> scan the directories asked for -> health -> enlist, restore, confirm missing

A volume that is not proven healthy before and after a scan loses nothing: what the scan said is dropped.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import structlog

from mediad.config.settings import ScheduleSettings, VolumeSettings
from mediad.ingest.scan import Difference, compare, enlist, files_below
from mediad.media.formats import kind_of
from mediad.model import ChangeType, File, Stat, Volume, VolumeState
from mediad.store import Store
from mediad.store.files import LONGEST_NAME
from mediad.volume.health import Health, check
from mediad.volume.identity import Sample, sample_of
from mediad.volume.rules import Rules
from mediad.volume.walk import Listing, list_directory
from mediad.workers.problems import Problems, with_reason
from mediad.workers.stopwatch import Stopwatch
from mediad.workers.unsettled import Lasting, Unsettled
from mediad.workers.vanished import Vanished

log = structlog.get_logger()

_LOOK_AGAIN = 5.0  # seconds between looks at whether a volume is there
_HELD = 1.0  # between looks at whether there is room again
_SAMPLES = 16
_LISTINGS = 3
_REST = 3.0  # times as long as the last round took, between two rounds that nobody waits for,
_LONGEST_REST = 5.0  # but no longer than a new file may take to be seen
_NEVER = float("inf")
_SPECIAL = "it is a pipe, a socket or a device, and no file"


@dataclass
class Ticket:
    """A request for a scan; `done` is set when a scan that began after the request has ended."""

    directory: bytes
    recursive: bool
    done: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Surroundings:
    """What a volume's loop needs of the rest of the daemon."""

    store: Store
    schedule: ScheduleSettings
    work_added: Callable[[], None]
    changed: Callable[[], None]
    unsettled: Callable[[], set[tuple[int, int]]]
    expecting: Callable[[], bool]  # whether any volume has yet to look where something happened
    scanned: Callable[[str, float, bool], None]
    held: Callable[[], bool]  # whether nothing may be taken in now: hints are kept until then
    stopwatch: Stopwatch


class VolumeWorker:
    """Watches over one volume. `volume` is its record; the loop's thread alone changes it. `rounds` only grows."""

    def __init__(self, volume: Volume, settings: VolumeSettings, around: Surroundings) -> None:
        self.volume = volume
        self.settings = settings
        self.problems = Problems()
        self._around = around
        self._store = around.store
        self._root = os.fsencode(volume.path)
        self._rules = Rules(
            include=settings.include,
            exclude=settings.exclude,
            hidden=settings.hidden,
            follow_symlinks=settings.follow_symlinks,
            recursive=settings.recursive,
        )
        self._condition = threading.Condition()
        self._asked: dict[bytes, bool] = {b"": True}
        self._tickets: list[Ticket] = []
        self._unsettled = Unsettled(around.schedule.settle)
        self._vanished = Vanished(
            self._store,
            volume.id,
            self._root,
            follow=settings.follow_symlinks,
            excluded=self._excluded,
            healthy=self._healthy,
            unsettled=around.unsettled,
            expecting=around.expecting,
        )
        self._samples: list[Sample] = []
        self._sweep = around.schedule.sweep
        self._swept: float | None = None
        self._next_sweep = 0.0
        self._scanning = False
        self._looking = False
        self._stopping = False
        self._rests_until = 0.0
        self.rounds = 0

    # -- outside

    @property
    def name(self) -> str:
        return f"volume-{self.volume.name}"

    @property
    def root(self) -> bytes | None:
        """The root while the volume is online."""
        return self._root if self.volume.state is VolumeState.ONLINE else None

    @property
    def rules(self) -> Rules:
        return self._rules

    def hint(self, directory: bytes, recursive: bool) -> None:
        """Something may have changed there."""
        with self._condition:
            self._asked[directory] = self._asked.get(directory, False) or recursive
            self._condition.notify_all()

    def closed(self, relpath: bytes) -> None:
        """A writer has closed the file: no need to wait until it looks settled."""
        with self._condition:
            self._unsettled.closed(relpath, time.monotonic())

    def request(self, directory: bytes = b"", *, recursive: bool = True) -> Ticket:
        ticket = Ticket(directory, recursive)
        with self._condition:
            if self._stopping:
                ticket.done.set()
            self._tickets.append(ticket)
            self._condition.notify_all()
        return ticket

    def confirm_missing(self) -> int:
        """The user says that what is held as suspect is gone indeed: the next scan confirms it. How many files."""
        count = self._vanished.confirm()
        self.hint(b"", True)
        return count

    @property
    def suspects(self) -> int:
        """How many files vanished with so many others that they are held."""
        return self._vanished.suspects

    def busy(self) -> bool:
        """Whether a scan is asked for or under way, or something that one found is not decided yet."""
        with self._condition:
            if self._stopping:
                return False
            if self.volume.state is not VolumeState.ONLINE:
                return self._scanning
            awaited = self._unsettled.waited_for(time.monotonic())
            return bool(self._scanning or self._asked or self._tickets or awaited or self._vanished.undecided)

    @property
    def expecting(self) -> bool:
        """Whether it has yet to look where it was told to; not while it is away."""
        with self._condition:
            return self.root is not None and bool(self._looking or self._asked or self._tickets)

    def unsettled(self) -> set[tuple[int, int]]:
        """(size, mtime_ns) of files that are not read yet because they may still be being written."""
        with self._condition:
            return {(stat.size, stat.mtime_ns) for stat in self._unsettled.stats()}

    def lasting(self) -> list[Lasting]:
        """Files that do not come to rest."""
        with self._condition:
            return self._unsettled.lasting(time.monotonic())

    def awaited(self) -> int:
        """How many files are not read yet because they may still be being written."""
        with self._condition:
            return self._unsettled.count()

    @property
    def scanning(self) -> bool:
        return self._scanning

    def follow(self, schedule: ScheduleSettings) -> None:
        """Go by other times from now on."""
        with self._condition:
            self._unsettled.wait(schedule.settle)
            self._sweep = schedule.sweep
            if self._swept is not None:
                self._next_sweep = self._swept + schedule.sweep
            self._condition.notify_all()

    def stop(self) -> None:
        with self._condition:
            self._stopping = True
            for ticket in self._tickets:
                ticket.done.set()  # who waits looks whether we are stopping
            self._condition.notify_all()

    # -- the loop

    def run(self) -> None:
        while self._wait():
            tickets, asked = self._take()
            began = time.monotonic()
            try:
                self._work(asked)
            except BaseException:
                with self._condition:  # nothing that was asked for is lost, and who waits goes on waiting
                    self._asked[b""], self._tickets = True, [*tickets, *self._tickets]
                    self._scanning = self._looking = False
                raise
            for ticket in tickets:
                ticket.done.set()
            with self._condition:
                self._scanning = False
                now = time.monotonic()
                self._rests_until = now + (0 if self._vanished.undecided else min(_REST * (now - began), _LONGEST_REST))
        with self._condition:  # who waits for a scan of a volume that was removed has waited long enough
            left, self._tickets = self._tickets, []
        for ticket in left:
            ticket.done.set()

    def _work(self, asked: dict[bytes, bool]) -> None:
        was_away = self.volume.state is not VolumeState.ONLINE
        if self._healthy() and (asked or was_away):
            self._pass({b"": True} if was_away else asked)
        self._looking = False
        if self.volume.state is VolumeState.ONLINE and self._vanished.decide():
            self._around.changed()

    def _wait(self) -> bool:
        """Until there is something to do, or it is time to look whether the volume is there; False to stop."""
        with self._condition:
            now = time.monotonic()
            due = now + _LOOK_AGAIN
            if self.volume.state is VolumeState.ONLINE:  # what is due on a volume that is away waits for its return
                due = min(due, self._next_sweep, self._unsettled.next_due(), self.problems.next_due())
                due = min(due, self._vanished.next_look(), self._vanished.next_scan())
            asked = self._asked and self.volume.state is VolumeState.ONLINE
            if not (asked or self._tickets or self._stopping):
                self._condition.wait(max(0.0, due - now))
            while not (self._tickets or self._stopping) and (pause := self._rests_until - time.monotonic()) > 0:
                self._condition.wait(pause)  # files stream into a large directory: each look is at all of it
            while self._around.held() and not self._stopping:
                self._condition.wait(_HELD)
            return not self._stopping

    def _take(self) -> tuple[list[Ticket], dict[bytes, bool]]:
        with self._condition:
            self._scanning = self._looking = True
            self.rounds += 1
            now = time.monotonic()
            for directory in self._unsettled.take(now):
                self._asked.setdefault(directory, False)
            for directory in self.problems.take(now):
                self._asked[directory] = True
            if now >= min(self._next_sweep, self._vanished.next_scan()):
                self._asked[b""] = True
            tickets, self._tickets = self._tickets, []
            for ticket in tickets:
                self._asked[ticket.directory] = self._asked.get(ticket.directory, False) or ticket.recursive
            asked, self._asked = self._asked, {}
        if asked.get(b""):
            asked = {b"": True}
        return tickets, asked

    # -- health

    def _healthy(self) -> bool:
        with self._store.read() as tx:
            self._samples = [sample_of(file) for file in tx.files.sample(self.volume.id, _SAMPLES)]
        return self._take_state(check(self.volume.path, self.volume.identity or None, self._samples))

    def _take_state(self, health: Health) -> bool:
        volume = self.volume
        was = volume.state
        online = health.state is VolumeState.ONLINE
        identity = health.identity if online else volume.identity
        reason = health.reason or None
        if (was, volume.reason, volume.identity) != (health.state, reason, identity):
            with self._store.write() as tx:
                tx.volumes.put(replace(volume, state=health.state, reason=reason, identity=identity))
                if was is not health.state:
                    tx.journal.append(ChangeType.VOLUME, volume.id, state=health.state, reason=reason)
            volume.state, volume.reason, volume.identity = health.state, reason, identity
        if was is not health.state:
            log.info("volume", name=volume.name, state=str(health.state), reason=reason)
            self._around.changed()
            if online:
                self._around.work_added()  # what was found before it went away can be read now
        return online

    def _excluded(self, relpath: bytes) -> bool:
        return self._rules.skip_directory(os.path.dirname(relpath)) or not self._rules.wanted(relpath)

    def healthy_still(self) -> bool:
        """Whether it is there now. For any thread."""
        return check(self.volume.path, self.volume.identity, self._samples).state is VolumeState.ONLINE

    # -- scanning

    def _pass(self, asked: dict[bytes, bool]) -> None:
        started = time.monotonic()
        full = asked.get(b"", False)
        if full:
            self._swept, self._next_sweep = None, _NEVER
            self._vanished.begin_full_scan(started)
        with self._around.stopwatch.measure("file_discovery"):
            changed, gone = self._scan(asked)
        if self._stopping or not self._healthy():
            return  # what vanished with the volume is not gone, and all of it is scanned when it is back
        self._vanished.add(gone, full=full)
        if full:
            self._finish_sweep(started, changed)

    def _finish_sweep(self, started: float, changed: bool) -> None:
        now = time.monotonic()
        self._swept, self._next_sweep = now, now + self._sweep
        self.volume.last_scan = time.time()
        with self._store.write() as tx:
            tx.volumes.put(self.volume)
            tx.meta.count("scans")
        self._around.scanned(self.volume.id, now - started, changed)
        self._around.changed()

    def _scan(self, asked: dict[bytes, bool]) -> tuple[bool, list[File]]:
        stack = sorted(asked.items(), reverse=True)
        changed, gone = False, []
        while stack and not self._stopping:
            directory, recursive = stack.pop()
            if self._rules.skip_directory(directory):
                continue  # asked for by name
            try:
                listing = self._list(directory)
            except (FileNotFoundError, NotADirectoryError):
                self._forget(directory)
                with self._store.read() as tx:
                    gone += files_below(tx, self.volume.id, directory)
                continue
            except OSError as error:
                self._note_problem(directory, directory, error)
                continue
            found = self._compare(directory, listing)
            with self._store.read() as tx:
                for name in found.gone_directories:
                    found.gone += files_below(tx, self.volume.id, name)
            changed |= bool(found)
            gone += found.gone
            if recursive and self.settings.recursive:
                prefix = directory + b"/" if directory else b""
                stack += [(prefix + name, True) for name in reversed(listing.directories)]
        return changed, gone

    def _list(self, directory: bytes) -> Listing:
        """A listing of one state: a directory that changed while it was listed is listed again, a few times."""
        for _ in range(_LISTINGS):
            listing = list_directory(self._root, directory, self._rules, lambda name: kind_of(name) is not None)
            if listing.before == listing.after:
                break
        self._take_problems(directory, listing)
        return listing

    def _take_problems(self, directory: bytes, listing: Listing) -> None:
        """Note what cannot be looked at in a directory that could be listed; what is over is forgotten."""
        failed = {os.path.join(directory, name): with_reason(number) for name, number in listing.failed}
        failed |= {os.path.join(directory, name): with_reason(errno.EINVAL, _SPECIAL) for name in listing.special}
        for names in (listing.directories, [name for name, _ in listing.files]):
            for name in names:
                if len(name) > LONGEST_NAME:
                    failed[os.path.join(directory, name)] = with_reason(errno.ENAMETOOLONG)
        self.problems.listed(directory, listing.directories, failed)
        for path, error in failed.items():
            self._note_problem(path, directory, error)
        listing.files = [(name, stat) for name, stat in listing.files if len(name) <= LONGEST_NAME]
        listing.directories = [name for name in listing.directories if len(name) <= LONGEST_NAME]
        with self._condition:
            self._unsettled.listed(directory, [name for name, _ in listing.files])

    def _note_problem(self, path: bytes, directory: bytes, error: OSError) -> None:
        if self.problems.note(path, directory, error, time.monotonic()):
            log.warning("cannot be looked at", volume=self.volume.name, path=os.fsdecode(path), reason=error.strerror)
            self._around.changed()

    def _forget(self, directory: bytes) -> None:
        self.problems.gone(directory)
        with self._condition:
            self._unsettled.gone(directory)

    def _compare(self, directory: bytes, listing: Listing) -> Difference:
        unknown = [name for name, _ in listing.failed]  # they are there, and nothing else is known of them
        with self._store.read() as tx:
            found = compare(tx, self.volume.id, directory, listing.files, [*listing.directories, *unknown])
        found.gone = [file for file in found.gone if os.path.basename(file.relpath) not in unknown]
        found.new = [(relpath, stat) for relpath, stat in found.new if self._settled(directory, relpath, stat)]
        found.changed = [(file, stat) for file, stat in found.changed if self._settled(directory, file.relpath, stat)]
        if found.new or found.changed or found.back:
            with self._store.write() as tx:
                enlist(tx, self.volume.id, found, time.time())
            self._around.work_added()
            if found.back:
                self._around.changed()
        return found

    def _settled(self, directory: bytes, relpath: bytes, stat: Stat) -> bool:
        with self._condition:
            return self._unsettled.settled(directory, relpath, stat, time.monotonic(), time.time())
