"""A real engine with a small library of everything, and servers for it on sockets of their own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.api.media import make_library

from mediad.config.locations import locate
from mediad.config.settings import ClusteringSettings, HttpSettings, ScheduleSettings, Settings, VolumeSettings
from mediad.engine import Engine
from mediad_service.api import Server

Serve = Callable[..., Server]


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A directory with a path that is short enough for unix sockets."""
    path = Path(tempfile.mkdtemp(prefix="mediad-api-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def volume(home: Path) -> Path:
    return make_library(home / "volume")


@pytest.fixture(scope="session")
def engine(home: Path, volume: Path) -> Iterator[Engine]:
    """Knows no text, has two clusters, is in step with `volume`."""
    settings = Settings(
        encoder="descriptor",
        volumes=(VolumeSettings(path=volume),),
        clustering=ClusteringSettings(method="kmeans", reduce="none", clusters=2),
        schedule=ScheduleSettings(settle=0.1),
    )
    engine = Engine(locate(state_dir=home / "state", environ={"HOME": str(home)}), settings)
    engine.start()
    try:
        engine.sync(timeout=120)
        engine.recluster()
        engine.sync(clusters=True, timeout=120)
        yield engine
    finally:
        engine.stop()


@pytest.fixture
def serve_on(engine: Engine, home: Path) -> Iterator[Serve]:
    """Start a server with these settings of http; all are stopped at the end of the test."""
    with ExitStack() as stack:

        def start(**http: Any) -> Server:
            chosen = HttpSettings(**{"port": 0, "socket": str(home / "t.sock"), **http})
            server = Server(engine, chosen, Path(chosen.socket))
            server.start()
            stack.callback(server.stop)
            return server

        yield start


@pytest.fixture(scope="module")
def server(engine: Engine, home: Path) -> Iterator[Server]:
    server = Server(engine, HttpSettings(port=0), home / "mediad.sock")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def unix(server: Server, home: Path) -> Iterator[httpx.Client]:
    """Asks on the unix socket."""
    with on_socket(home / "mediad.sock") as client:
        yield client


@pytest.fixture(scope="module")
def tcp(server: Server) -> Iterator[httpx.Client]:
    """Asks over TCP, as a program does."""
    with httpx.Client(base_url=server.page or "", timeout=30) as client:
        yield client


def on_socket(path: Path) -> httpx.Client:
    return httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://localhost", timeout=30)
