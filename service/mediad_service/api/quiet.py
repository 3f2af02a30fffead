"""uvicorn without its pulse: it sleeps until somebody connects."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import MutableMapping
from typing import Any

import uvicorn
from starlette.types import ASGIApp

_CONNECTIONS = 256  # open at once on one socket: well below the usual limit of 1,024 files
_GRACE = 1  # seconds that answers under way get at the end
_KEEP_ALIVE = 30  # seconds between two requests of a connection


class QuietServer(uvicorn.Server):
    """One listening socket, in a loop that other servers share.

    uvicorn's own main loop wakes ten times a second to see whether it should end and to renew the Date header. Over
    two sockets that alone is more than an idle daemon may cost, so this one waits for `leave` and sends no Date.
    """

    def __init__(self, app: ASGIApp, listening: socket.socket) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="h11",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",  # what an application raises is caught and logged by `guard.Outer`
                access_log=False,
                date_header=False,
                server_header=False,
                proxy_headers=False,  # anybody could send them
                limit_concurrency=_CONNECTIONS,
                timeout_keep_alive=_KEEP_ALIVE,
                timeout_graceful_shutdown=_GRACE,
            )
        )
        self._listening = listening
        self._leaving = asyncio.Event()

    async def answer(self) -> None:
        """Answer until `leave`, then end within about a second."""
        await self.serve(sockets=[self._listening])

    def leave(self) -> None:
        """Have `answer` end; to be called in the loop."""
        self._leaving.set()

    async def main_loop(self) -> None:
        await self._leaving.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        self.abort()

    def abort(self, scope: MutableMapping[str, Any] | None = None) -> None:
        """Cut the connection of the request with this scope, or every one: its peer does not take what we send."""
        for connection in list(self.server_state.connections):
            if scope is None or connection.scope is scope:
                connection.transport.abort()
