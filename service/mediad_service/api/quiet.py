"""uvicorn without its pulse: it sleeps until somebody connects."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

_CONNECTIONS = 256  # open at once on one socket: well below the usual limit of 1,024 files
_GRACE = 1  # seconds that answers under way get at the end
_KEEP_ALIVE = 30  # seconds between two requests of a connection


class QuietServer(uvicorn.Server):
    """One listening socket, in a loop that other servers share.

    uvicorn's own main loop wakes ten times a second to see whether it should end and to renew the Date header. Over
    two sockets that alone is more than an idle daemon may cost, so this one waits for `leave` and sends no Date.
    `make_app` gets what cuts a connection (see `cut`).
    """

    def __init__(self, make_app: Callable[[Callable[[Scope], None]], ASGIApp], listening: socket.socket) -> None:
        super().__init__(
            uvicorn.Config(
                make_app(self.cut),
                http=H11Protocol,
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
        for connection in self._connections():
            connection.transport.abort()

    def cut(self, scope: Scope) -> None:
        """Cut the connection of the request with this scope: its peer does not take what we send."""
        for connection in self._connections():
            if connection.scope is scope:
                connection.transport.abort()

    def _connections(self) -> list[H11Protocol]:
        return [one for one in self.server_state.connections if isinstance(one, H11Protocol)]
