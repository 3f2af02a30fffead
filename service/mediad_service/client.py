"""Asking a running daemon, or the store where there is none: the same questions, the same answers.

`connect` gives either. Light to import: httpx and the engine are loaded by those who turn out to need them.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from mediad import __version__
from mediad.config import Locations, Settings, socket_of

if TYPE_CHECKING:
    import httpx

    from mediad.engine import Library

Found = list[dict[str, Any]]

_CONNECT = 2.0  # seconds; it is a socket of this machine
_LIVENESS = 10.0
_ANSWER = 600.0  # an encoder may have to start first, on a slow machine
_USAGE = frozenset({400, 404, 422})


class FactsError(Exception):
    """A question that could not be answered; the text says what to do. `usage`: it was asked wrongly."""

    def __init__(self, text: str, *, usage: bool = False) -> None:
        super().__init__(text)
        self.usage = usage


class NoDaemon(FactsError):
    """Only a running daemon can do this, and none is."""


class Facts(Protocol):
    """What the commands ask. Files and groups are as in the catalog. All raise FactsError."""

    running: bool
    note: str | None

    def status(self) -> dict[str, Any]: ...
    def entries(self, section: str) -> Found: ...
    def search_text(self, text: str, count: int) -> Found: ...
    def search_image(self, path: str, count: int) -> Found: ...
    def similar(self, what: str, count: int) -> Found: ...
    def sync(self, path: str | None, *, clusters: bool, timeout: float | None) -> int: ...
    def recluster(self) -> None: ...
    def rename_cluster(self, cluster_id: str, name: str | None) -> None: ...
    def reload(self) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...


def connect(locations: Locations, settings: Settings, *, opening_store: Callable[[], None] = lambda: None) -> Facts:
    """The daemon with this state directory where one answers, else its store, read-only.

    A socket file that nobody listens on any more is no daemon. `opening_store` is called before the engine is loaded,
    so that its log can be set up first. Raises FactsError where neither can be asked.
    """
    path = socket_of(settings, locations)
    if not listens(path):
        opening_store()
        return Local(locations, settings)
    remote = Remote(path)
    try:
        version = remote.version()
    except FactsError:
        remote.close()
        opening_store()
        return Local(locations, settings, note="the daemon does not answer (this is its store)")
    if version != __version__:
        remote.note = f"the daemon is mediad {version}, this is {__version__}: restart the daemon"
    return remote


def listens(path: Path) -> bool:
    """Whether anybody does on this socket. Raises FactsError where this account may not ask."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_CONNECT)
        try:
            probe.connect(str(path))
        except PermissionError as error:
            raise FactsError(f"{path} may not be used by this account: ask as the one that the daemon has") from error
        except OSError:
            return False
    return True


class Remote:
    """A running daemon, through the API on its unix socket."""

    running = True

    def __init__(self, path: Path) -> None:
        import httpx

        self.note: str | None = None
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(path)),
            base_url="http://localhost",
            timeout=httpx.Timeout(_ANSWER, connect=_CONNECT),
        )

    def version(self) -> str | None:
        """The version of the daemon's program. FactsError where it does not answer soon."""
        status: dict[str, Any] = self._ask("GET", "/api/status", timeout=_LIVENESS).json()
        return status.get("version")

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = self._ask("GET", "/api/status").json()
        return status

    def entries(self, section: str) -> Found:
        return _found(self._ask("GET", f"/api/{section}"))

    def search_text(self, text: str, count: int) -> Found:
        return _found(self._ask("GET", "/api/search", params={"text": _sendable(text), "count": count}))

    def search_image(self, path: str, count: int) -> Found:
        return _found(self._ask("POST", "/api/search/image", json={"path": _sendable(path), "count": count}))

    def similar(self, what: str, count: int) -> Found:
        return _found(self._ask("GET", "/api/similar", params={"what": _sendable(what), "count": count}))

    def sync(self, path: str | None, *, clusters: bool, timeout: float | None) -> int:
        asked = {"path": path and _sendable(path), "clusters": clusters, "timeout": timeout}
        answer = self._ask("POST", "/api/sync", json=asked, timeout=None if timeout is None else timeout + _ANSWER)
        return int(answer.json()["generation"])

    def recluster(self) -> None:
        self._ask("POST", "/api/recluster", json={})

    def rename_cluster(self, cluster_id: str, name: str | None) -> None:
        from urllib.parse import quote

        self._ask("PUT", f"/api/clusters/{quote(cluster_id, safe='')}/name", json={"name": name})

    def reload(self) -> None:
        self._ask("POST", "/api/reload", json={})

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, method: str, url: str, **options: Any) -> httpx.Response:
        import httpx

        try:
            answer = self._http.request(method, url, **options)
        except httpx.TimeoutException as error:
            raise FactsError("the daemon does not answer; `mediad doctor` and its log may say why") from error
        except httpx.HTTPError as error:
            raise FactsError(f"the daemon went away while it was asked ({error}); its log may say why") from error
        if answer.is_success:
            return answer
        raise FactsError(_said(answer), usage=answer.status_code in _USAGE)


