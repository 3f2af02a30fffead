"""A large part of an online volume vanishes at once: held as suspect, confirmed by a later scan or by the user."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.engine.conftest import Running, draw, files_of, mounted_at
from tests.engine.pipe import until

from mediad.engine import EngineError
from mediad.workers import brake

Start = Callable[..., Running]
COUNT = 120


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    root = tmp_path / "volume"
    for seed in range(COUNT):
        draw(root / ("old" if seed < 100 else "new") / f"{seed:03}.png", seed, (16, 12))
    return root


def suspect(running: Running) -> dict[str, Any] | None:
    (volume,) = running.engine.status()["volumes"]
    found: dict[str, Any] | None = volume["suspect"]
    return found


def of(running: Running, kind: str) -> int:
    return sum(line["type"] == kind for line in running.changes())


def test_what_vanished_at_once_is_held_and_named_until_the_user_confirms_it(start: Start, volume: Path) -> None:
    running = start(volume)
    assert len(files_of(running.sync())) == COUNT
    shutil.rmtree(volume / "old")
    assert len(files_of(running.sync())) == COUNT
    found = suspect(running)
    assert found is not None
    assert found["files"] == 100
    assert found["paths"][0].startswith(str(volume / "old"))
    assert len(files_of(running.sync())) == COUNT  # another scan, not a minute later
    assert of(running, "missing") == 0
    with pytest.raises(EngineError, match="volumes list"):
        running.engine.confirm_missing("nothing")
    assert running.engine.confirm_missing("volume") == 100
    assert len(files_of(running.sync())) == COUNT - 100
    assert of(running, "missing") == 100
    assert suspect(running) is None
    assert running.engine.confirm_missing(str(volume)) == 0


@pytest.mark.long
def test_a_full_scan_a_minute_later_confirms_it_by_itself(
    start: Start, volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brake, "CONFIRM_AFTER", 3.0)  # the minute
    running = start(volume)
    running.sync()
    shutil.rmtree(volume / "old")
    began = time.monotonic()
    until(lambda: suspect(running) is not None, 10)
    until(lambda: suspect(running) is None, 20)
    assert time.monotonic() - began > 3.0
    until(lambda: of(running, "missing") == 100, 10)


@pytest.mark.long
def test_what_comes_back_was_never_missing(start: Start, volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brake, "CONFIRM_AFTER", 4.0)
    running = start(volume)
    running.sync()
    away = volume.with_name("aside")
    (volume / "old").rename(away)
    running.sync()
    assert suspect(running) is not None
    away.rename(volume / "old")
    running.sync()
    assert suspect(running) is None
    time.sleep(5)
    assert len(files_of(running.sync())) == COUNT
    assert {line["type"] for line in running.changes()} == {"added"}
    assert running.counters()["decodes"] == COUNT


def test_few_files_and_small_parts_are_believed_at_once(start: Start, volume: Path) -> None:
    running = start(volume)
    running.sync()
    for path in sorted((volume / "old").iterdir())[:50]:  # many of 120, but not more than 50
        path.unlink()
    assert len(files_of(running.sync())) == COUNT - 50
    assert suspect(running) is None


@pytest.mark.long
def test_bit_by_bit_is_at_once(start: Start, volume: Path) -> None:
    running = start(volume)
    running.sync()
    for number, path in enumerate(sorted((volume / "old").iterdir())):
        path.unlink()
        if number % 20 == 19:
            running.sync()
    found = suspect(running)
    assert found is not None
    assert found["files"] + of(running, "missing") == 100
    assert of(running, "missing") <= 50


@pytest.mark.long
def test_moves_and_copies_elsewhere_are_no_disappearance(start: Start, volume: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    running = start(volume, other)
    before = {Path(path).name: file["id"] for path, file in files_of(running.sync()).items()}
    (volume / "old").rename(volume / "renamed")
    after = files_of(running.sync())
    assert {Path(path).name: file["id"] for path, file in after.items()} == before
    shutil.move(volume / "renamed", other / "moved")
    after = files_of(running.sync())
    assert {Path(path).name: file["id"] for path, file in after.items()} == before
    assert {Path(path).parent.name for path in after} == {"moved", "new"}
    assert all(one["suspect"] is None for one in running.engine.status()["volumes"])
    assert (of(running, "missing"), of(running, "moved")) == (0, 200)
    assert running.counters()["decodes"] == COUNT


@pytest.mark.long
def test_suspects_are_remembered_over_a_restart(start: Start, volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running = start(volume)
    running.sync()
    shutil.rmtree(volume / "old")
    running.sync()
    running.engine.stop()
    second = start(volume)
    second.sync()
    found = suspect(second)
    assert found is not None
    assert found["files"] == 100
    second.engine.stop()
    monkeypatch.setattr(brake, "CONFIRM_AFTER", 0.0)  # as if a minute had passed
    third = start(volume)
    third.sync()
    assert suspect(third) is None
    assert of(third, "missing") == 100


@pytest.fixture
def nested(volume: Path) -> Iterator[Path]:
    """A drive mounted inside the volume."""
    with mounted_at(volume / "stick") as point:
        yield point


def test_a_drive_inside_the_volume_that_is_unplugged_is_not_an_emptied_folder(
    start: Start, volume: Path, nested: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brake, "CONFIRM_AFTER", 1.0)
    for seed in range(3):  # far too few for the brake
        draw(nested / f"{seed}.png", 1000 + seed)
    running = start(volume)
    running.sync()
    held = tmp_path / "held"
    held.mkdir()
    subprocess.run(["mount", "--bind", nested, held], check=True)
    try:
        subprocess.run(["umount", "--lazy", nested], check=True)
        running.sync()
        time.sleep(2)
        assert len(files_of(running.sync())) == COUNT + 3
        assert of(running, "missing") == 0
        found = suspect(running)
        assert found is not None
        assert (found["files"], found["since"]) == (3, None)
        subprocess.run(["mount", "--bind", held, nested], check=True)
    finally:
        subprocess.run(["umount", held], check=True)
    running.sync()
    assert suspect(running) is None
    assert running.counters()["decodes"] == COUNT + 3
    subprocess.run(["umount", nested], check=True)
    running.sync()
    assert running.engine.confirm_missing("volume") == 3
    running.sync()
    assert of(running, "missing") == 3
