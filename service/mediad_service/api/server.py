"""Serving: two sockets and one thread inside the daemon."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from functools import partial
from pathlib import Path

import structlog

from mediad.config.locations import Locations, socket_of
from mediad.config.settings import HttpSettings, Settings
from mediad.engine import Engine
from mediad_service.api.app import make_app
from mediad_service.api.context import Context
from mediad_service.api.guard import Gate, Outer
from mediad_service.api.listen import SocketTaken, bind_tcp, bind_unix
from mediad_service.api.pages import Pages
from mediad_service.api.quiet import QuietServer

log = structlog.get_logger()

__all__ = ["Server", "SocketTaken", "serve"]

_START = 10.0
_STOP = 5.0


def serve(engine: Engine, settings: Settings, locations: Locations) -> Server:
    """A server for `engine`, not started yet."""
    return Server(engine, settings.http, socket_of(settings, locations))


class Server:
    """Answers on the unix socket, and on TCP where `http.enabled`. `page` is the page's address while it does."""

    def __init__(self, engine: Engine, http: HttpSettings, path: Path) -> None:
        self._engine = engine
        self._http = http
        self._path = path
        self._bound: os.stat_result | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None
        self._started = threading.Event()
        self.page: str | None = None

    def start(self) -> None:
        """Bind and answer; returns when both sockets are answered.

        A TCP port that cannot be had is a warning, because the commands need the unix socket only.

        Raises:
            SocketTaken: another daemon listens on the unix socket, or something else is in its place.
            OSError: the unix socket cannot be made.
        """
        sockets = [bind_unix(self._path)]
        self._bound = self._path.lstat()
        if self._http.enabled:
            try:
                sockets.append(bind_tcp(self._http))
            except OSError as error:
                log.warning("no page: the API answers on the unix socket only", reason=error.strerror or str(error))
            else:
                self.page = page_of(self._http.host, sockets[1].getsockname()[1])
        self._thread = threading.Thread(target=self._run, args=(sockets,), name="http")
        self._thread.start()
        if not self._started.wait(_START):
            raise OSError("the API did not start; the log says why")
        self._engine.page = self.page
        log.info("the API answers", socket=str(self._path), page=self.page)

    def stop(self) -> None:
        """End all streams, let answers under way end for about a second, and close both sockets."""
        thread, self._thread = self._thread, None
        if thread is None or self._loop is None or self._stopping is None:
            return
        self._engine.page = self.page = None
        self._remove_socket()
        self._loop.call_soon_threadsafe(self._stopping.set)
        thread.join(_STOP)
        if thread.is_alive():
            log.error("the API does not stop")

    def _remove_socket(self) -> None:
        """Unless it is another daemon's by now."""
        try:
            if self._bound is not None and os.path.samestat(self._path.lstat(), self._bound):
                self._path.unlink()
        except FileNotFoundError:
            log.warning("the unix socket was removed by somebody else", path=str(self._path))

    def _run(self, sockets: list[socket.socket]) -> None:
        try:
            asyncio.run(self._answer(sockets))
        except Exception:
            log.exception("the API has failed")

    async def _answer(self, sockets: list[socket.socket]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        context = Context.of(self._engine)
        try:
            servers = self._servers(context, sockets)
            answering = [asyncio.create_task(server.answer()) for server in servers]
            self._started.set()
            await self._stopping.wait()
            context.hub.close()
            for server in servers:
                server.leave()
            await asyncio.gather(*answering)
        finally:
            context.close()

    def _servers(self, context: Context, sockets: list[socket.socket]) -> list[QuietServer]:
        pages = Pages()
        app = make_app(context, pages)
        servers = [QuietServer(lambda cut: Outer(app, cut, local=True), sockets[0])]
        for listening in sockets[1:]:
            port, token = listening.getsockname()[1], self._http.token.get_secret_value()
            gate = Gate(app, pages, host=self._http.host, port=port, token=token)
            servers.append(QuietServer(partial(Outer, gate, local=False), listening))
        return servers


def page_of(host: str, port: int) -> str:
    """The address to open in a browser on this machine."""
    name = "localhost" if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host  # noqa: S104
    return f"http://{name}:{port}/"