def _found(answer: httpx.Response) -> Found:
    import orjson

    found: Found = orjson.loads(answer.content)
    return found


def _said(answer: httpx.Response) -> str:
    """The text of an error of the API."""
    try:
        document = answer.json()
    except ValueError:
        document = None
    said = document.get("error") if isinstance(document, dict) else None
    return str(said) if said else f"the daemon answered {answer.status_code} to {answer.request.url.path}"


def _sendable(text: str) -> str:
    """The same text, if it can travel as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(text).decode("utf-8", "backslashreplace")
        raise FactsError(f"{shown} is not UTF-8, so it cannot be asked for by name: use its id", usage=True) from None
    return text


class Local:
    """The store, read without a daemon."""

    running = False

    def __init__(self, locations: Locations, settings: Settings, note: str | None = None) -> None:
        self.note = note
        self._missing = note or f"none runs with the state directory {locations.state}"
        self._library = self._open(locations, settings)

    @staticmethod
    def _open(locations: Locations, settings: Settings) -> Library:
        from mediad.engine import Library

        try:
            with _worded():
                return Library(locations, settings)
        except FileNotFoundError as error:
            text = f"nothing is known yet with the state directory {locations.state}: start `mediad run DIRECTORY`"
            raise FactsError(text) from error
        except OSError as error:
            raise FactsError(f"the store cannot be read: {error}") from error

    def status(self) -> dict[str, Any]:
        with _worded():
            return self._library.status()

    def entries(self, section: str) -> Found:
        with _worded():
            return self._library.entries(section)

    def search_text(self, text: str, count: int) -> Found:
        with _worded():
            return self._library.search_text(text, count)

    def search_image(self, path: str, count: int) -> Found:
        from mediad.media.spec import Undecodable

        try:
            with _worded():
                return self._library.search_image(Path(path), count)
        except (Undecodable, OSError) as error:
            raise FactsError(str(error), usage=True) from error

    def similar(self, what: str, count: int) -> Found:
        with _worded():
            return self._library.similar(what, count)

    def sync(self, *_: object, **__: object) -> int:
        raise self._no_daemon("sync")

    def recluster(self) -> None:
        raise self._no_daemon("recluster")

    def rename_cluster(self, *_: object) -> None:
        raise self._no_daemon("rename a cluster")

    def reload(self) -> None:
        """Nothing runs that could read its configuration again."""

    def close(self) -> None:
        self._library.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _no_daemon(self, what: str) -> NoDaemon:
        return NoDaemon(
            f"only a running daemon can {what}, but {self._missing}: "
            "start it with `mediad run` or `mediad service install`"
        )


@contextmanager
def _worded() -> Iterator[None]:
    """The errors of the engine as ours."""
    from mediad.channel import ChildError
    from mediad.encoders import EncoderError, TextUnsupported, WeightsUnavailable
    from mediad.store import StoreDamaged

    try:
        yield
    except KeyError as error:
        raise FactsError(str(error.args[0]), usage=True) from error
    except (TextUnsupported, EncoderError, WeightsUnavailable, ChildError, StoreDamaged) as error:
        raise FactsError(str(error)) from error
