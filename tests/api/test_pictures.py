"""Previews, originals and moving previews: the right bytes, inert, and nothing else of the disk."""

from __future__ import annotations

import io
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from tests.api.media import draw
from tests.api.test_routes import a_file

from mediad.engine import Engine
from mediad_service.api import Server


@pytest.fixture
def odd(engine: Engine, volume: Path) -> Iterator[list[dict[str, Any]]]:
    """Files that come for one test."""
    made = [draw(volume / "odd" / 'a "b" ü.tiff', 900), draw(volume / "odd" / "plain.png", 901)]
    engine.sync(timeout=60)
    yield [a_file(engine, path.name) for path in made]
    for path in (volume / "odd").iterdir():
        path.unlink()
    (volume / "odd").rmdir()
    engine.sync(timeout=60)


def test_a_preview_is_served_once_and_for_all(unix: httpx.Client, engine: Engine) -> None:
    name = a_file(engine, "rose a.png")["preview"]
    answer = unix.get(f"/{name}")
    assert answer.content == (engine.locations.catalog / name).read_bytes()
    assert answer.headers["content-type"] == "image/jpeg"
    assert "immutable" in answer.headers["cache-control"]
    again = unix.get(f"/{name}", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/previews/../catalog.json",
        "/previews/%2e%2e/catalog.json",
        "/previews/..%2fcatalog.json",
        "/previews/aa/..%2f..%2fcatalog.json",
        "/previews/aa/%2e%2e%2f%2e%2e%2fcatalog.json",
        "/previews//etc/passwd",
        "/previews/%2fetc/passwd",
        "/previews/aa/.hidden",
        "/previews/aa/nothing.jpg",
        "/previews/aa/%00.jpg",
        "/previews/./x",
        "/static/../api/status",
        "/static/..%2fapi%2f__init__.py",
        "/static/__init__.py",
    ],
)
def test_nothing_but_previews_can_be_had(server: Server, home: Path, path: str) -> None:
    with socket.socket(socket.AF_UNIX) as raw:  # clients tidy paths up before they send them
        raw.settimeout(10)
        raw.connect(str(home / "mediad.sock"))
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        got = b"".join(iter(lambda: raw.recv(1 << 16), b""))
    assert got.startswith(b"HTTP/1.1 404 ")
    assert b'{"error":' in got


def test_an_original_is_the_file_itself(tcp: httpx.Client, engine: Engine) -> None:
    file = a_file(engine, "rose a.png")
    answer = tcp.get(f"/api/files/{file['id']}/original")
    assert answer.content == Path(file["filepath"]).read_bytes()
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-disposition"].startswith("inline")
    assert "sandbox" in answer.headers["content-security-policy"]
    head = tcp.head(f"/api/files/{file['id']}/original")
    assert (head.content, head.headers["content-length"]) == (b"", str(file["filesize"]))


def test_an_original_comes_in_ranges(tcp: httpx.Client, engine: Engine) -> None:
    file = a_file(engine, "film.mp4")
    whole = Path(file["filepath"]).read_bytes()
    url = f"/api/files/{file['id']}/original"
    part = tcp.get(url, headers={"range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole)}"
    assert part.headers["content-type"] == "video/mp4"
    assert tcp.get(url, headers={"range": "bytes=-10"}).content == whole[-10:]
    assert tcp.get(url, headers={"range": f"bytes={len(whole)}-"}).status_code == 416


def test_what_browsers_do_not_show_is_offered_for_saving(tcp: httpx.Client, odd: list[dict[str, Any]]) -> None:
    answer = tcp.get(f"/api/files/{odd[0]['id']}/original")
    assert answer.content == Path(odd[0]["filepath"]).read_bytes()
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment; filename*=utf-8''a%20%22b%22%20%C3%BC.tiff"


def test_a_file_that_became_a_link_out_of_the_volume_is_not_followed(
    tcp: httpx.Client, odd: list[dict[str, Any]], home: Path
) -> None:
    secret = home / "secret.png"
    secret.write_text("not for you")
    path = Path(odd[1]["filepath"])
    aside = path.with_suffix(".aside")
    path.rename(aside)
    path.symlink_to(secret)
    answer = tcp.get(f"/api/files/{odd[1]['id']}/original")
    assert (answer.status_code, "not for you" in answer.text) == (404, False)
    path.unlink()
    os.mkfifo(path)
    assert tcp.get(f"/api/files/{odd[1]['id']}/original").status_code == 404  # at once: a FIFO would never end
    path.unlink()
    assert "cannot be read now" in tcp.get(f"/api/files/{odd[1]['id']}/original").json()["error"]


def test_videos_and_sequences_move(unix: httpx.Client, engine: Engine) -> None:
    (video,), (sequence,) = engine.entries("videos"), engine.entries("sequences")
    by_id = unix.get(f"/api/files/{video['id']}/animation")
    assert by_id.headers["content-type"] == "image/gif"
    assert by_id.content == unix.get(f"/{video['preview_gif']}").content
    for data in (by_id.content, unix.get(f"/{sequence['preview_gif']}").content):
        with Image.open(io.BytesIO(data)) as picture:
            assert getattr(picture, "n_frames", 1) > 2
    still = a_file(engine, "rose a.png")
    assert unix.get(f"/api/files/{still['id']}/animation").content == unix.get(f"/{still['preview']}").content
