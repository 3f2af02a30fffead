"""Every route answers what the engine knows, on both sockets alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from mediad.engine import Engine

SECTIONS = ("clusters", "sequences", "videos", "duplicates", "unclustered", "low_quality")


@pytest.fixture(params=["unix", "tcp"])
def client(request: pytest.FixtureRequest) -> httpx.Client:
    found: httpx.Client = request.getfixturevalue(request.param)
    return found


def get(client: httpx.Client, path: str, **params: Any) -> Any:
    answer = client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return answer.json()


def a_file(engine: Engine, name: str) -> dict[str, Any]:
    every = [file for group in engine.entries("clusters") for file in group["files"]] + engine.entries("unclustered")
    every += [file for group in engine.entries("sequences") for file in group["files"]]
    every += [video["metadata"] for video in engine.entries("videos")]
    return next(file for file in every if file["filename"] == name)


def test_status_and_volumes(client: httpx.Client, engine: Engine, volume: Path) -> None:
    status = get(client, "/api/status")
    assert {"state", "generation", "pending", "quarantined", "assets", "volumes", "encoder", "counters"} <= set(status)
    assert status["assets"] == {"images": 25, "videos": 1}
    assert [Path(one["path"]).name for one in status["quarantined"]] == ["broken.jpg"]
    (one,) = get(client, "/api/volumes")
    assert (one["path"], one["state"]) == (str(volume), "online")


@pytest.mark.parametrize("section", SECTIONS)
def test_sections_are_those_of_the_catalog(client: httpx.Client, engine: Engine, section: str) -> None:
    catalog = json.loads((engine.locations.catalog / "catalog.json").read_bytes())
    assert get(client, f"/api/{section}") == catalog[section] == engine.entries(section)


def test_a_section_that_is_the_same_is_not_sent_again(client: httpx.Client) -> None:
    first = client.get("/api/clusters")
    again = client.get("/api/clusters", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get("/api/videos", headers={"if-none-match": first.headers["etag"]}).status_code == 200


def test_parts_of_sections_make_up_the_whole(client: httpx.Client, engine: Engine) -> None:
    for section in ("unclustered", "videos", "duplicates", "low_quality"):
        parts, offset = [], 0
        while part := get(client, f"/api/{section}", offset=offset, limit=2):
            parts += part
            offset += 2
        assert parts == engine.entries(section)
    assert client.get("/api/clusters", params={"limit": 2}).status_code == 422


def test_the_overview_has_the_heads_of_all_groups(client: httpx.Client, engine: Engine) -> None:
    overview = get(client, "/api/overview")
    for kind in ("clusters", "sequences"):
        whole = {group["id"]: group for group in engine.entries(kind)}
        assert [head["id"] for head in overview[kind]] == list(whole)
        for head in overview[kind]:
            group = whole[head["id"]]
            shared = {name for name in head if name in group and head[name] is not None} - {"preview"}
            assert {"name", "count", "directory", "kind"} <= shared
            assert {name: head[name] for name in shared} == {name: group[name] for name in shared}
    assert [head["preview"] for head in overview["clusters"]] == [one["preview"] for one in engine.entries("clusters")]
    assert overview["totals"]["videos"] == 1
    assert overview["totals"]["files"] == 26


def test_files_of_groups_come_in_parts(client: httpx.Client, engine: Engine) -> None:
    groups = [("clusters", one) for one in engine.entries("clusters")]
    groups += [("sequences", one) for one in engine.entries("sequences")]
    assert {kind for kind, _ in groups} == {"clusters", "sequences"}
    for kind, group in groups:
        first = get(client, f"/api/{kind}/{group['id']}/files", limit=3)
        rest = get(client, f"/api/{kind}/{group['id']}/files", offset=3, limit=1000)
        assert first["total"] == rest["total"] == group["count"]
        assert first["files"] + rest["files"] == group["files"]
        assert len(first["files"]) == min(3, group["count"])


def test_a_file_by_its_id(client: httpx.Client, engine: Engine) -> None:
    file = a_file(engine, "rose a.png")
    assert get(client, f"/api/files/{file['id']}") == file


def test_similar_files_by_id_and_by_path(client: httpx.Client, engine: Engine) -> None:
    file = a_file(engine, "rose a.png")
    found = get(client, "/api/similar", what=file["id"], count=5)
    assert len(found) == 5
    assert file["id"] not in [one["file"]["id"] for one in found]
    scores = [one["score"] for one in found]
    assert scores == sorted(scores, reverse=True)
    assert get(client, "/api/similar", what=file["filepath"], count=5) == found


def test_search_by_a_picture_is_for_the_unix_socket_only(unix: httpx.Client, tcp: httpx.Client, volume: Path) -> None:
    query = {"path": str(volume / "roses" / "rose b.png"), "count": 3}
    found = unix.post("/api/search/image", json=query).json()
    assert found[0]["file"]["filename"] == "rose b.png"
    assert len(found) == 3
    for path in ("/api/search/image", "/api/search/image%0A", "/api/search/image/"):
        assert tcp.post(path, json=query, follow_redirects=True).status_code in (403, 404)


def test_orders_are_carried_out(client: httpx.Client, engine: Engine, volume: Path) -> None:
    generation = client.post("/api/sync", json={"path": str(volume), "clusters": True, "timeout": 60}).json()
    assert generation["generation"] == engine.status()["generation"]
    assert client.post("/api/sync", json={}).json()["generation"] >= generation["generation"]
    assert client.post("/api/reload", json={}).status_code == 202
    assert client.post("/api/quarantine/retry", json={}).json() == {"files": 1}
    engine.sync(timeout=60)
    assert len(engine.status()["quarantined"]) == 1
    before = engine.status()["counters"]["reclusters"]
    assert client.post("/api/recluster", json={}).status_code == 202
    engine.sync(clusters=True, timeout=60)
    assert engine.status()["counters"]["reclusters"] == before + 1


def test_a_cluster_is_renamed_and_gets_its_name_back(client: httpx.Client, engine: Engine) -> None:
    cluster = engine.entries("clusters")[0]
    assert client.put(f"/api/clusters/{cluster['id']}/name", json={"name": "  My \n roses "}).json() == {
        "name": "My roses"
    }
    (head,) = [one for one in get(client, "/api/overview")["clusters"] if one["id"] == cluster["id"]]
    assert (head["name"], head["renamed"]) == ("My roses", True)
    assert client.put(f"/api/clusters/{cluster['id']}/name", json={"name": None}).json() == {"name": None}
    assert engine.entries("clusters")[0]["name"] == cluster["name"]


def test_health(client: httpx.Client) -> None:
    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").status_code == 200


def test_metrics_in_the_text_format(client: httpx.Client, engine: Engine, volume: Path) -> None:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = answer.text.splitlines()
    assert f"mediad_decodes_total {float(engine.status()['counters']['decodes'])}" in lines
    assert f"mediad_generation {float(engine.status()['generation'])}" in lines
    assert 'mediad_assets{kind="images"} 25.0' in lines
    assert f'mediad_volume_online{{volume="{volume.name}"}} 1.0' in lines
    assert "mediad_quarantined_files 1.0" in lines
    assert any(line.startswith('mediad_resident_bytes{process="daemon"} ') for line in lines)


def test_the_description_lists_every_route_with_words(client: httpx.Client) -> None:
    described = get(client, "/openapi.json")
    operations = [one for methods in described["paths"].values() for one in methods.values()]
    assert len(operations) > 20
    assert all(one["description"] for one in operations)
    assert len({one["operationId"] for one in operations}) == len(operations)
    assert {"/api/sync", "/api/changes", "/metrics", "/previews/{folder}/{name}"} <= set(described["paths"])
