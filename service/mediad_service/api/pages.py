"""The page: a handful of files that are shipped with the program, and kept in memory."""

from __future__ import annotations

import hashlib
from importlib.resources import files

from fastapi import APIRouter, Request
from starlette.responses import Response

from mediad_service.api.answers import Refused

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_LOGIN, _WRONG = "login.html", b"<!-- wrong -->"


class Pages:
    """Everything in `mediad_service/gallery`, by file name."""

    def __init__(self) -> None:
        folder = files("mediad_service") / "gallery"
        self._files = {
            entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.name.endswith(tuple(_TYPES))
        }
        self._tags = {name: f'"{hashlib.sha256(data).hexdigest()[:20]}"' for name, data in self._files.items()}

    def give(self, name: str, request: Request) -> Response:
        """A file; the browser asks each time whether it still has the right one."""
        if name not in self._files:
            raise Refused(404, f"there is no file {name}")
        head = {"cache-control": "no-cache", "etag": self._tags[name]}
        if request.headers.get("if-none-match") == self._tags[name]:
            return Response(status_code=304, headers=head)
        return Response(self._files[name], headers=head, media_type=_TYPES[name[name.rindex(".") :]])

    def login(self, *, wrong: bool) -> Response:
        """Asks a person for the token."""
        text = self._files[_LOGIN].replace(_WRONG, b"<p>That is not the token.</p>" if wrong else b"")
        return Response(text, 401, {"cache-control": "no-store"}, media_type=_TYPES[".html"])

    def routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)

        @router.get("/")
        async def page(request: Request) -> Response:
            return self.give("index.html", request)

        @router.get("/docs")
        async def docs(request: Request) -> Response:
            return self.give("docs.html", request)

        @router.get("/static/{name}")
        async def static(name: str, request: Request) -> Response:
            return self.give(name, request)

        return router
