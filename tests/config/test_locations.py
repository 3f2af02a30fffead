"""Where things are follows from options, environment, systemd and platform, in this order, the same for everybody."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediad.config import ConfigError, Settings, ensure, locate, socket_of
from mediad.config.load import parse
from mediad.config.values import SOCKET_PATH_LIMIT


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in list(os.environ):
        if name.startswith(("XDG_", "MEDIAD_")) or name.endswith("_DIRECTORY"):
            monkeypatch.delenv(name)
    return tmp_path


SYSTEMD = {
    "STATE_DIRECTORY": "/var/lib/mediad:/var/lib/other",
    "CONFIGURATION_DIRECTORY": "/etc/mediad",
    "CACHE_DIRECTORY": "/var/cache/mediad",
    "RUNTIME_DIRECTORY": "/run/mediad",
}
OURS = {"MEDIAD_CONFIG": "/e/c.toml", "MEDIAD_STATE_DIR": "/e/state", "MEDIAD_CATALOG_DIR": "/e/catalog"}


def test_the_users_own_directories_by_default(home: Path) -> None:
    found = locate(environ={})
    assert all(path.is_relative_to(home) for path in (found.config, found.state, found.weights))
    assert found.catalog == found.state / "catalog"
    assert (found.config.name, found.weights.name) == ("config.toml", "weights")
    assert not list(home.iterdir()), "to look is not to make"


def test_systemd_wins_over_the_users_directories() -> None:
    found = locate(environ=SYSTEMD)
    assert (found.config, found.state) == (Path("/etc/mediad/config.toml"), Path("/var/lib/mediad"))
    assert (found.catalog, found.weights) == (Path("/var/lib/mediad/catalog"), Path("/var/cache/mediad/weights"))


def test_a_system_service_without_a_cache_keeps_weights_with_its_state() -> None:
    assert locate(environ={"STATE_DIRECTORY": "/var/lib/m"}).weights == Path("/var/lib/m/cache/weights")


def test_our_variables_win_over_systemd() -> None:
    found = locate(environ=SYSTEMD | OURS)
    assert (found.config, found.state, found.catalog) == (Path("/e/c.toml"), Path("/e/state"), Path("/e/catalog"))


def test_options_win_over_all(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    found = locate(Path("c.toml"), Path("~/s"), Path("x/../k"), environ=SYSTEMD | OURS)
    assert (found.config, found.state, found.catalog) == (home / "c.toml", home / "s", home / "k")


def test_an_empty_variable_is_none() -> None:
    assert locate(environ={"MEDIAD_STATE_DIR": "", "STATE_DIRECTORY": ""}) == locate(environ={})


def test_a_command_finds_the_socket_of_a_daemon_with_the_same_state_directory(home: Path) -> None:
    daemon = locate(state_dir=home / "state", environ=SYSTEMD)
    (home / "link").symlink_to(home / "state")
    assert daemon.socket == locate(environ={"MEDIAD_STATE_DIR": f"{home}/state"}).socket
    assert daemon.socket == locate(state_dir=home / "link", environ={}).socket
    assert daemon.socket == Path(os.path.realpath(home)) / "state" / "mediad.sock"


def test_settings_may_name_another_socket(home: Path) -> None:
    found = locate(state_dir=home / "state", environ={})
    assert socket_of(Settings(), found) == found.socket
    assert socket_of(parse('[http]\nsocket = "/run/m.sock"', Path("x")), found) == Path("/run/m.sock")
    for wrong in ("m.sock", "/" + 120 * "x"):
        with pytest.raises(ConfigError, match=r"\[http\] socket"):
            parse(f'[http]\nsocket = "{wrong}"', Path("x"))


def test_directories_are_made_for_their_user_alone(home: Path) -> None:
    found = locate(state_dir=home / "a" / "state", catalog_dir=home / "catalog", environ={})
    (home / "catalog").mkdir(mode=0o755)
    (home / "catalog").chmod(0o755)
    for _ in range(2):
        ensure(found)
    assert [stat.S_IMODE(path.stat().st_mode) for path in (found.state, found.weights, found.catalog)] == [
        0o700,
        0o700,
        0o755,
    ]


def test_every_directory_that_cannot_be_made_is_told(home: Path) -> None:
    (home / "file").write_text("")
    with pytest.raises(ConfigError) as caught:
        ensure(locate(state_dir=home / "file" / "s", catalog_dir=home / "file", environ={}))
    state, catalog = map(str, caught.value.problems)
    assert state.startswith(
        f"the directory {home}/file/s cannot be made: Not a directory; name another one with --state"
    )
    assert catalog.startswith(f"the directory {home}/file cannot be made: File exists; name another one with --catalog")


@pytest.fixture
def deep(home: Path) -> Iterator[Path]:
    """A state directory whose socket's path would be too long, and its socket's directory as it was afterwards."""
    state = home / ("d" * 60) / ("e" * 60)
    directory = locate(state_dir=state, environ={}).socket.parent
    there = directory.exists()
    yield state
    if directory.exists() and not there:
        directory.rmdir()


def test_a_socket_in_a_deep_directory_gets_a_short_path(deep: Path) -> None:
    found, other = locate(state_dir=deep, environ={}), locate(state_dir=deep / "x", environ={})
    before = found.socket
    assert len(os.fsencode(found.socket)) <= SOCKET_PATH_LIMIT
    assert found.socket != other.socket
    ensure(found)
    assert found.socket == before, "it must not depend on whether the state directory is there"
    assert stat.S_IMODE(found.socket.parent.stat().st_mode) == 0o700
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(found.socket))
        found.socket.unlink()


def test_a_socket_directory_that_others_may_enter_is_refused(deep: Path) -> None:
    found = locate(state_dir=deep, environ={})
    ensure(found)
    found.socket.parent.chmod(0o755)
    try:
        with pytest.raises(ConfigError, match="is not a private directory of this user; remove it"):
            ensure(found)
    finally:
        found.socket.parent.chmod(0o700)
