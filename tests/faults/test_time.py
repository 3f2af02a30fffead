"""The clock is set a year forward and back, and the daemon is stopped (SIGSTOP) for longer than its deadlines."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from tests.engine.conftest import draw
from tests.faults.crash import Host, check_feed

from mediad.clock import slices
from mediad.model import Asset, ContentId, File, Kind, Stat, VolumeId
from mediad.store import Store
from mediad.workers.calendar import follow_clock

DAY = 86400.0
YEAR = 365 * DAY
NOW = 1_800_000_000.0
VOLUME = VolumeId("00000001")


def until(done: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


# -- stopped


@pytest.mark.parametrize("seconds", [0.2, 1.0])
def test_slices_are_as_long_as_the_whole(seconds: float) -> None:
    began = time.monotonic()
    for part in slices(seconds):
        time.sleep(part)
    assert seconds <= time.monotonic() - began < 2 * seconds + 0.5


def test_the_time_in_which_we_were_stopped_does_not_count() -> None:
    script = """
import time
from mediad.clock import slices
print(flush=True)
ran = 0.0
for part in slices(1.0):
    time.sleep(part)
    ran += part
print(ran)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.5)
        process.send_signal(signal.SIGCONT)
        assert float(process.stdout.readline()) >= 0.8


def _large(path: Path, seed: int) -> Path:
    """A picture that takes a noticeable part of a second to decode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 255, (200, 300, 3), np.uint8)
    Image.fromarray(coarse).resize((3000, 2000)).save(path, compress_level=1)
    return path


def _family(host: Host) -> list[psutil.Process]:
    assert host.process is not None
    daemon = psutil.Process(host.process.pid)
    return [daemon, *daemon.children(recursive=True)]


@pytest.mark.long
@pytest.mark.parametrize("children_too", [False, True])
def test_a_stop_longer_than_every_deadline_costs_no_file(tmp_path: Path, children_too: bool) -> None:
    """A suspended machine stops all processes; a debugger or `kill -STOP` only the daemon."""
    host = Host(tmp_path, more={"limits": {"image_deadline": 3.0, "attempts": 1}})
    for number in range(24):
        _large(host.library / f"{number}.png", number)
    assert host.start()
    for count in (2, 8, 14):
        until(lambda: host.ask("status")["counters"]["decodes"] >= count, 60, f"{count} decodes")  # noqa: B023
        stopped = _family(host) if children_too else _family(host)[:1]
        for process in stopped:
            process.suspend()
        time.sleep(3.6)
        for process in reversed(stopped):
            process.resume()
    assert host.sync()
    status = host.ask("status")
    host.end()
    assert (status["quarantined"], status["failing"], status["pending"]) == ([], [], 0)
    assert (status["counters"]["decodes"], status["counters"]["embeddings"]) == (24, 24)
    assert [volume["state"] for volume in status["volumes"]] == ["online"]
    log = (tmp_path / "host.log").read_text()
    assert "no answer within" not in log
    assert "does not answer" not in log


# -- the clock


class Clock:
    """The wall clock of a process and its children, moved while they run; the monotonic one goes on. See clock.c."""

    def __init__(self, home: Path) -> None:
        self._library, self._file = home / "clock.so", home / "clock"
        source = Path(__file__).with_name("clock.c")
        command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(self._library), str(source), "-ldl"]
        subprocess.run(command, check=True, capture_output=True)
        self.set(0)

    @property
    def prefix(self) -> list[str]:
        return ["env", f"LD_PRELOAD={self._library}", f"CLOCK_OFFSET={self._file}"]

    def set(self, days: int) -> None:
        """So many days off the true time."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{days * DAY:.0f}\n")
        new.replace(self._file)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    if sys.platform != "linux" or shutil.which("cc") is None:
        pytest.skip("needs Linux and a C compiler")
    return Clock(tmp_path)


@pytest.fixture
def host(tmp_path: Path, clock: Clock) -> Iterator[Host]:
    schedule = {"decoder_idle": 1.0, "settle": 0.3}
    host = Host(tmp_path, prefix=clock.prefix, more={"schedule": schedule})
    for number in range(6):
        draw(host.library / f"{number}.png", number)
    assert host.start()
    assert host.sync()
    yield host
    host.end()


def _decoders(host: Host) -> list[psutil.Process]:
    return [process for module, process in host.children() if module == "mediad.media.child"]


def _changed_and_seen(host: Host, days: int) -> None:
    """Add, grow, rename and delete files: all of it must be in the next catalog."""
    library = host.library
    kept = host.acknowledged.files[str(library / "renamed.png" if days < 0 else library / "0.png")][0]
    name = f"renamed{days}.png"
    (library / ("renamed.png" if days < 0 else "0.png")).rename(library / name)
    added = draw(library / f"added{days}.png", 1000 + days)
    _large(library / f"large{days}.png", 2000 + days)
    assert host.sync()
    files = host.acknowledged.files
    assert files[str(library / name)][0] == kept
    assert str(added) in files
    (library / name).rename(library / "renamed.png")
    assert host.sync()
    assert set(host.acknowledged.files) == {str(path) for path in library.iterdir()}


