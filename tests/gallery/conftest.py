"""The page on real pictures with an encoder that knows words, in a real browser."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mediad.config.locations import locate
from mediad.config.settings import HttpSettings, ScheduleSettings, Settings, VolumeSettings
from mediad.engine import Engine
from mediad_service.api import Server, serve

CLASSES = ("sunflower", "car_side", "brain")


@pytest.fixture(scope="module")
def library(shared: Path) -> Iterator[Path]:
    """Three sorts of photos, frames, a video, a file that is no picture; with a path short enough for a socket."""
    root = Path(tempfile.mkdtemp(prefix="mediad-page-", dir="/tmp"))
    for name in CLASSES:
        (root / "photos" / name).mkdir(parents=True)
        for path in sorted((shared / "media" / "labelled" / name).iterdir())[:10]:
            shutil.copyfile(path, root / "photos" / name / path.name)
    (root / "photos" / "frames").mkdir()
    for path in sorted((shared / "media" / "sequence" / "bedroom").iterdir())[:12]:
        shutil.copyfile(path, root / "photos" / "frames" / path.name)
    shutil.copyfile(shared / "media" / "video" / "intel" / "bird.mkv", root / "photos" / "bird.mkv")
    (root / "photos" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 this is no picture")
    yield root
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def engine(library: Path, mini_clip: str) -> Iterator[Engine]:
    settings = Settings(
        encoder=mini_clip,
        volumes=(VolumeSettings(path=library / "photos"), VolumeSettings(path=library / "away")),
        schedule=ScheduleSettings(settle=0.1),
        http=HttpSettings(port=0),
    )
    engine = Engine(locate(state_dir=library / "state", environ={"HOME": str(library)}), settings)
    engine.start()
    try:
        engine.sync(clusters=True, timeout=170)
        yield engine
    finally:
        engine.stop()


@pytest.fixture(scope="module")
def server(engine: Engine) -> Iterator[Server]:
    server = serve(engine, engine.settings, engine.locations)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium, as the system has it."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("needs a browser: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
