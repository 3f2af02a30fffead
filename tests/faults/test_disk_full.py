"""A disk that fills up, or cannot be written: mediad holds still, loses nothing, and goes on by itself."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.daemon import Daemon
from tests.faults.damage import audited, draw, draw_library

pytestmark = pytest.mark.long

SIZE_MB = 24


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """A daemon whose state is on a small file system of its own, with a low-water mark in MB."""
    draw_library(tmp_path / "library")
    daemon = Daemon(tmp_path / "home", [tmp_path / "library"])
    daemon.state.mkdir(parents=True, mode=0o700)
    mounted = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m,mode=700", "tmpfs", str(daemon.state)]
    done = subprocess.run(mounted, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs to mount: {done.stderr.strip()}")

    def start(mark: int = 0) -> Daemon:
        if not daemon.config.exists():
            daemon.write_config()
            daemon.config.write_text(f"{daemon.config.read_text()}[limits]\nfree_space_mb = {mark}\n")
        return daemon.start()

    yield start
    daemon.__exit__()
    subprocess.run(["umount", "--lazy", daemon.state], check=True)


def fill(daemon: Daemon, leave_mb: int) -> Path:
    """Take all space but so much."""
    path = daemon.state / "something else"
    with path.open("ab") as file:
        piece = 4096 if leave_mb == 0 else 1 << 18
        try:
            while shutil.disk_usage(daemon.state).free > leave_mb << 20:
                file.write(bytes(piece))
                file.flush()
        except OSError:
            return path  # it is full, which is what was wanted
    return path


def state_of(daemon: Daemon) -> str:
    return str(daemon.status()["state"])


def add(daemon: Daemon, count: int, seed: int) -> None:
    for number in range(count):
        draw(Path(daemon.volumes[0]) / "late" / f"{seed}-{number}.jpg", seed + number)


def test_below_the_mark_it_waits_and_goes_on_by_itself(begin: Callable[..., Daemon]) -> None:
    daemon = begin(mark=6)
    daemon.sync()
    other = fill(daemon, 4)
    daemon.until(lambda: state_of(daemon) == "degraded", 20)
    add(daemon, 5, 300)
    (Path(daemon.volumes[0]) / "folder0" / "picture a.jpg").unlink()
    status = daemon.status()
    assert f"{daemon.state}" in status["degraded"]
    assert "free_space_mb" in status["degraded"]
    daemon.until(lambda: daemon.catalog()["metadata"]["degraded"] == status["degraded"], 20)
    refused = daemon.run("sync", check=False)
    assert refused.returncode != 0
    assert "nothing is taken in now" in refused.stderr
    time.sleep(3)  # in which nothing may happen
    assert daemon.counters()["decodes"] == 32
    assert daemon.catalog()["metadata"]["total_images"] == 32
    other.unlink()
    daemon.until(lambda: daemon.catalog()["metadata"]["total_images"] == 36, 60)  # nobody asked for a sync
    after = audited(daemon)
    assert (after.counters["decodes"], after.counters["embeddings"]) == (37, 37)
    assert daemon.catalog()["metadata"]["degraded"] is None


def test_a_full_disk_loses_nothing_and_is_no_loop(begin: Callable[..., Daemon]) -> None:
    daemon = begin()
    daemon.sync()
    other = fill(daemon, 0)
    generations = set()
    add(daemon, 40, 400)
    daemon.until(lambda: state_of(daemon) == "degraded", 60)
    for _ in range(20):
        generations.add(daemon.catalog()["generation"])
        time.sleep(0.1)
    assert daemon.status()["quarantined"] == []
    other.unlink()
    daemon.until(lambda: daemon.catalog()["metadata"]["total_images"] == 72, 90)
    after = audited(daemon)
    status = daemon.status()
    assert status["quarantined"] == status["failing"] == []
    assert status["loops"] == {}
    assert after.counters["decodes"] == after.counters["embeddings"] == 72
    assert max(generations) < after.generation


def test_stop_kill_and_start_on_a_full_disk(begin: Callable[..., Daemon]) -> None:
    daemon = begin()
    before = daemon.sync()["generation"]
    daemon.json("similar", Path(daemon.volumes[0]) / "folder0" / "picture a.jpg")
    other = fill(daemon, 0)
    add(daemon, 3, 500)
    daemon.until(lambda: state_of(daemon) == "degraded", 60)
    daemon.kill()
    begin()
    daemon.until(lambda: state_of(daemon) == "degraded", 60)
    assert daemon.catalog()["generation"] >= before
    assert daemon.stop() == 0
    begin()
    other.unlink()
    daemon.until(lambda: daemon.catalog()["metadata"]["total_images"] == 35, 60)
    after = audited(daemon)
    assert daemon.status()["quarantined"] == []
    assert after.counters["embeddings"] == 35
    assert after.counters["decodes"] == 35


def test_what_is_given_up_and_what_never(begin: Callable[..., Daemon]) -> None:
    daemon = begin()
    daemon.sync()
    daemon.json("similar", Path(daemon.volumes[0]) / "folder0" / "picture a.jpg")
    assert daemon.stop() == 0
    assert list(daemon.state.glob("index/*/*.faiss"))
    old = daemon.catalog_dir / "previews" / "ff" / ("f" * 32 + "-1.jpg")
    old.parent.mkdir(exist_ok=True)
    old.write_bytes(b"of nothing any more")
    os.utime(old, (0, 0))
    backups = daemon.state / "backups"
    backups.mkdir(exist_ok=True)
    for number in (7, 8, 9):
        shutil.copy(daemon.state / "store" / "data.mdb", backups / f"store-{number:06d}.mdb")
    used = {path for path in daemon.catalog_dir.glob("previews/*/*") if path != old}
    begin()
    daemon.sync()
    fill(daemon, 0)
    add(daemon, 40, 600)
    daemon.until(lambda: not list(daemon.state.glob("index/*/*.faiss")), 60)
    assert not old.exists()
    assert [path.name for path in backups.glob("store-*.mdb")] == ["store-000009.mdb"]
    assert all(path.exists() for path in used), "what the catalog names stays"
    assert json.loads((daemon.catalog_dir / "catalog.json").read_bytes())["metadata"]["total_images"] >= 32


@contextmanager
def failing(daemon: Daemon, path: Path, calls: str, error: str) -> Iterator[None]:
    """While this lasts, these system calls on a file fail for the daemon."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    assert daemon.process is not None
    options = ["-qq", "-f", "-o", "/dev/null", "-P", str(path), "-e", f"inject={calls}:error={error}"]
    tracer = subprocess.Popen(["strace", *options, "-p", str(daemon.process.pid)], stderr=subprocess.DEVNULL)
    status = Path(f"/proc/{daemon.process.pid}/status")
    daemon.until(lambda: "TracerPid:\t0" not in status.read_text() or tracer.poll() is not None, 10)
    if tracer.poll() is not None:
        pytest.skip("may not trace")
    try:
        yield
    finally:
        tracer.terminate()
        tracer.wait()


