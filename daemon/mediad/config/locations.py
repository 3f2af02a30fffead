"""Where mediad's own files are: from options, the environment, systemd, or the platform's custom, in this order."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from mediad.durable import make_directory

from .problems import ConfigError, Finding
from .settings import Settings
from .values import SOCKET_PATH_LIMIT

CONFIG_NAME = "config.toml"
SOCKET_NAME = "mediad.sock"


@dataclass(frozen=True, slots=True)
class Locations:
    """Absolute paths: the configuration file, the directories that mediad writes, the socket of its daemon.

    The socket's path follows from the state directory alone, so that a command that is told the same state directory
    as a daemon finds that daemon, whatever else differs in their environments.
    """

    config: Path
    state: Path
    catalog: Path
    weights: Path

    @property
    def socket(self) -> Path:
        """Where the daemon listens unless the settings name another path (see `socket_of`)."""
        real = Path(os.path.realpath(self.state))
        path = real / SOCKET_NAME
        if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT:
            return path
        name = hashlib.sha256(os.fsencode(real)).hexdigest()[:16]
        return _short_directory(real) / f"{name}.sock"


def locate(
    config: Path | None = None,
    state_dir: Path | None = None,
    catalog_dir: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Locations:
    """Resolve options, then MEDIAD_*, then systemd's *_DIRECTORY, then the user's directories. Makes nothing."""
    system_state = _first(environ, "STATE_DIRECTORY")
    state = _given(state_dir, environ, "MEDIAD_STATE_DIR") or system_state or _user(platformdirs.user_state_path)
    system_config = _first(environ, "CONFIGURATION_DIRECTORY") or _user(platformdirs.user_config_path)
    return Locations(
        config=_given(config, environ, "MEDIAD_CONFIG") or system_config / CONFIG_NAME,
        state=state,
        catalog=_given(catalog_dir, environ, "MEDIAD_CATALOG_DIR") or state / "catalog",
        weights=_cache(environ, system_state) / "weights",
    )


def socket_of(settings: Settings, locations: Locations) -> Path:
    """The unix socket on which a daemon with these settings listens."""
    return locations.socket if settings.http.socket == "auto" else Path(settings.http.socket)


def ensure(locations: Locations) -> None:
    """Make the directories that mediad writes, for its user alone (0700); those that are there stay as they are.

    Raises ConfigError where one cannot be made, or where the socket's directory belongs to someone else.
    """
    named = {
        locations.state: "--state-dir or MEDIAD_STATE_DIR",
        locations.catalog: "--catalog-dir or MEDIAD_CATALOG_DIR",
        locations.weights: "the variable XDG_CACHE_HOME",
    }
    findings = [finding for path, how in named.items() if (finding := _make(path, f"name another one with {how}"))]
    if not findings:  # the socket's directory follows from the state directory, so it comes last
        findings = [finding for finding in (_make_private(locations),) if finding]
    if findings:
        raise ConfigError([finding.at(None) for finding in findings])


def _make(path: Path, suggestion: str) -> Finding | None:
    try:
        make_directory(path)
    except OSError as error:
        return Finding((), f"the directory {path} cannot be made: {error.strerror}", suggestion)
    return None


def _make_private(locations: Locations) -> Finding | None:
    """Make the directory of the socket and see that nobody else put it there: /tmp is everybody's."""
    directory = locations.socket.parent
    failed = _make(directory, "name a state directory with a shorter path")
    if failed or directory == Path(os.path.realpath(locations.state)):
        return failed
    found = directory.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid in (0, os.geteuid()) and not found.st_mode & 0o077:
        return None
    return Finding((), f"{directory} is not a private directory of this user", "remove it")


def _short_directory(state: Path) -> Path:
    """Where sockets are whose own path would be too long: named by the user whose state directory it is."""
    try:
        user = state.stat().st_uid
    except OSError:
        user = os.geteuid()
    return Path(f"/tmp/mediad-{user}")  # noqa: S108 - not TMPDIR, which differs by environment; see _make_private


def _given(option: Path | None, environ: Mapping[str, str], variable: str) -> Path | None:
    value = str(option) if option is not None else environ.get(variable, "")
    return Path(os.path.abspath(os.path.expanduser(value))) if value else None  # noqa: PTH100, PTH111 - for ~nobody


def _first(environ: Mapping[str, str], variable: str) -> Path | None:
    """The first directory of one of systemd's variables, which hold lists."""
    value = environ.get(variable, "").partition(":")[0]
    return Path(value) if value else None


def _cache(environ: Mapping[str, str], system_state: Path | None) -> Path:
    """Where what can be fetched again is kept. A system service without a cache of its own may have no home."""
    own = system_state / "cache" if system_state else None
    return _first(environ, "CACHE_DIRECTORY") or own or _user(platformdirs.user_cache_path)


def _user(find: Callable[..., Path]) -> Path:
    return find("mediad", appauthor=False)
