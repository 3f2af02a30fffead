"""The configuration under fire: edited again and again, half of it wrong, while what it names is being scanned."""

from __future__ import annotations

import json
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import jsonschema
import pytest
from tests.daemon import Daemon, files_of
from tests.engine.conftest import draw
from tests.faults.damage import SCHEMA

EDITS = 100
FILES = 60
pytestmark = pytest.mark.long


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    for volume, name in enumerate(("steady", "guest", "other")):
        for number in range(FILES):
            draw(tmp_path / name / f"folder{number % 6}" / f"{number}.png", 1000 * volume + number)
    with Daemon(tmp_path, [tmp_path / "steady"]) as daemon:
        yield daemon


def wrong(daemon: Daemon, dice: random.Random) -> None:
    """One of the ways in which a file is no configuration, or not one yet."""
    text = daemon.config.read_text()
    steady = json.dumps(str(daemon.home / "steady"))
    below = json.dumps(str(daemon.home / "steady" / "folder1"))
    bad: list[Callable[[], object]] = [
        lambda: daemon.config.write_text("this is [[ no TOML"),
        lambda: daemon.config.write_text(f"[[volumes]]\npath = {steady}\nrecursiv = true\n"),
        lambda: daemon.config.write_text(f"[[volumes]]\npath = {steady}\n[[volumes]]\npath = {below}\n"),
        lambda: daemon.config.write_text(f"[[volumes]]\npath = {json.dumps(str(daemon.home))}\n"),
        lambda: daemon.config.write_text(f'[[volumes]]\npath = {steady}\n[schedule]\nsettle = "soon"\n'),
        lambda: daemon.config.write_bytes(b"\xff\xfe\x00 encoder"),
        lambda: daemon.config.write_text(text[: text.rindex('"')]),  # half of it, as an editor writes in place
        daemon.config.unlink,
    ]
    dice.choice(bad)()


def right(daemon: Daemon, dice: random.Random) -> None:
    """A configuration with some of the guests in it."""
    guests = [name for name in ("guest", "other") if dice.random() < 0.5]
    daemon.write_config([daemon.home / name for name in ("steady", *guests)])


@contextmanager
def reading(daemon: Daemon) -> Iterator[list[int]]:
    """A reader in a loop: each catalog is whole, none is older than the one before, and what is steady stays in it."""
    generations: list[int] = []
    steady = {str(path) for path in (daemon.home / "steady").rglob("*.png")}
    over, problems = threading.Event(), []

    def read() -> None:
        while not over.wait(0.02):
            catalog = daemon.catalog()
            generation = catalog["generation"]
            if generations and generation == generations[-1]:
                continue
            jsonschema.validate(catalog, SCHEMA)
            if generations and generation < generations[-1]:
                problems.append(f"generation {generation} after {generations[-1]}")
            states = {path: file["state"] for path, file in files_of(catalog).items() if path in steady}
            if states != dict.fromkeys(steady, "present"):
                problems.append(f"generation {generation} has {len(states)} of what is steady: {set(states.values())}")
            generations.append(generation)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield generations
    finally:
        over.set()
        thread.join()
    assert problems == []


def test_a_hundred_edits_half_of_them_wrong(daemon: Daemon) -> None:
    assert daemon.process is not None
    daemon.sync()
    dice = random.Random(11)
    with reading(daemon) as generations:
        for edit in range(EDITS):
            (wrong if edit % 2 else right)(daemon, dice)
            if dice.random() < 0.5:
                daemon.process.send_signal(signal.SIGHUP)
            time.sleep(dice.choice((0.0, 0.05, 0.4)))  # the pace of the edits, and no wait for anything
        daemon.until(lambda: bool(daemon.status()["config"]["problems"]), 10)
        assert {volume["name"] for volume in daemon.status()["volumes"]} <= {"steady", "guest", "other"}
        daemon.write_config([daemon.home / name for name in ("steady", "guest", "other")])
        daemon.until(lambda: len(daemon.status()["volumes"]) == 3 and not daemon.status()["config"]["problems"], 10)
        files = files_of(daemon.sync())
    assert daemon.process.poll() is None
    assert len(generations) > 10
    assert len(files) == 3 * FILES
    counters = daemon.counters()
    # A guest that leaves and comes back is known by the content of its files: each was read as a picture once.
    assert (counters["decodes"], counters["embeddings"]) == (3 * FILES, 3 * FILES)
    lost = [line for line in daemon.changes() if line["type"] in ("missing", "removed")]
    assert not [line for line in lost if line["volume"] == files[str(daemon.home / "steady/folder0/0.png")]["volume"]]
    assert daemon.run("audit").returncode == 0


def test_a_volume_leaves_and_comes_back_while_it_is_scanned(daemon: Daemon) -> None:
    """By the commands that people use, in the middle of its first index."""
    daemon.sync()
    guest = daemon.home / "guest"
    for _ in range(6):
        daemon.run("volumes", "add", guest)
        daemon.until(lambda: any(volume["name"] == "guest" for volume in daemon.status()["volumes"]), 10)
        daemon.run("volumes", "remove", guest)
        daemon.until(lambda: all(volume["name"] != "guest" for volume in daemon.status()["volumes"]), 10)
        assert not [path for path in files_of(daemon.sync()) if path.startswith(f"{guest}/")]
    daemon.run("volumes", "add", guest)
    daemon.until(lambda: any(volume["name"] == "guest" for volume in daemon.status()["volumes"]), 10)
    assert len(files_of(daemon.sync())) == 2 * FILES
    counters = daemon.counters()
    assert (counters["decodes"], counters["embeddings"]) == (2 * FILES, 2 * FILES)
    assert daemon.run("audit").returncode == 0
