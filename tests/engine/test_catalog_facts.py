"""Settings and facts that go through the engine into the catalog and the encoder."""

from __future__ import annotations

import resource
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from tests.engine.conftest import Running, draw
from tests.engine.pipe import until

from mediad.config.locations import locate
from mediad.config.settings import ClusteringSettings, DuplicatesSettings, LimitsSettings, Settings, VolumeSettings
from mediad.engine import options
from mediad.workers.stopwatch import Stopwatch


def test_tiers_of_duplicates_take_effect_at_once(start: Callable[..., Running], tmp_path: Path) -> None:
    shutil.copy(draw(tmp_path / "volume" / "a.png", 1), tmp_path / "volume" / "b.png")
    running = start(tmp_path / "volume")
    assert len(running.sync()["duplicates"]) == len(running.engine.entries("duplicates")) == 1
    running.engine._config_changed(
        running.engine.settings.model_copy(update={"duplicates": DuplicatesSettings(tiers=())})
    )
    assert running.sync()["duplicates"] == running.engine.entries("duplicates") == []


def test_names_of_one_file_are_no_copies_of_it(start: Callable[..., Running], tmp_path: Path) -> None:
    """Who removes all that is identical to the keeper must never remove the file that the keeper is a link to."""
    volume = tmp_path / "volume"
    file = draw(volume / "folder" / "a picture.png", 1)
    (volume / "a.png").symlink_to(file)
    (volume / "b.png").hardlink_to(file)
    shutil.copy2(file, volume / "folder" / "a picture (1).png")
    running = start(VolumeSettings(path=volume, follow_symlinks=True))
    (group,) = running.sync()["duplicates"]
    assert {one["filepath"].removeprefix(f"{volume}/"): one["relation"] for one in group["files"]} == {
        "a.png": "keeper",
        "b.png": "same_file",
        "folder/a picture.png": "same_file",
        "folder/a picture (1).png": "identical",
    }


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the limits of another process")
@pytest.mark.parametrize(("megabytes", "limit"), [(0, resource.RLIM_INFINITY), (16_000, 16_000 * 1_000_000)])
def test_the_encoder_gets_its_memory_limit(megabytes: int, limit: int, tmp_path: Path) -> None:
    locations = locate(state_dir=tmp_path, environ={"HOME": str(tmp_path)})
    settings = Settings(limits=LimitsSettings(encoder_memory_mb=megabytes))
    encoder = options.make_encoder(locations, settings)("descriptor")
    try:
        encoder.info()
        assert encoder.pid is not None
        assert resource.prlimit(encoder.pid, resource.RLIMIT_AS) == (limit, limit)
    finally:
        encoder.stop()


def test_the_catalog_tells_what_took_how_long(start: Callable[..., Running], tmp_path: Path) -> None:
    for number in range(12):
        draw(tmp_path / "volume" / f"shot_{number:04d}.png", 1)
        draw(tmp_path / "volume" / "other" / f"{number}.png", number)
    running = start(tmp_path / "volume", clustering=ClusteringSettings(method="kmeans", reduce="none", clusters=2))
    running.engine.recluster()
    catalog = running.sync(clusters=True)
    assert catalog["sequences"][0]["preview_gif"]
    timing = catalog["metadata"]["timing"]
    assert min(timing.values()) > 0, timing
    parts = ("file_discovery", "directory_grouping", "clustering", "sequence_naming", "gif_creation")
    assert all(timing[f"{part}_seconds"] <= timing["total_seconds"] for part in parts)
    until(lambda: running.engine._stopwatch._began is None)  # at rest: what comes now is another pass
    draw(tmp_path / "volume" / "other" / "new.png", 100)
    later = running.sync()["metadata"]["timing"]
    assert later["gif_creation_seconds"] == timing["gif_creation_seconds"]
    assert later["directory_grouping_seconds"] != timing["directory_grouping_seconds"]
    assert later["total_seconds"] < timing["total_seconds"]


def test_animations_of_videos_are_in_the_timing(start: Callable[..., Running], tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    with av.open(str(tmp_path / "volume" / "a.avi"), "w") as film:
        stream = film.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 64, 48
        noise = np.random.default_rng(1).integers(0, 255, (30, 48, 64, 3), np.uint8)
        for picture in noise:
            film.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        film.mux(stream.encode())
    catalog = start(tmp_path / "volume").sync()
    assert catalog["videos"][0]["preview_gif"]
    assert catalog["metadata"]["timing"]["gif_creation_seconds"] > 0


def test_timing_does_not_publish(start: Callable[..., Running], tmp_path: Path) -> None:
    draw(tmp_path / "volume" / "a.png", 1)
    running = start(tmp_path / "volume")
    before = running.sync()
    assert running.sync() == before


def test_a_stopwatch_adds_up_pass_by_pass() -> None:
    watch = Stopwatch()
    watch.add("gif_creation", 1.0)
    watch.add("gif_creation", 2.0)
    watch.add("file_discovery", 4.0)
    assert (watch.timing().gif_creation_seconds, watch.timing().file_discovery_seconds) == (3.0, 4.0)
    assert watch.timing().total_seconds == pytest.approx(1.0, abs=0.5)
    watch.rest()
    watch.add("gif_creation", 0.0)
    with watch.measure("file_discovery"):
        time.sleep(0.01)
    assert watch.timing().gif_creation_seconds == 3.0
    assert 0.01 <= watch.timing().file_discovery_seconds < 4.0
    assert watch.timing().total_seconds < 1.0
