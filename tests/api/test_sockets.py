"""Whose sockets they are, what is in their place, and what is left of them."""

from __future__ import annotations

import socket
import stat
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import structlog
from tests.api.conftest import Serve, on_socket

from mediad.config.locations import locate
from mediad.config.settings import HttpSettings, Settings
from mediad.engine import Engine
from mediad_service.api import Server, SocketTaken, serve
from mediad_service.api.listen import is_answered


def test_the_socket_is_for_this_user_alone(serve_on: Serve, home: Path) -> None:
    path = home / "fresh" / "deeper" / "s.sock"
    serve_on(socket=str(path), enabled=False)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with on_socket(path) as client:
        assert client.get("/livez").status_code == 200


def test_what_a_killed_daemon_left_is_replaced(serve_on: Serve, home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(home / "t.sock"))
    assert not is_answered(home / "t.sock")
    serve_on()
    with on_socket(home / "t.sock") as client:
        assert client.get("/livez").status_code == 200


def test_the_socket_of_a_living_daemon_is_left_alone(serve_on: Serve, home: Path) -> None:
    serve_on()
    with pytest.raises(SocketTaken, match="stop it first"):
        serve_on()
    with on_socket(home / "t.sock") as client:
        assert client.get("/livez").status_code == 200


def test_a_file_in_its_place_is_left_alone(serve_on: Serve, home: Path) -> None:
    path = home / "precious"
    path.write_text("letters")
    with pytest.raises(SocketTaken, match="remove it"):
        serve_on(socket=str(path))
    assert path.read_text() == "letters"


def test_stopping_removes_our_socket_but_no_other_daemons(engine: Engine, home: Path) -> None:
    path = home / "mine.sock"
    server = Server(engine, HttpSettings(enabled=False), path)
    server.start()
    server.stop()
    assert not path.exists()
    server.start()
    path.unlink()
    other = Server(engine, HttpSettings(enabled=False), path)
    other.start()
    server.stop()
    with on_socket(path) as client:
        assert client.get("/livez").status_code == 200
    other.stop()
    other.stop()  # once more does nothing


def test_any_free_port_and_the_address_of_the_page(serve_on: Serve, engine: Engine) -> None:
    server = serve_on()
    assert server.page == engine.page == engine.status()["page"]
    assert urlsplit(server.page or "").port not in (0, None)
    assert httpx.get(server.page or "").text.startswith("<!doctype html>")
    server.stop()
    assert server.page is engine.page is engine.status()["page"] is None


def test_a_taken_port_is_a_warning_and_the_commands_go_on(serve_on: Serve, home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, structlog.testing.capture_logs() as logs:
        port = other.getsockname()[1]
        assert serve_on(port=port).page is None
    (warning,) = [entry for entry in logs if entry["log_level"] == "warning"]
    assert f"port {port} is taken" in warning["reason"]
    with on_socket(home / "t.sock") as client:
        assert client.get("/livez").status_code == 200


def test_without_tcp(serve_on: Serve) -> None:
    assert serve_on(enabled=False).page is None


def test_serve_takes_its_places_from_the_settings(engine: Engine, home: Path) -> None:
    server = serve(engine, Settings(http=HttpSettings(port=0)), locate(state_dir=home / "other state", environ={}))
    server.start()
    with on_socket(home / "other state" / "mediad.sock") as client:
        assert client.get("/livez").status_code == 200
    server.stop()


def test_an_idle_server_sleeps(serve_on: Serve) -> None:
    """Counted by the kernel: how often its threads gave up the processor."""
    before = {thread for thread in threading.enumerate() if thread.name.startswith("http")}
    server = serve_on()
    with httpx.Client(base_url=server.page or "") as client:  # with a connection that is kept
        client.get("/api/status")
        ours = [one for one in threading.enumerate() if one.name.startswith("http") and one not in before]
        assert {thread.name for thread in ours} >= {"http", "http-events"}
        if not Path("/proc/self/task").exists():
            pytest.skip("needs Linux's /proc")
        time.sleep(0.5)  # until the threads that answered sleep again
        started = [switches(thread) for thread in ours]
        time.sleep(2.0)
        assert [switches(thread) for thread in ours] == started


def switches(thread: threading.Thread) -> int:
    lines = Path(f"/proc/self/task/{thread.native_id}/status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)