@pytest.mark.parametrize(("calls", "error"), [("pwrite64,writev,pwritev", "EROFS"), ("fdatasync,fsync,msync", "EIO")])
def test_a_store_that_cannot_be_written_for_a_while(begin: Callable[..., Daemon], calls: str, error: str) -> None:
    daemon = begin()
    daemon.sync()
    with failing(daemon, daemon.state / "store" / "data.mdb", calls, error):
        add(daemon, 5, 700)
        daemon.until(lambda: state_of(daemon) == "degraded", 60)
        assert "data.mdb" in daemon.status()["degraded"]
        assert daemon.catalog()["metadata"]["total_images"] == 32
    daemon.until(lambda: daemon.catalog()["metadata"]["total_images"] == 37, 90)
    after = audited(daemon)
    assert daemon.status()["quarantined"] == []
    assert after.counters["embeddings"] == after.counters["decodes"] == 37


def test_a_state_directory_that_is_read_only_at_the_start(begin: Callable[..., Daemon]) -> None:
    daemon = begin()
    before = daemon.sync()
    assert daemon.stop() == 0
    subprocess.run(["mount", "-o", "remount,ro", daemon.state], check=True)
    refused = daemon.run("run", check=False, timeout=60)
    assert refused.returncode == 1
    assert "Read-only file system" in refused.stderr
    assert str(daemon.state) in refused.stderr
    assert daemon.status()["generation"] == before["generation"], "questions are answered all the same"
    subprocess.run(["mount", "-o", "remount,rw", daemon.state], check=True)
    begin()
    assert audited(daemon).counters["decodes"] == 32
