"""Hostile media: a bad file costs at most its deadline twice, over all restarts, and good ones beside it nothing."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pytest
from PIL import Image
from tests.daemon import Daemon, files_of
from tests.engine.conftest import draw
from tests.faults import bombs

from mediad.media.decoder import DECODER_BUILD
from mediad.media.formats import kind_of
from mediad.model import content_id_of
from mediad.resources import shipped
from mediad.store import Store

pytestmark = pytest.mark.long

MEMORY = 200e6  # bytes that the daemon itself may take
READERS = 2


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return tmp_path / "library"


@pytest.fixture
def begin(tmp_path: Path, library: Path) -> Iterator[Callable[..., Daemon]]:
    """Start a daemon on the library, with limits as given."""
    daemon = Daemon(tmp_path / "home", [library])

    def start(**limits: object) -> Daemon:
        daemon.home.mkdir()
        daemon.write_config()
        lines = "".join(f"{name} = {value}\n" for name, value in {"decoders": READERS, **limits}.items())
        with daemon.config.open("a") as config:
            config.write(f"[limits]\n{lines}")
        return daemon.start()

    yield start
    daemon.__exit__()


def put(library: Path, files: dict[str, bytes]) -> set[str]:
    """Write files; their paths."""
    library.mkdir(exist_ok=True)
    for name, data in files.items():
        (library / name).write_bytes(data)
    return {str(library / name) for name in files}


def good(library: Path, count: int) -> set[str]:
    return {str(draw(library / f"good{number}.png", 1000 + number)) for number in range(count)}


def quarantined(daemon: Daemon) -> dict[str, str]:
    """Path -> reason."""
    return {entry["path"]: entry["reason"] for entry in daemon.status()["quarantined"]}


def checked(daemon: Daemon) -> dict[str, Any]:
    """The files of a catalog that is valid, that the audit agrees with, and that cost one decode for each content."""
    catalog = daemon.sync()
    jsonschema.validate(catalog, json.loads(shipped("config", "catalog.schema.json").read_bytes()))
    daemon.run("audit")
    files = files_of(catalog)
    counters, contents = daemon.counters(), {file["content_id"] for file in files.values()}
    assert counters["decodes"] == counters["embeddings"] == len(contents)
    assert [line for line in daemon.changes() if line["type"] in ("missing", "removed")] == []
    return files


def tries(daemon: Daemon) -> int:
    """How many decodes ended badly, over all starts; a try during which the daemon was killed leaves no line.

    Files that were only put behind the others were not tried.
    """
    return len(re.findall(r'event="file not taken in".* reason=(?!"?(?:a copy|decoding it))', daemon.log.read_text()))


@contextmanager
def memory_of(daemon: Daemon) -> Iterator[list[int]]:
    """The most bytes that the daemon itself was resident with meanwhile, as the only element of a list."""
    assert daemon.process is not None
    process, most, ended = psutil.Process(daemon.process.pid), [0], threading.Event()

    def look() -> None:
        while not ended.wait(0.05):
            most[0] = max(most[0], process.memory_info().rss)

    watching = threading.Thread(target=look)
    watching.start()
    try:
        yield most
    finally:
        ended.set()
        watching.join()


def decoders(daemon: Daemon) -> list[psutil.Process]:
    assert daemon.process is not None
    found = []
    for child in psutil.Process(daemon.process.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended, or is about to
            if "mediad.media.child" in child.cmdline():
                found.append(child)
    return found


def tried(daemon: Daemon, name: str) -> int:
    """How often decoding of a file of the library was begun, as the store has it."""
    content_id = content_id_of((daemon.volumes[0] / name).read_bytes())
    with Store(daemon.state / "store", readonly=True) as store, store.read() as tx:
        return tx.attempts.get(content_id, DECODER_BUILD).count


def test_every_malformed_and_rare_file_that_we_have(
    begin: Callable[..., Daemon], library: Path, shared: Path, tmp_path: Path
) -> None:
    for folder in ("malformed", "formats"):
        shutil.copytree(shared / "media" / folder, library / folder)
    known = {str(path) for path in library.rglob("*") if path.is_file() and kind_of(os.fsencode(path))}
    daemon = begin()
    with memory_of(daemon) as most:
        files = checked(daemon)
        beside = good(library, 10)
        started = time.monotonic()
        assert beside <= set(checked(daemon))
        assert time.monotonic() - started < 30
    refused = quarantined(daemon)
    assert set(files) | set(refused) == known
    assert not set(files) & set(refused)
    assert all(refused.values())
    assert len(files) > 200
    assert len(refused) > 70
    assert most[0] < MEMORY
    contents = {content_id_of(Path(path).read_bytes()) for path in refused}
    assert tries(daemon) <= 2 * len(contents) + len(refused)  # copies of a refused content are refused without a try

    before = tries(daemon)
    daemon.kill()
    daemon.start()
    assert quarantined(daemon) == refused
    assert beside | set(files) == set(checked(daemon))
    assert tries(daemon) == before


def test_bombs_traps_and_halves_of_files(begin: Callable[..., Daemon], library: Path) -> None:
    harmful = put(library, bombs.bombs())
    odd = put(library, bombs.traps())
    halves = put(library, bombs.truncated())
    fine = good(library, 5)
    daemon = begin(image_deadline=20, video_deadline=20)
    with memory_of(daemon) as most:
        files = checked(daemon)
    refused = quarantined(daemon)
    assert fine | odd <= set(files)
    assert harmful <= set(refused)
    assert set(files) | set(refused) == fine | odd | harmful | halves
    assert not set(files) & set(refused)
    assert not [path for path, reason in refused.items() if "no answer" in reason or "SIG" in reason]
    assert most[0] < MEMORY
    assert tries(daemon) <= 2 * len(refused)
    limit = 2048 * 1_000_000
    assert {child.rlimit(resource.RLIMIT_AS) for child in decoders(daemon)} == {(limit, limit)}


def test_as_many_hanging_files_as_readers_delay_the_good_ones_by_one_deadline(
    begin: Callable[..., Daemon], library: Path
) -> None:
    deadline = 10
    endless = {f"a{number}.jpg": bombs.endless_jpeg(number) for number in range(READERS)}
    hanging = put(library, endless | {f"copy{number}.jpg": endless["a0.jpg"] for number in range(2 * READERS)})
    daemon = begin(image_deadline=deadline)
    daemon.until(lambda: all(tried(daemon, name) == 1 for name in endless), 30)
    started = time.monotonic()
    fine = good(library, 10)
    daemon.until(lambda: fine <= set(files_of(daemon.catalog())), 2 * deadline)
    assert time.monotonic() - started < 1.9 * deadline
    daemon.until(lambda: set(quarantined(daemon)) == hanging, 120)
    assert set(quarantined(daemon).values()) == {f"no answer within {deadline} s"}
    assert [tried(daemon, name) for name in endless] == [2] * READERS
    assert set(checked(daemon)) == fine


def test_a_hanging_file_costs_two_deadlines_over_all_restarts(begin: Callable[..., Daemon], library: Path) -> None:
    (path,) = put(library, {"a.jpg": bombs.endless_jpeg()})
    fine = good(library, 3)
    daemon = begin(image_deadline=6)
    daemon.until(lambda: tried(daemon, "a.jpg") == 1, 30)
    daemon.kill()
    daemon.start()
    daemon.until(lambda: path in quarantined(daemon), 60)
    assert quarantined(daemon)[path] == "no answer within 6 s"
    assert tried(daemon, "a.jpg") == 2
    assert tries(daemon) == 1
    for _ in range(2):
        daemon.kill()
        daemon.start()
        assert set(checked(daemon)) == fine
        assert list(quarantined(daemon)) == [path]
    assert tries(daemon) == 1


def test_a_file_that_takes_the_whole_daemon_with_it_is_not_tried_a_third_time(
    begin: Callable[..., Daemon], library: Path
) -> None:
    (path,) = put(library, {"a.jpg": bombs.endless_jpeg()})
    daemon = begin(image_deadline=60)
    for count in (1, 2):
        daemon.until(lambda: tried(daemon, "a.jpg") == count, 30)  # noqa: B023 - asked before the next round
        daemon.kill()
        daemon.start()
    daemon.until(lambda: path in quarantined(daemon), 30)
    assert quarantined(daemon)[path] == "the whole daemon ended while it was decoded"
    assert checked(daemon) == {}


def test_clean_stops_are_no_tries(begin: Callable[..., Daemon], library: Path) -> None:
    (path,) = put(library, {"slow.jpg": bombs.endless_jpeg(scans=3_000)})
    daemon = begin(image_deadline=100)
    for _ in range(2):
        daemon.until(lambda: tried(daemon, "slow.jpg") == 1, 30)
        for child in decoders(daemon):
            child.send_signal(signal.SIGTERM)  # as service managers send it to all of a service
        daemon.stop()
        assert tried(daemon, "slow.jpg") == 0
        assert not files_of(daemon.catalog())
        daemon.start()
    assert set(checked(daemon)) == {path}


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGSTOP])
def test_a_decoder_that_crashes_or_stands_still(
    begin: Callable[..., Daemon], library: Path, number: signal.Signals
) -> None:
    (path,) = put(library, {"a.jpg": bombs.endless_jpeg()})
    daemon = begin(decoders=1, image_deadline=60 if number == signal.SIGSEGV else 6)
    for count in (1, 2):
        daemon.until(lambda: tried(daemon, "a.jpg") == count, 30)  # noqa: B023 - asked before the next round
        (child,) = decoders(daemon)
        child.send_signal(number)
        daemon.until(lambda: not child.is_running(), 30)  # noqa: B023
    daemon.until(lambda: path in quarantined(daemon), 20)
    assert quarantined(daemon)[path] in ("the child was ended by SIGSEGV", "no answer within 6 s")
    assert set(checked(daemon)) == set()
    assert good(library, 3) == set(checked(daemon))
    assert tries(daemon) == 2


def test_a_decoder_that_takes_memory_without_end(begin: Callable[..., Daemon], library: Path) -> None:
    library.mkdir()
    Image.new("RGB", (8000, 5000)).save(library / "a.tif", compression="tiff_lzw")
    fine = good(library, 3)
    daemon = begin(decoder_memory_mb=440)
    assert set(checked(daemon)) == fine
    assert quarantined(daemon) == {str(library / "a.tif"): "it takes more memory than a child may have"}
    assert tries(daemon) == 2
