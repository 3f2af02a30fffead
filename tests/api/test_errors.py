"""What is asked wrongly, or cannot be answered, gets its status and a text that says what to do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from tests.api.conftest import Serve, on_socket

from mediad.engine import Engine

UNKNOWN = "0123456789abcdef"


def error(answer: httpx.Response) -> tuple[int, str]:
    content = answer.json()
    assert set(content) == {"error"}
    return answer.status_code, content["error"]


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        (f"/api/files/{UNKNOWN}", 404, UNKNOWN),
        ("/api/files/no-id", 404, "no-id"),
        (f"/api/files/{UNKNOWN}/original", 404, UNKNOWN),
        (f"/api/files/{UNKNOWN}/animation", 404, UNKNOWN),
        (f"/api/similar?what={UNKNOWN}", 404, "sync"),
        ("/api/clusters/none/files", 404, "none"),
        ("/api/nothing", 422, "section"),
        ("/nothing", 404, "/docs"),
        ("/static/nothing.js", 404, "nothing.js"),
        ("/api/search?text=a+rose", 409, "open_clip"),
        ("/api/search", 422, "text"),
        ("/api/search?text=", 422, "text"),
        ("/api/search?text=a&count=0", 422, "count"),
        ("/api/similar?what=x&count=1001", 422, "count"),
        ("/api/changes?after=-1", 422, "after"),
        ("/api/changes?after=x", 422, "after"),
    ],
)
def test_questions(unix: httpx.Client, path: str, status: int, says: str) -> None:
    got, text = error(unix.get(path))
    assert got == status
    assert says in text


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "says"),
    [
        ("POST", "/api/sync", {"path": "/nowhere/at/all"}, 422, "volumes list"),
        ("POST", "/api/sync", {"timeout": 0.0}, 504, ""),
        ("POST", "/api/sync", {"timeout": "soon"}, 422, "timeout"),
        ("POST", "/api/search/image", {"path": "/nowhere.jpg"}, 422, "nowhere.jpg"),
        ("POST", "/api/search/image", {}, 422, "path"),
        ("PUT", "/api/clusters/none/name", {"name": "x"}, 404, "none"),
        ("PUT", "/api/clusters/none/name", {}, 422, "name"),
        ("DELETE", "/api/status", None, 405, "Method"),
    ],
)
def test_orders(unix: httpx.Client, method: str, path: str, body: Any, status: int, says: str) -> None:
    got, text = error(unix.request(method, path, json=body))
    assert got == status
    assert says in text


def test_a_file_that_is_no_picture(unix: httpx.Client, volume: Path) -> None:
    status, text = error(unix.post("/api/search/image", json={"path": str(volume / "broken.jpg")}))
    assert status == 422
    assert text


def test_bodies_are_small_and_of_known_length(unix: httpx.Client) -> None:
    assert error(unix.post("/api/sync", content=b" " * 70_000))[0] == 413
    assert error(unix.post("/api/sync", content=iter([b"{}"])))[0] == 413


def test_a_bug_is_an_answer_too(serve_on: Serve, engine: Engine, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("a secret of the inside")

    serve_on()
    monkeypatch.setattr(engine, "status", fail)
    with on_socket(home / "t.sock") as client, structlog.testing.capture_logs() as logs:
        status, text = error(client.get("/api/status"))
        assert (status, "secret" in text) == (500, False)
        assert client.get("/livez").status_code == 200
    assert [entry["path"] for entry in logs if entry["log_level"] == "error"] == ["/api/status"]


def test_a_stuck_loop_is_not_alive_and_a_new_volume_not_ready(
    unix: httpx.Client, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "stuck", lambda: ["publisher"])
    assert error(unix.get("/livez")) == (503, "no sign of life from: publisher")
    monkeypatch.setattr(engine, "activity", lambda: "starting")
    assert error(unix.get("/readyz")) == (503, "mediad is starting")
