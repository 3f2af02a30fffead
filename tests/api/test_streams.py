"""Server-sent events: no change is lost or told twice, whoever breaks off when; and the server stops at once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.api.conftest import Serve, on_socket
from tests.api.media import draw

from mediad.engine import Engine

_numbers = count(2000)


@contextmanager
def events(client: httpx.Client, path: str, **headers: str) -> Iterator[Iterator[dict[str, str]]]:
    """The events of a stream, as a browser reads them; an event without data only sets the id."""
    with client.stream("GET", path, headers=headers, timeout=30) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _events(answer.iter_lines())


def _events(lines: Iterator[str]) -> Iterator[dict[str, str]]:
    event: dict[str, str] = {}
    for line in lines:
        if not line:
            yield event
            event = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value


def change(volume: Path, engine: Engine) -> str:
    """One change more; the name of the file that it is about."""
    path = draw(volume / "stream" / f"new {next(_numbers)} abc.png", next(_numbers))
    engine.sync(timeout=60)
    return path.name


def feed(engine: Engine) -> list[dict[str, Any]]:
    return engine.changes(0, 100_000)


def test_the_feed_from_the_start_is_the_feed(unix: httpx.Client, engine: Engine) -> None:
    lines = feed(engine)
    assert len(lines) > 20
    with events(unix, "/api/changes?after=0") as stream:
        first, *told = islice(stream, len(lines) + 1)
    assert first == {"id": "0"}
    assert [json.loads(event["data"]) for event in told] == lines
    assert [int(event["id"]) for event in told] == [line["seq"] for line in lines]
    assert [event["event"] for event in told] == [line["type"] for line in lines]


def test_breaking_off_anywhere_loses_and_repeats_nothing(tcp: httpx.Client, engine: Engine, volume: Path) -> None:
    lines = feed(engine)
    told: list[int] = []
    last = "0"
    for portion in (1, 5, 2, 7):
        with events(tcp, "/api/changes", **{"last-event-id": last}) as stream:
            for event in islice(stream, portion + 1):
                last = event["id"]
                if "data" in event:
                    told.append(int(event["id"]))
    assert told == [line["seq"] for line in lines[:15]]


def test_changes_come_as_they_happen_and_after_a_pause(unix: httpx.Client, engine: Engine, volume: Path) -> None:
    with events(unix, "/api/changes") as stream:
        start = next(stream)
        assert start == {"id": str(feed(engine)[-1]["seq"])}
        first = change(volume, engine)
        event = next(event for event in stream if event["event"] == "added")
        assert first in event["data"]
    missed = [change(volume, engine), change(volume, engine)]
    with events(unix, "/api/changes?after=0", **{"last-event-id": event["id"]}) as stream:
        next(stream)
        told: list[dict[str, str]] = []
        while sum(event["event"] == "added" for event in told) < 2:
            told.append(next(stream))
    after = [line for line in feed(engine) if line["seq"] > int(event["id"])]
    assert [json.loads(event["data"]) for event in told] == after[: len(told)]
    assert all(any(name in event["data"] for event in told) for name in missed)


def test_a_number_of_another_feed_is_told_as_a_gap(unix: httpx.Client, engine: Engine) -> None:
    with events(unix, "/api/changes?after=100000000") as stream:
        next(stream)
        gap, first = next(stream), next(stream)
    assert (gap["event"], gap["id"]) == ("gap", "0")
    assert first["id"] == "1"


def test_progress_comes_at_once_and_publications_follow(unix: httpx.Client, engine: Engine, volume: Path) -> None:
    with events(unix, "/api/events") as stream:
        first = next(stream)
        assert first["event"] == "progress"
        assert json.loads(first["data"])["volumes"][0]["path"] == str(volume)
        change(volume, engine)
        before = json.loads(first["data"])["generation"]
        told = (json.loads(event["data"])["generation"] for event in stream if event.get("event") == "published")
        assert next(generation for generation in told if generation > before) == before + 1


def test_silence_is_filled_with_comments(unix: httpx.Client, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediad_service.api.streams._HEARTBEAT", 0.1)
    with unix.stream("GET", "/api/changes") as answer:
        comments = (line for line in answer.iter_lines() if line.startswith(":"))
        assert len(list(islice(comments, 3))) == 3


def test_stopping_ends_open_streams_and_a_sync_that_waits_within_two_seconds(
    serve_on: Serve, engine: Engine, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve_on()
    release, waits = threading.Event(), threading.Event()

    def sync(*_: object, **__: object) -> int:
        waits.set()
        release.wait(30)
        return 1

    monkeypatch.setattr(engine, "sync", sync)
    ended: list[str] = []

    def read(path: str) -> None:
        with on_socket(home / "t.sock") as client, client.stream("GET", path) as answer:
            for _ in answer.iter_raw():
                opened.release()
            ended.append(path)

    def order() -> None:
        with on_socket(home / "t.sock") as client, pytest.raises(httpx.HTTPError):
            client.post("/api/sync", json={})

    opened = threading.Semaphore(0)
    paths = ["/api/changes?after=0", "/api/changes", "/api/events"] * 3
    threads = [threading.Thread(target=read, args=(path,)) for path in paths] + [threading.Thread(target=order)]
    for thread in threads:
        thread.start()
    for _ in paths:
        assert opened.acquire(timeout=20)
    assert waits.wait(20)
    started = time.monotonic()
    server.stop()
    assert time.monotonic() - started < 2.0
    release.set()
    for thread in threads:
        thread.join(10)
    assert sorted(ended) == sorted(paths)
