"""The sockets that the daemon listens on."""

from __future__ import annotations

import errno
import socket
import stat
from pathlib import Path

from mediad.config.settings import HttpSettings

_BACKLOG = 128
_PROBE = 1.0  # seconds; it is a socket of this machine


class SocketTaken(Exception):
    """The path of the unix socket is not ours to take; the message says whose it is and what to do."""


def bind_unix(path: Path) -> socket.socket:
    """Listen on a unix socket that only this user can connect to (0600).

    What a killed daemon left there is removed, the socket of a living one is not. Raises SocketTaken, OSError.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _clear(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(str(path))
        path.chmod(0o600)  # nobody could connect yet: it does not listen
        listening.listen(_BACKLOG)
    except BaseException:
        listening.close()
        raise
    listening.setblocking(False)
    return listening


def _clear(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise SocketTaken(f"{path} is there and is no socket: remove it, or set http.socket to another path")
    if is_answered(path):
        raise SocketTaken(f"another daemon listens on {path}: stop it first, or set http.socket to another path")
    path.unlink(missing_ok=True)


def is_answered(path: Path) -> bool:
    """Whether somebody listens on the unix socket at `path` (a full queue of connections means somebody does)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError:
            return True
        return True


def bind_tcp(http: HttpSettings) -> socket.socket:
    """Listen on the configured address; port 0 takes any that is free. Raises OSError in words of what to do."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            http.host, http.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise OSError(error.errno, f"http.host {http.host!r} is no address of this machine") from error
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise OSError(error.errno, _why(error, http)) from error
    listening.setblocking(False)
    return listening


def _why(error: OSError, http: HttpSettings) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {http.port} is taken: set http.port to another one, or to 0 for any that is free"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"http.host {http.host!r} is no address of this machine"
    if error.errno == errno.EACCES:
        return f"port {http.port} needs privileges: set http.port to 1024 or more"
    return str(error)
