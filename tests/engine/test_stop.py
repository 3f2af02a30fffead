"""Stopping ends within seconds, whatever is under way, leaves no process behind, and costs nothing that was done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from tests.engine.conftest import Running, draw, files_of
from tests.engine.pipe import until

from mediad.store import Store

Start = Callable[..., Running]
LIMIT = 8.0


_others: set[int] = set()


@pytest.fixture(autouse=True)
def _own_children_only() -> None:
    """Encoders that other tests share over the session are no leftovers of ours."""
    _others.clear()
    _others.update(child.pid for child in psutil.Process().children(recursive=True))


def children(module: str) -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children(recursive=True):
        if child.pid in _others:
            continue
        try:
            if f"mediad.{module}.child" in child.cmdline():
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def decoded(running: Running, count: int) -> bool:
    return running.counters()["decodes"] > count


def stop_takes(running: Running) -> float:
    before = {thread.name for thread in threading.enumerate()}
    began = time.monotonic()
    running.engine.stop()
    took = time.monotonic() - began
    left = {thread.name for thread in threading.enumerate() if not thread.daemon} & before
    assert not {name for name in left if name.startswith(("reader", "recorder", "embedder", "volume", "groups"))}
    assert not children("media")
    assert not children("encoders")
    assert not children("analysis")
    return took


@pytest.mark.parametrize("after", [0.0, 0.05, 0.2, 0.5, 1.0, 2.0])
def test_at_any_moment_of_the_start(start: Start, tmp_path: Path, mini_clip: str, after: float) -> None:
    for seed in range(4):
        draw(tmp_path / "volume" / f"{seed}.png", seed)
    running = start(tmp_path / "volume", encoder=mini_clip)  # takes seconds to start
    time.sleep(after)
    assert stop_takes(running) < LIMIT
    Store(tmp_path / "state" / "store").close()  # the lock is free


def test_while_an_animation_of_a_sequence_is_made(start: Start, tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    picture = np.random.default_rng(1).integers(0, 100, (300, 400, 3), np.uint8)
    for number in range(40):
        Image.fromarray(picture + np.uint8(2 * number)).save(tmp_path / "volume" / f"shot_{number:04}.png")
    running = start(tmp_path / "volume")
    decoder = running.engine._sequence_decoder
    until(lambda: decoder.pid is not None, 30)
    psutil.Process(decoder.pid).suspend()  # it would take as long as its deadline
    assert stop_takes(running) < LIMIT


def test_while_clustering(start: Start, tmp_path: Path) -> None:
    for seed in range(30):
        draw(tmp_path / "volume" / f"{seed}.png", seed)
    running = start(tmp_path / "volume")
    running.sync()
    running.engine.recluster()
    until(lambda: bool(children("analysis")), 20)
    for child in children("analysis"):
        child.suspend()
    assert stop_takes(running) < LIMIT


@pytest.mark.long
def test_while_the_encoder_hangs_and_its_queue_is_full(start: Start, tmp_path: Path) -> None:
    for seed in range(200):
        draw(tmp_path / "volume" / f"{seed}.png", seed)
    running = start(tmp_path / "volume")
    until(lambda: running.counters()["embeddings"] > 0, 30)
    for child in children("encoders"):
        child.suspend()
    until(lambda: running.counters()["decodes"] > 70, 60)
    assert stop_takes(running) < LIMIT
    second = start(tmp_path / "volume")
    assert len(files_of(second.sync())) == 200
    counters = second.counters()
    assert (counters["decodes"], counters["embeddings"]) == (200, 200)
    with second.engine.store.read() as tx:
        assert not list(tx.attempts.quarantined())


@pytest.mark.long
def test_again_and_again_in_the_middle_of_the_first_index(start: Start, tmp_path: Path) -> None:
    for seed in range(60):
        draw(tmp_path / "volume" / f"{seed}.png", seed, (800, 600))
    for _ in range(4):
        running = start(tmp_path / "volume")
        done = running.counters()["decodes"]
        until(partial(decoded, running, done + 3), 60)
        assert stop_takes(running) < LIMIT
    running = start(tmp_path / "volume")
    assert len(files_of(running.sync())) == 60
    assert running.counters()["embeddings"] == 60
    assert running.counters()["decodes"] <= 60 + 4 * 4  # what was decoded and not yet recorded when it stopped
    assert running.engine.status()["quarantined"] == []


@pytest.mark.long
def test_while_settings_change(start: Start, tmp_path: Path, mini_clip: str) -> None:
    draw(tmp_path / "volume" / "a.png", 1)
    running = start(tmp_path / "volume")
    running.sync()
    engine = running.engine
    other = engine.settings.model_copy(update={"encoder": mini_clip})
    applying = threading.Thread(target=engine._config_changed, args=(other,))
    applying.start()
    until(lambda: len(children("encoders")) >= 1, 20)
    assert stop_takes(running) < LIMIT
    applying.join(5)
    assert not applying.is_alive()


def test_stop_may_be_asked_for_twice_at_once(start: Start, tmp_path: Path) -> None:
    draw(tmp_path / "volume" / "a.png", 1)
    running = start(tmp_path / "volume")
    running.sync()
    others = [threading.Thread(target=running.engine.stop) for _ in range(4)]
    for other in others:
        other.start()
    for other in others:
        other.join(20)
    assert not any(other.is_alive() for other in others)


def test_a_volume_that_is_told_so_while_it_is_scanned(start: Start, tmp_path: Path) -> None:
    draw(tmp_path / "volume" / "0.png", 0)
    running = start(tmp_path / "volume")
    running.sync()
    (worker,) = running.engine._volumes.workers()
    worker.stop()
    began = time.monotonic()
    worker.run()  # comes from its round to a condition that nobody will notify again
    assert time.monotonic() - began < 2
