"""The HTTP API: on the daemon's unix socket always, on TCP where the settings want it; and the page that it serves."""

from mediad_service.api.server import Server, SocketTaken, serve

__all__ = ["Server", "SocketTaken", "serve"]
