"""Answers as JSON, and the errors that routes raise on purpose."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

BUG = "this is a bug of mediad; its log says more"


class Refused(Exception):
    """A request that gets an error with this status; the text says what to do."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """`content` as JSON, never cached unless `headers` says so."""
    return encoded(orjson.dumps(content), status, headers)


def encoded(json: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """The same of what is JSON already."""
    head = {"cache-control": "no-store"} | (headers or {})
    return Response(json, status, head, media_type="application/json")


def refusal(status: int, text: str) -> Response:
    headers = {"www-authenticate": "Bearer"} if status == 401 else {}
    return answer({"error": text}, status, headers | ({"retry-after": "2"} if status == 503 else {}))


async def refuse(status: int, text: str, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request that no route gets to see."""
    await refusal(status, text)(scope, receive, send)
