"""A change of the configuration file is noticed however it is made, and a wrong or vanished file changes nothing."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediad.config import ConfigError, Settings, load
from mediad.config.watch import ConfigFile, Outcome

TICK = 0.05
WITHIN = 10.0  # seconds; far above what is needed, for slow machines


class Watched:
    """A configuration file that is being watched, and what its listener was told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.write('encoder = "timm:first"')
        self.file = ConfigFile(path, lambda: load(path), interval=TICK)
        self.told: queue.Queue[Outcome] = queue.Queue()
        self.file.load()

    def write(self, text: str) -> None:
        self.path.write_text(text)

    def replace(self, text: str) -> None:
        fresh = self.path.with_name("fresh")
        fresh.write_text(text)
        fresh.replace(self.path)

    def next(self) -> Outcome:
        return self.told.get(timeout=WITHIN)

    def encoder(self) -> str:
        """The encoder of the next settings, which must be in force when they are told."""
        outcome = self.next()
        assert isinstance(outcome, Settings), outcome
        assert self.file.settings == outcome
        assert self.file.error is None
        return outcome.encoder

    def error(self) -> str:
        """The next error, which must leave the settings as they were."""
        before = self.file.settings
        outcome = self.next()
        assert isinstance(outcome, ConfigError)
        assert self.file.settings is before
        assert self.file.error is outcome
        return str(outcome)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path / "config.toml")
    watched.file.start(watched.told.put)
    yield watched
    watched.file.stop()
    assert watched.told.empty(), "something was told that did not happen"


def test_the_first_load_raises_what_is_wrong(tmp_path: Path) -> None:
    file = ConfigFile(tmp_path / "none.toml", lambda: load(tmp_path / "none.toml"))
    with pytest.raises(ConfigError):
        file.load()


def test_a_write_in_place_and_an_atomic_replacement_are_seen(watched: Watched) -> None:
    watched.write('encoder = "timm:second"')
    assert watched.encoder() == "timm:second"
    watched.replace('encoder = "timm:third"')
    assert watched.encoder() == "timm:third"


def test_a_replacement_of_the_same_size_and_time_is_seen(watched: Watched) -> None:
    before = watched.path.stat()
    fresh = watched.path.with_name("fresh")
    fresh.write_text('encoder = "timm:other"')
    os.utime(fresh, ns=(before.st_atime_ns, before.st_mtime_ns))
    fresh.replace(watched.path)
    assert watched.path.stat().st_mtime_ns == before.st_mtime_ns
    assert watched.encoder() == "timm:other"


def test_wrong_and_right_again(watched: Watched) -> None:
    watched.write("[htp]\n")
    assert "htp: unknown setting" in watched.error()
    watched.write('[[volumes]]\npath = "x"\n')
    assert "must be an absolute path" in watched.error()
    watched.write('encoder = "timm:first"')
    assert watched.encoder() == "timm:first"  # told although it is as before, because the error is gone


def test_a_vanished_file_keeps_the_settings_and_comes_back(watched: Watched) -> None:
    watched.path.unlink()
    assert "the configuration file is gone" in watched.error()
    watched.file.reload()
    watched.write('encoder = "timm:second"')
    assert watched.encoder() == "timm:second"


def test_a_vanished_file_is_not_taken_for_defaults(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('encoder = "timm:first"')
    file = ConfigFile(path, lambda: load(path, missing_ok=True), interval=TICK)
    file.load()
    told: queue.Queue[Outcome] = queue.Queue()
    file.start(told.put)
    path.unlink()
    assert isinstance(told.get(timeout=WITHIN), ConfigError)
    assert file.settings.encoder == "timm:first"
    file.stop()


def test_a_file_that_appears_later_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    file = ConfigFile(path, lambda: load(path, missing_ok=True), interval=TICK)
    assert file.load() == Settings()
    told: queue.Queue[Outcome] = queue.Queue()
    file.start(told.put)
    path.write_text('encoder = "timm:first"')
    assert isinstance(told.get(timeout=WITHIN), Settings)
    assert file.settings.encoder == "timm:first"
    file.stop()


def test_a_link_that_changes_is_seen(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.toml").write_text(f'encoder = "timm:{name}"')
    (tmp_path / "now").symlink_to("one")
    path = tmp_path / "now" / "config.toml"
    file = ConfigFile(path, lambda: load(path), interval=TICK)
    assert file.load().encoder == "timm:one"
    told: queue.Queue[Outcome] = queue.Queue()
    file.start(told.put)
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").replace(tmp_path / "now")
    assert isinstance(told.get(timeout=WITHIN), Settings)
    assert file.settings.encoder == "timm:two"
    file.stop()


def test_a_file_is_not_believed_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('encoder = "timm:first"')
    file = ConfigFile(path, lambda: load(path), interval=0.5)
    file.load()
    told: queue.Queue[Outcome] = queue.Queue()
    file.start(told.put)
    with path.open("w") as writer:  # half of it is a valid file, and so is an empty one
        for part in ['encoder = "timm:second"\n', "[http]\n", "port = 1", "2", "3", "4", "\n"]:
            writer.write(part)
            writer.flush()
            time.sleep(0.1)
    outcome = told.get(timeout=WITHIN)
    file.stop()
    assert isinstance(outcome, Settings)
    assert (outcome.encoder, outcome.http.port) == ("timm:second", 1234)
    assert told.empty()


def test_a_touch_or_a_comment_tells_nothing(watched: Watched) -> None:
    watched.write('encoder = "timm:first" # said before')
    watched.path.chmod(0o600)
    watched.file.reload()
    watched.write('encoder = "timm:second"')
    assert watched.encoder() == "timm:second"


def test_a_signal_has_it_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('encoder = "timm:first"')
    file = ConfigFile(path, lambda: load(path), interval=600)
    file.load()
    told: queue.Queue[Outcome] = queue.Queue()
    file.start(told.put)
    before = signal.signal(signal.SIGHUP, lambda *_: file.reload())
    try:
        path.write_text('encoder = "timm:second"')
        os.kill(os.getpid(), signal.SIGHUP)
        assert isinstance(told.get(timeout=WITHIN), Settings)
    finally:
        signal.signal(signal.SIGHUP, before)
    file.stop()


def test_it_outlives_a_listener_that_fails(watched: Watched, tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text("# nothing yet")
    told: queue.Queue[Outcome] = queue.Queue()

    def listen(outcome: Outcome) -> None:
        told.put(outcome)
        raise RuntimeError("the listener's own trouble")

    file = ConfigFile(path, lambda: load(path), interval=TICK)
    file.load()
    file.start(listen)
    for port in (1, 2):
        path.write_text(f"[http]\nport = {port}")
        outcome = told.get(timeout=WITHIN)
        assert isinstance(outcome, Settings)
        assert outcome.http.port == port
    file.stop()


def test_stopping_ends_the_thread(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("# nothing yet")
    file = ConfigFile(path, lambda: load(path), interval=600)
    file.load()
    file.start(lambda outcome: None)
    started = time.monotonic()
    file.stop()
    assert time.monotonic() - started < WITHIN
    assert not [thread for thread in threading.enumerate() if thread.name == "config"]
