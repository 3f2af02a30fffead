"""Slow readers hold up nobody: not the loop, not the store's pages, not the threads."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.api.conftest import Serve, on_socket

from mediad.catalog.build import SECTIONS
from mediad.engine import Engine
from mediad_service.api import Server

LARGE = b"[" + b",".join(b'{"n":%09d}' % number for number in range(400_000)) + b"]"


@pytest.fixture
def large(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Have the sections be of some megabytes; how many times one was made."""
    made: list[int] = []

    def section(name: str) -> Iterator[bytes]:
        made.append(1)
        with engine.store.read():
            for at in range(0, len(LARGE), 100_000):
                yield LARGE[at : at + 100_000]

    monkeypatch.setattr(engine, "section", section)
    return made


def ask_slowly(path: Path, request: str) -> socket.socket:
    """Ask, and take nothing of the answer yet."""
    raw = socket.socket(socket.AF_UNIX)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect(str(path))
    raw.sendall(f"GET {request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
    return raw


def read_all(raw: socket.socket) -> bytes:
    raw.settimeout(30)
    parts = []
    while part := raw.recv(1 << 20):
        parts.append(part)
    return b"".join(parts).partition(b"\r\n\r\n")[2]


def test_fifty_slow_readers(unix: httpx.Client, server: Server, home: Path, engine: Engine, large: list[int]) -> None:
    readers = [ask_slowly(home / "mediad.sock", f"/api/{SECTIONS[at % 3]}") for at in range(50)]
    for _ in range(20):
        started = time.monotonic()
        assert unix.get("/livez").status_code == 200
        assert time.monotonic() - started < 1.0
    assert unix.get("/api/status").status_code == 200
    assert unix.get("/api/volumes").status_code == 200
    deadline = time.monotonic() + 20
    while engine.store._readers:  # sections are made at our speed; then no reader sees the store any more
        assert time.monotonic() < deadline
        time.sleep(0.01)
    for raw in readers:
        assert read_all(raw) == LARGE
        raw.close()
    assert len(large) <= 10  # readers of the same state share one


def test_a_reader_that_takes_nothing_is_dropped(
    serve_on: Serve, home: Path, large: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediad_service.api.guard._STALL", 0.3)
    serve_on()
    raw = ask_slowly(home / "t.sock", "/api/clusters")
    time.sleep(1.0)  # nothing tells that it was dropped until it reads
    raw.settimeout(10)
    got = b""
    with pytest.raises(ConnectionResetError):  # noqa: PT012 - one read more ends it
        while part := raw.recv(1 << 20):
            got += part
        if len(got) < len(LARGE):
            raise ConnectionResetError
    assert len(got) < len(LARGE)
    raw.close()


def test_stopping_does_not_wait_for_those_who_take_nothing(serve_on: Serve, home: Path, large: list[int]) -> None:
    server = serve_on()
    readers = [ask_slowly(home / "t.sock", "/api/clusters") for _ in range(5)]
    for raw in readers:
        assert raw.recv(8) == b"HTTP/1.1"
    started = time.monotonic()
    server.stop()
    assert time.monotonic() - started < 2.0
    for raw in readers:
        raw.close()


def test_searches_that_hang_leave_the_rest_alone(
    unix: httpx.Client, engine: Engine, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr(engine, "similar", lambda *_: release.wait(30) and [])

    def search() -> None:
        with on_socket(home / "mediad.sock") as client:
            assert client.get("/api/similar?what=x").json() == []

    threads = [threading.Thread(target=search) for _ in range(20)]
    for thread in threads:
        thread.start()
    assert unix.get("/livez").status_code == 200
    assert unix.get("/api/status").status_code == 200
    name = engine.entries("clusters")[0]["preview"]
    assert unix.get(f"/{name}").status_code == 200
    release.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()


def test_clients_that_vanish_leave_nothing_behind(
    unix: httpx.Client, home: Path, engine: Engine, large: list[int]
) -> None:
    for request in ("/api/clusters", "/api/changes", "/api/events", "/api/status") * 5:
        raw = ask_slowly(home / "mediad.sock", request)
        raw.recv(10)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
    assert unix.get("/livez").status_code == 200
    assert not engine.store._readers