@pytest.mark.long
def test_the_clock_is_set_a_year_forward_and_back(host: Host, clock: Clock) -> None:
    lost = host.library / "5.png"
    content = lost.read_bytes()
    lost.unlink()
    assert host.sync()
    clock.set(365)
    _changed_and_seen(host, 365)
    until(lambda: "the clock was set" in (host.home / "host.log").read_text(), 30, "the chores of the hour")
    clock.set(-365)
    _changed_and_seen(host, -365)
    until(lambda: "the clock was set back" in (host.home / "host.log").read_text(), 30, "a look at the clock")
    until(lambda: not _decoders(host), 30, "a chore: idle decoders are let go")
    clock.set(0)
    lost.write_bytes(content)
    assert host.sync()
    status = host.ask("status")
    assert (status["failing"], status["quarantined"], status["pending"], status["loops"]) == ([], [], 0, {})
    # Six pictures, two added and two large ones each time; what was missing for a pretended year cost nothing.
    assert (status["counters"]["decodes"], status["counters"]["embeddings"]) == (10, 10)
    check_feed(host.state / "catalog", {file_id for file_id, _ in host.acknowledged.files.values()})


@pytest.mark.long
def test_a_file_that_waits_is_read_although_the_clock_was_set_back(host: Host, clock: Clock) -> None:
    clock.set(365)
    large = _large(host.library / "large.png", 7)
    until(lambda: any(process.cpu_percent(0.05) > 10 for process in _decoders(host)), 30, "a decoder at work")
    for process in _decoders(host):
        process.kill()
    until(lambda: host.ask("status")["failing"], 30, "a file that is to be tried again")
    clock.set(-365)
    began = time.monotonic()
    assert host.sync()
    assert str(large) in host.acknowledged.files
    assert time.monotonic() - began < 20


# -- retention


def _store(directory: Path, since: float) -> Store:
    store = Store(directory)
    with store.write() as tx:
        for number in range(1200):
            content = ContentId(number.to_bytes(16, "big"))
            file = File(tx.files.new_id(VOLUME, b"%d" % number), VOLUME, b"%d" % number, Stat(1, 1, 1, 1), content)
            file.missing_since = since if number % 2 else 0.0
            tx.files.put(file)
        orphan = ContentId(b"o" * 16)
        tx.assets.put(Asset(orphan, Kind.IMAGE, 1, 1, "PNG", "1"))
        tx.files.mark_orphan(orphan, since)
    return store


@pytest.mark.parametrize(
    ("last", "now", "age"),
    [
        pytest.param(NOW, NOW + 3600, 3600.0 + 10 * DAY, id="an hour later"),
        pytest.param(NOW, NOW + YEAR, 11 * DAY, id="the clock a year ahead, or off for a year: a day passed"),
        pytest.param(NOW, NOW - YEAR, 0.0, id="the clock a year back: it begins anew"),
        pytest.param(
            NOW - 12 * DAY, NOW - 9 * DAY, 1 * DAY, id="it went missing between two looks, a jump before the second"
        ),
        pytest.param(None, NOW + 3600, 3600.0 + 10 * DAY, id="the first look"),
    ],
)
def test_what_is_missing_ages_by_days_that_passed(tmp_path: Path, last: float | None, now: float, age: float) -> None:
    with _store(tmp_path, NOW - 10 * DAY) as store:
        if last is not None:
            assert follow_clock(store, last) == 0
        follow_clock(store, now)
        with store.read() as tx:
            missing = [file for file in tx.files if file.missing]
            assert len(missing) == 600
            assert {now - file.missing_since for file in missing} == {age}
            assert bool(tx.assets.orphans(now - age)) is False
            assert bool(tx.assets.orphans(now - age + 1)) is True


def test_a_clock_that_was_ahead_for_an_hour_costs_nothing(tmp_path: Path) -> None:
    with _store(tmp_path, NOW - 10 * DAY) as store:
        for now in (NOW, NOW + YEAR, NOW + YEAR + 3600, NOW + 7200):
            follow_clock(store, now)
        with store.read() as tx:
            assert {NOW + 7200 - file.missing_since for file in tx.files if file.missing} == {0.0}


def test_a_skipped_year_leaves_what_went_missing_after_it(tmp_path: Path) -> None:
    """Times from after the jump are true ones."""
    with _store(tmp_path, NOW + YEAR + 60) as store:
        with store.write() as tx:
            tx.meta.put("calendar", NOW)
        follow_clock(store, NOW + YEAR + 3600)
        with store.read() as tx:
            assert {file.missing_since for file in tx.files if file.missing} == {NOW + YEAR + 60}
