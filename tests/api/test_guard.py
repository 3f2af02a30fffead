"""Over TCP: who may ask what from where."""

from __future__ import annotations

import socket
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from tests.api.conftest import Serve, on_socket

from mediad_service.api.guard import allowed_hosts

TOKEN = "a-token-of-some-length"
BEARER = {"authorization": f"Bearer {TOKEN}"}


def port_of(client: httpx.Client) -> int:
    port = client.base_url.port
    assert port is not None
    return port


def test_only_names_of_this_server_are_answered(tcp: httpx.Client) -> None:
    port = port_of(tcp)
    for good in (f"127.0.0.1:{port}", f"localhost:{port}", f"[::1]:{port}", f"LOCALHOST:{port}"):
        assert tcp.get("/api/status", headers={"host": good}).status_code == 200
    for bad in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port + 1}", f"localhost.evil:{port}"):
        for path in ("/", "/api/status", "/livez", "/static/app.js", "/nothing"):
            answer = tcp.get(path, headers={"host": bad})
            assert answer.status_code == 421
            assert "mediad status" in answer.json()["error"]


def test_a_request_without_host_is_refused(tcp: httpx.Client) -> None:
    with socket.create_connection(("127.0.0.1", port_of(tcp))) as raw:
        raw.sendall(b"GET /api/status HTTP/1.0\r\n\r\n")
        assert b" 421 " in raw.recv(200)


def test_names_by_the_address_that_is_bound() -> None:
    assert allowed_hosts("127.0.0.1", 80) == frozenset(
        {"127.0.0.1", "localhost", "[::1]", "127.0.0.1:80", "localhost:80", "[::1]:80"}
    )
    assert "192.168.1.5:99" in (allowed_hosts("192.168.1.5", 99) or ())
    assert "[fd00::1]:99" in (allowed_hosts("fd00::1", 99) or ())
    assert "nas.home:99" in (allowed_hosts("NAS.home", 99) or ())
    assert allowed_hosts("0.0.0.0", 99) is None  # it has more names than can be known, and always a token


def test_pages_of_other_sites_cannot_ask_or_order(tcp: httpx.Client) -> None:
    own = f"http://127.0.0.1:{port_of(tcp)}"
    foreign = [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": f"http://127.0.0.1:{port_of(tcp) + 1}"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},  # another port of this machine
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
        {"origin": own, "sec-fetch-site": "cross-site"},
    ]
    for headers in foreign:
        assert tcp.post("/api/recluster", json={}, headers=headers).status_code == 403
        assert tcp.get("/api/status", headers=headers).status_code == 403
    for headers in ({"origin": own, "sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}, {}):
        assert tcp.post("/api/reload", json={}, headers=headers).status_code == 202
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert tcp.get("/", headers=link).status_code == 200


def test_orders_that_a_form_could_send_are_refused(tcp: httpx.Client) -> None:
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain"):
        answer = tcp.post("/api/recluster", content=b"{}", headers={"content-type": kind})
        assert answer.status_code == 415
    assert tcp.post("/api/recluster").status_code == 415


def test_every_answer_has_the_security_headers(tcp: httpx.Client, unix: httpx.Client) -> None:
    for client in (tcp, unix):
        for path in ("/", "/docs", "/api/status", "/nothing", "/static/app.js"):
            headers = client.get(path).headers
            assert "default-src 'self'" in headers["content-security-policy"]
            assert "frame-ancestors 'none'" in headers["content-security-policy"]
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert headers["cross-origin-resource-policy"] == "same-origin"
            assert "access-control-allow-origin" not in headers
            assert "server" not in headers
    refused = tcp.get("/", headers={"host": "evil.example"})
    assert refused.headers["x-content-type-options"] == "nosniff"


def test_with_a_token_nothing_is_told_without_it(serve_on: Serve, home: Path) -> None:
    server = serve_on(token=TOKEN)
    with httpx.Client(base_url=server.page or "") as client:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}):
            for path in ("/api/status", "/metrics", "/livez", "/openapi.json", "/previews/aa/b.jpg"):
                answer = client.get(path, headers=headers)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"] == "Bearer"
        assert client.get(f"/api/status?token={TOKEN}").status_code == 401
        assert client.get("/api/status", headers=BEARER).status_code == 200
        assert client.get("/api/status", headers=BEARER | {"host": "evil.example"}).status_code == 421
    with on_socket(home / "t.sock") as client:
        assert client.get("/api/status").status_code == 200  # its permissions are enough


def test_a_person_gives_the_token_once(serve_on: Serve) -> None:
    server = serve_on(token=TOKEN)
    with httpx.Client(base_url=server.page or "") as client:
        form = client.get("/")
        assert (form.status_code, 'name="token"' in form.text, "not the token" in form.text) == (401, True, False)
        assert "not the token" in client.get("/?token=guess").text
        given = client.get(f"/?token={TOKEN}")
        assert (given.status_code, given.headers["location"]) == (303, "/")
        cookie = given.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert TOKEN not in cookie
        assert client.get("/").status_code == 200
        assert client.get("/api/status").status_code == 200
        assert client.post("/api/reload", json={}, headers={"sec-fetch-site": "same-site"}).status_code == 403
        client.cookies.set(f"mediad_{urlsplit(server.page or '').port}", "0" * 64)
    with httpx.Client(
        base_url=server.page or "", cookies={f"mediad_{urlsplit(server.page or '').port}": "0" * 64}
    ) as c:
        assert c.get("/api/status").status_code == 401


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_server_on_all_addresses_has_any_name(serve_on: Serve, host: str) -> None:
    if host == "::" and not socket.has_ipv6:
        pytest.skip("needs IPv6")
    server = serve_on(host=host, token=TOKEN)
    assert server.page is not None
    assert server.page.startswith("http://localhost:")
    url = f"http://127.0.0.1:{urlsplit(server.page).port}/api/status"
    assert httpx.get(url, headers=BEARER | {"host": "nas.home"}).status_code == 200
    assert httpx.get(url, headers={"host": "nas.home"}).status_code == 401
