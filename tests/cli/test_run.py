"""The life of `mediad run`: what it says, what signals do, what it refuses."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.cli.conftest import CONFIG, Command, pictures


@contextmanager
def running(command: Command, *arguments: object, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """A daemon that has said where its catalog and its page are."""
    with (command.home / "log").open("w") as log:
        process = subprocess.Popen(
            command.line("run", *arguments),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=command.environment | environment,
        )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def log_of(command: Command) -> str:
    return (command.home / "log").read_text()


def until(told: str, command: Command, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while told not in log_of(command):
        assert time.monotonic() < deadline, log_of(command)
        time.sleep(0.05)


def test_directories_need_no_file_and_sigterm_stops_in_time(command: Command, tmp_path: Path) -> None:
    command.config.unlink()
    pictures(tmp_path / "library", ["a.jpg"])
    with running(command, tmp_path / "library") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"catalog: {command.state}/catalog/catalog.json\n"
        assert process.stdout.readline().startswith("page: http://127.0.0.1:")
        command.json("sync")
        assert "a.jpg" in (command.state / "catalog/catalog.json").read_text()
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
        assert time.monotonic() - began < 10
    assert "\x1b" not in log_of(command)
    assert 'event="mediad has stopped"' in log_of(command)
    assert not (command.state / "mediad.sock").exists()


def test_directories_are_watched_beside_the_volumes_of_the_file(command: Command, tmp_path: Path) -> None:
    for name in ("one", "two"):
        pictures(tmp_path / name, [f"{name}.jpg"])
    command.config.write_text(f'{CONFIG}[[volumes]]\npath = "{tmp_path}/one"\nname = "first"\n')
    with running(command, tmp_path / "two", tmp_path / "one") as process:
        assert process.stdout is not None
        process.stdout.readline()
        until("the API answers", command)
        assert {volume["name"] for volume in command.json("status")["volumes"]} == {"first", "two"}


def test_systemd_is_told_and_sighup_reloads(command: Command, tmp_path: Path) -> None:
    pictures(tmp_path / "library", ["a.jpg"])
    command.config.write_text(f'{CONFIG}[[volumes]]\npath = "{tmp_path}/library"\n')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.settimeout(30)

        def hear(wanted: str) -> str:
            while not (heard := ear.recv(4096).decode()).startswith(wanted):
                pass
            return heard

        notify = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
        with running(command, **notify) as process:
            assert hear("READY=1")
            assert hear("WATCHDOG=1")
            assert "pending" in hear("STATUS=")
            (tmp_path / "more").mkdir()
            with command.config.open("a") as file:
                file.write(f'[[volumes]]\npath = "{tmp_path}/more"\n')
            process.send_signal(signal.SIGHUP)
            assert "MONOTONIC_USEC=" in hear("RELOADING=1")
            assert hear("READY=1")
            until("name=more", command)
            process.send_signal(signal.SIGTERM)
            assert hear("STOPPING=1")
            assert process.wait(timeout=10) == 0


def test_the_journal_gets_priorities(command: Command, tmp_path: Path) -> None:
    pictures(tmp_path / "library", ["a.jpg"])
    (command.home / "log").touch()
    there = (command.home / "log").stat()
    with running(command, tmp_path / "library", JOURNAL_STREAM=f"{there.st_dev}:{there.st_ino}"):
        until("<6>level=info", command)
    assert "timestamp=" not in log_of(command)


def test_a_wrong_file_is_told_whole_with_its_lines(command: Command) -> None:
    command.config.write_text('encodr = "descriptor"\n[http]\nport = "x"\n')
    done = command("run")
    assert (done.returncode, done.stdout) == (2, b"")
    first, second = done.stderr.decode().splitlines()
    assert first.startswith(f'{command.config}:1: encodr: unknown setting; did you mean "encoder"?')
    assert second.startswith(f"{command.config}:3: [http] port: ")


def test_without_a_file_it_says_what_to_do_and_takes_the_file_up_when_it_comes(
    command: Command, tmp_path: Path
) -> None:
    config = command.config.read_text()
    command.config.unlink()
    pictures(tmp_path / "library", ["a.jpg"])
    with running(command, "--config", command.config) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        until("there is no such configuration file", command)
        until("mediad volumes add", command)
        command.config.write_text(config + f'\n[[volumes]]\npath = "{tmp_path / "library"}"\n')
        until("name=library state=online", command)


def test_a_directory_that_holds_the_state_is_refused(command: Command) -> None:
    done = command("run", command.home)
    assert done.returncode == 2
    assert b"state directory" in done.stderr


def test_a_file_is_no_folder_to_watch(command: Command, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("no folder")
    done = command("run", tmp_path / "note.txt")
    assert done.returncode == 2
    assert b"is a file" in done.stderr


def test_a_stale_socket_is_no_daemon(command: Command, tmp_path: Path) -> None:
    pictures(tmp_path / "library", ["a.jpg"])
    with running(command, tmp_path / "library") as process:
        until("the API answers", command)
        command.json("sync")
        process.kill()
        process.wait()
        assert (command.state / "mediad.sock").exists()
        status = command.json("status")
        assert (status["state"], status["assets"]["images"]) == ("stopped", 1)
        done = command("sync")
        assert done.returncode == 1
        assert b"mediad run" in done.stderr
        assert json.loads(command("similar", tmp_path / "library/a.jpg", "--json").stdout) == []


@pytest.mark.long
def test_a_daemon_that_hangs_is_told_from_none(command: Command, tmp_path: Path) -> None:
    pictures(tmp_path / "library", ["a.jpg"])
    with running(command, tmp_path / "library") as process:
        until("the API answers", command)
        command.json("sync")
        process.send_signal(signal.SIGSTOP)
        done = command("status")
        assert done.returncode == 0
        assert b"the daemon does not answer" in done.stderr
        assert b"1 image" in done.stdout
        asked = command("clusters", "--recluster")
        assert asked.returncode == 1
        assert b"the daemon does not answer" in asked.stderr


def test_a_log_that_nobody_reads_ends_nothing(command: Command, tmp_path: Path) -> None:
    pictures(tmp_path / "library", ["a.jpg"])
    process = subprocess.Popen(
        command.line("run", tmp_path / "library"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=command.environment,
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        assert [process.stdout.readline()[:5] for _ in range(2)] == [b"catal", b"page:"]
        process.stderr.close()
        pictures(tmp_path / "library", ["b.jpg"])
        command.json("sync")
        assert "b.jpg" in (command.state / "catalog/catalog.json").read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.communicate()
