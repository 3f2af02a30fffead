"""What stands before all routes: who may ask what from where, and what no answer goes without.

`Outer` wraps both sockets. `Gate` wraps the TCP one only: the unix socket is guarded by its permissions, while any
page that the user has open in a browser can send requests to a port of this machine.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
from collections.abc import Callable
from urllib.parse import parse_qs

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mediad_service.api.answers import BUG, refuse
from mediad_service.api.pages import Pages

log = structlog.get_logger()

LARGEST_BODY = 64 << 10
_STALL = 30.0  # seconds in which a client must take the next piece of an answer
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_OWN = ("same-origin", "none")
_PAGES = ("/", "/docs")
_HEADERS = {
    "content-security-policy": (
        "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class _Stalled(Exception):
    """The client takes nothing of what we send."""


class Outer:
    """Adds the security headers, bounds bodies, drops who does not read on (`cut`), turns a bug into an answer.

    `local` (for the unix socket) goes into the scope, for routes that are for this user alone.
    """

    def __init__(self, app: ASGIApp, cut: Callable[[Scope], None], *, local: bool) -> None:
        self._app = app
        self._cut = cut
        self._local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = ended = False
        scope["local"] = self._local

        async def guarded(message: Message) -> None:
            nonlocal started, ended
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            try:
                async with asyncio.timeout(_STALL):
                    await send(message)
            except TimeoutError as error:
                raise _Stalled from error
            ended = message["type"] == "http.response.body" and not message.get("more_body", False)

        if _too_large(Headers(scope=scope)):
            text = f"the body must have a Content-Length of at most {LARGEST_BODY} bytes"
            return await refuse(413, text, scope, receive, guarded)
        try:
            await self._app(scope, receive, guarded)
        except _Stalled:
            self._cut(scope)
        except Exception:
            log.exception("a request failed", method=scope["method"], path=scope["path"])
            if not started:
                await refuse(500, BUG, scope, receive, guarded)
            elif not ended:
                self._cut(scope)


def _too_large(headers: Headers) -> bool:
    length = headers.get("content-length", "0")
    return "transfer-encoding" in headers or not length.isdigit() or int(length) > LARGEST_BODY


class Gate:
    """Lets a request over TCP through if its Host names this server, no other site sends it, and it has the token."""

    def __init__(self, app: ASGIApp, pages: Pages, *, host: str, port: int, token: str) -> None:
        self._app = app
        self._pages = pages
        self._hosts = allowed_hosts(host, port)
        self._token = token.encode()
        # Cookies do not know ports, so that other servers of this host see it: it is not the token itself.
        self._cookie = f"mediad_{port}"
        self._session = hmac.new(self._token, b"page of mediad", hashlib.sha256).hexdigest().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        refused = self._refused(scope, headers)
        if refused is not None:
            await refuse(*refused, scope, receive, send)
        elif not self._token or scope["path"].startswith("/static/") or self._known(headers):
            await self._app(scope, receive, send)
        elif scope["path"] in _PAGES:
            await self._take_token(scope)(scope, receive, send)
        else:
            await refuse(401, "send the token: Authorization: Bearer TOKEN", scope, receive, send)

    def _refused(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        host = headers.get("host", "").lower()
        if self._hosts is not None and host not in self._hosts:
            return 421, f"this server is not {host or 'nameless'}: open it under the address that `mediad status` tells"
        if self._is_foreign(scope, headers, host):
            return 403, "another site may not ask this server"
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if scope["method"] in _WRITES and kind != "application/json":
            return 415, "send the body as application/json"
        return None

    @staticmethod
    def _is_foreign(scope: Scope, headers: Headers, host: str) -> bool:
        """Whether a page of another origin sends this (links to our page may stand anywhere)."""
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in (f"http://{host}", f"https://{host}"):  # a proxy may do TLS
            return True
        linked = headers.get("sec-fetch-mode") == "navigate" and scope["path"] in _PAGES
        return headers.get("sec-fetch-site", "none") not in _OWN and not (linked and scope["method"] == "GET")

    def _known(self, headers: Headers) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(given.strip()):
            return True
        cookies = (part.strip().partition("=") for part in headers.get("cookie", "").split(";"))
        return any(
            name == self._cookie and hmac.compare_digest(value.encode(), self._session) for name, _, value in cookies
        )

    def _is_token(self, given: str) -> bool:
        return hmac.compare_digest(given.encode("utf-8", "replace"), self._token)

    def _take_token(self, scope: Scope) -> Response:
        """To the page with a cookie where the address has the right token, else a form that asks for it."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if not self._is_token(given):
            return self._pages.login(wrong=bool(given))
        # Away from the address that holds the token, so that it is not left in the history.
        response = RedirectResponse(scope["path"], 303, {"cache-control": "no-store"})
        response.set_cookie(
            self._cookie, self._session.decode(), httponly=True, samesite="lax"
        )  # strict: not behind a link
        return response


def allowed_hosts(host: str, port: int) -> frozenset[str] | None:
    """Values of the Host header that name a server on `host`; None: any.

    A page on another site can let its own name lead to this machine (DNS rebinding), and is then the same origin to
    the browser; but Host still has its name. A server on all addresses has more names than can be known here. It
    always has a token, which such a page does not know, and its cookie does not go to another name.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        names = {host.lower()}
    else:
        if address.is_unspecified:
            return None
        names = {f"[{address}]" if address.version == 6 else str(address)}
    names |= {"localhost", "127.0.0.1", "[::1]"}
    return frozenset(f"{name}:{port}" for name in names) | (frozenset(names) if port == 80 else frozenset())
