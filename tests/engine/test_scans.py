"""What scans make of odd changes, and that who waits for one never waits for ever."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.engine.conftest import Running, draw, files_of
from tests.engine.pipe import until

from mediad.config.settings import VolumeSettings
from mediad.engine import EngineError

Start = Callable[..., Running]


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    root = tmp_path / "volume"
    for seed in range(6):
        draw(root / "trip" / f"{seed}.png", seed)
    return root


def names(running: Running) -> set[str]:
    return {Path(path).name for path in files_of(running.sync())}


def test_a_folder_replaced_by_a_link_to_it_elsewhere_is_gone(start: Start, volume: Path, tmp_path: Path) -> None:
    running = start(volume)
    assert len(names(running)) == 6
    shutil.move(volume / "trip", tmp_path / "elsewhere")
    (volume / "trip").symlink_to(tmp_path / "elsewhere")
    assert names(running) == set()
    (volume / "trip").unlink()
    shutil.move(tmp_path / "elsewhere", volume / "trip")
    assert len(names(running)) == 6
    assert running.counters()["decodes"] == 6


def told(running: Running) -> list[str]:
    """What the feed says of files."""
    return [line["type"] for line in running.changes() if not line["type"].startswith("cluster")]


def test_a_folder_that_is_renamed_under_our_eyes_is_never_missing(start: Start, volume: Path) -> None:
    """The hint of its old place may come before that of the new one."""
    running = start(volume)
    known = names(running)
    for number in range(3):
        source = volume / "trip" if number == 0 else volume / f"holiday-{number - 1}"
        source.rename(volume / f"holiday-{number}")
        until(lambda number=number: told(running).count("moved") == 6 * (number + 1), 20)  # type: ignore[misc]
    assert names(running) == known
    assert told(running) == ["added"] * 6 + ["moved"] * 18


def test_names_that_are_swapped_are_never_missing(start: Start, volume: Path) -> None:
    running = start(volume)
    names(running)
    trip = volume / "trip"
    for one, other in (("0.png", "1.png"), ("5.png", "2.png")):
        (trip / one).rename(trip / "aside")
        (trip / other).rename(trip / one)
        (trip / "aside").rename(trip / other)
    names(running)
    assert told(running) == ["added"] * 6 + ["moved"] * 4


def test_files_become_folders_and_folders_files(start: Start, volume: Path) -> None:
    running = start(volume)
    names(running)
    (volume / "trip" / "0.png").unlink()
    draw(volume / "trip" / "0.png" / "inside.png", 50)
    shutil.rmtree(volume / "trip" / "0.png")
    (volume / "trip" / "1.png").unlink()
    draw(volume / "trip" / "1.png" / "inside.png", 51)
    os.mkfifo(volume / "trip" / "pipe.png")
    assert names(running) == {"2.png", "3.png", "4.png", "5.png", "inside.png"}
    shutil.rmtree(volume / "trip")
    draw(volume / "aside.png", 52).rename(volume / "trip")
    assert names(running) == set()


def test_links_to_files_follow_what_they_lead_to(start: Start, volume: Path, tmp_path: Path) -> None:
    target = draw(tmp_path / "elsewhere" / "target.png", 70)
    (volume / "link.png").symlink_to(target)
    shutil.copy(target, volume / "copy.png")
    running = start(VolumeSettings(path=volume, follow_symlinks=True))
    before = {Path(path).name: file["id"] for path, file in files_of(running.sync()).items()}
    assert {"link.png", "copy.png"} < set(before)
    shutil.copy(target, volume / "another.png")  # a copy does not take the link's place
    after = {Path(path).name: file["id"] for path, file in files_of(running.sync()).items()}
    assert after == before | {"another.png": after["another.png"]}
    target.unlink()
    assert "link.png" not in names(running)
    assert running.counters()["decodes"] == 7


def test_asking_for_an_excluded_folder_takes_nothing_in(start: Start, volume: Path) -> None:
    draw(volume / ".Trash-1000" / "thrown-away.png", 60)
    running = start(volume)
    assert len(names(running)) == 6
    running.engine.sync(volume / ".Trash-1000", timeout=30)
    assert running.counters()["decodes"] == 6


def test_a_scan_that_finds_nothing_says_so_though_folders_were_deleted_once(start: Start, volume: Path) -> None:
    running = start(volume)
    names(running)
    shutil.rmtree(volume / "trip")
    names(running)
    said: list[bool] = []
    (worker,) = running.engine._volumes.workers()
    around = worker._around
    worker._around = replace(around, scanned=lambda *told: said.append(told[2]))
    names(running)
    assert said == [False]  # or polling would never become rarer


def test_stopping_ends_a_sync_that_waits(start: Start, volume: Path) -> None:
    running = start(volume)
    running.sync()
    started, outcome = threading.Event(), []

    def ask() -> None:
        started.set()
        try:
            while True:
                running.engine.sync()
        except BaseException as error:
            outcome.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    started.wait()
    time.sleep(0.3)
    before = time.monotonic()
    running.engine.stop()
    asking.join(5)
    assert time.monotonic() - before < 10
    assert len(outcome) == 1
    assert isinstance(outcome[0], EngineError)


def test_a_volume_removed_while_a_sync_waits_for_it_ends_the_wait(start: Start, volume: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for seed in range(300):
        draw(other / f"{seed % 20}" / f"{seed}.png", 100 + seed, (16, 12))
    running = start(volume)
    running.sync()
    engine = running.engine
    both = (*engine.settings.volumes, VolumeSettings(path=other))
    for _ in range(3):
        engine._config_changed(engine.settings.model_copy(update={"volumes": both}))
        asking = threading.Thread(target=lambda: engine.sync(timeout=60), daemon=True)
        asking.start()
        time.sleep(0.1)
        engine._config_changed(engine.settings.model_copy(update={"volumes": both[:1]}))
        asking.join(20)
        assert not asking.is_alive()
    catalog = running.sync()
    assert {Path(path).parent for path in files_of(catalog)} == {volume / "trip"}
    assert engine.status()["pending"] == 0
    engine._config_changed(engine.settings.model_copy(update={"volumes": both}))
    assert len(files_of(running.sync())) == 306
    with engine.store.read() as tx:
        assert tx.work.count() == 0


def test_thousands_of_copies_of_one_file_cost_no_more_than_other_files(start: Start, tmp_path: Path) -> None:
    root = tmp_path / "many"
    original = draw(root / "0.png", 1)
    running = start(root)
    running.sync()
    (root / "links").mkdir()
    for number in range(1200):  # hard links: cheap to make, and one content
        os.link(original, root / "links" / f"{number:05}.png")
    began = time.monotonic()
    running.sync()
    first = time.monotonic() - began
    assert running.counters()["decodes"] == 1
    began = time.monotonic()
    running.sync()
    assert time.monotonic() - began < 5
    until(lambda: running.engine.status()["pending"] == 0)
    assert first < 30
