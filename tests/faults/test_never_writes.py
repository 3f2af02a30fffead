"""The daemon only reads the volumes: seen by strace over a whole session, and by a volume that cannot be written."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from tests.daemon import Daemon, files_of
from tests.engine.conftest import draw

pytestmark = pytest.mark.long

BYTES = ["write", "pwrite64", "writev", "pwritev"]
NAMES = ["creat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir"]
NAMES += ["link", "linkat", "symlink", "symlinkat", "mknod", "mknodat"]
FACTS = ["chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat", "utime", "utimes", "futimesat"]
FACTS += ["utimensat", "truncate", "ftruncate", "fallocate", "sendfile", "copy_file_range", "setxattr", "lsetxattr"]
FACTS += ["fsetxattr", "removexattr", "lremovexattr", "fremovexattr"]
WRITERS = BYTES + NAMES + FACTS
OPENERS = ["open", "openat", "openat2"]
_WRITING = re.compile(r"O_(WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE)")


def offences(trace: Path, volume: Path) -> list[str]:
    """Lines of a trace in which something inside the volume is written, made, renamed, removed or touched."""
    found = []
    inside = re.compile(rf'[<"]{re.escape(str(volume))}(/|["<>])')
    for line in trace.read_text(errors="replace").splitlines():
        call = re.search(r"\b(\w+)\(", line)
        if call is None or not inside.search(line):
            continue
        name = call.group(1)
        writes = name in OPENERS and _WRITING.search(line)
        if writes or (name in WRITERS and _names_target(name, line, inside)):
            found.append(line)
    return found


def _names_target(name: str, line: str, inside: re.Pattern[str]) -> bool:
    """Of a write only its file counts, not the bytes: the catalog holds paths of the volume."""
    if name in BYTES:
        return inside.search(line.split(",", 1)[0]) is not None
    return True


@pytest.fixture
def library(tmp_path: Path) -> Path:
    root = tmp_path / "library"
    for seed in range(8):
        draw(root / "trip" / f"{seed}.jpg", seed, (300, 200))
    (root / "bad.jpg").write_bytes(b"\xff\xd8\xff no picture")
    return root


def test_the_oracle_sees_a_write(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    trace = tmp_path / "trace"
    command = f"touch '{volume}/a' && mv '{volume}/a' '{volume}/b' && echo x > '{volume}/b' && rm '{volume}/b'"
    _strace(trace, ["sh", "-c", command])
    calls = {re.search(r"\b(\w+)\(", line).group(1) for line in offences(trace, volume)}  # type: ignore[union-attr]
    assert len(calls) >= 3


def _strace(trace: Path, command: list[str]) -> None:
    subprocess.run([*prefix(trace), *command], check=True)


def prefix(trace: Path) -> list[str]:
    if shutil.which("strace") is None:
        pytest.skip("needs Debian's package strace")
    calls = ",".join(f"?{name}" for name in WRITERS + OPENERS)
    return ["strace", "-f", "-qq", "-y", "-s", "4096", "-e", f"trace={calls}", "-e", "signal=none", "-o", str(trace)]


def test_a_whole_session_writes_nothing_into_the_volume(library: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    daemon = Daemon(tmp_path / "home", [library])
    try:
        daemon.start(prefix=prefix(trace))
        daemon.sync("--clusters")
        daemon.run("search", "--image", library / "trip" / "0.jpg")
        (library / "trip" / "1.jpg").rename(library / "renamed.jpg")
        (library / "trip" / "2.jpg").unlink()
        files = files_of(daemon.sync())
        assert len(files) == 7
        assert daemon.run("audit").returncode == 0
        os.kill(daemon.status()["pid"], signal.SIGTERM)  # strace would keep it to itself
        assert daemon.process is not None
        assert daemon.process.wait(timeout=20) == 0
    finally:
        daemon.__exit__()
    assert str(library) in trace.read_text(errors="replace")  # it did look there
    assert offences(trace, library) == []


def test_a_read_only_volume_gives_the_same_catalog(library: Path, tmp_path: Path) -> None:
    readonly = tmp_path / "readonly"
    readonly.mkdir()
    bound = subprocess.run(["mount", "--bind", library, readonly], capture_output=True, text=True, check=False)
    if bound.returncode:
        pytest.skip(f"needs to mount: {bound.stderr.strip()}")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", readonly], check=True)
        with Daemon(tmp_path / "one", [readonly]) as daemon:
            there = {Path(path).name: file["content_id"] for path, file in files_of(daemon.sync()).items()}
            daemon.stop()
    finally:
        subprocess.run(["umount", "--lazy", readonly], check=True)
    with Daemon(tmp_path / "two", [library]) as daemon:
        here = {Path(path).name: file["content_id"] for path, file in files_of(daemon.sync()).items()}
        daemon.stop()
    assert there == here
    assert len(here) == 8


def test_what_mediad_keeps_is_its_users_alone(library: Path, tmp_path: Path) -> None:
    with Daemon(tmp_path / "home", [library]) as daemon:
        daemon.sync()
        daemon.stop()
    loose = [path for path in [daemon.state, *daemon.state.rglob("*")] if os.lstat(path).st_mode & 0o077]
    assert loose == []
