"""The power fails at any moment of a session: what was acknowledged is there, and the rest is caught up with.

See `power` for what a disk may hold then. LazyFS, which could do the same below a real mount, is not packaged by any
distribution, so the operations are recorded with strace and replayed. MEDIAD_FAULTS=all tries every moment.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults import power
from tests.faults.crash import Acknowledged, Host, check_restart, need_strace, session

STEP = 1 if os.environ.get("MEDIAD_FAULTS") == "all" else 151
_SCRIPT = """
import os, sys
run = sys.argv[1]
os.mkdir(run + "/made")
for name in ("synced", "unsynced"):
    path = run + "/" + name
    fd = os.open(path + ".new", os.O_WRONLY | os.O_CREAT)
    os.write(fd, b"text")
    if name == "synced":
        os.fsync(fd)
    os.rename(path + ".new", path)
if len(sys.argv) > 2:
    os.fsync(os.open(run, os.O_RDONLY))
"""


@pytest.fixture(scope="module", autouse=True)
def strace() -> None:
    need_strace()


def _script(home: Path, *arguments: str) -> power.Disk:
    run = home / "run"
    run.mkdir(parents=True)
    command = [*power.command(home / "trace"), sys.executable, "-c", _SCRIPT, str(run), *arguments]
    subprocess.run(command, check=True, capture_output=True)
    disk = power.Disk(run)
    for op in power.operations(home / "trace", run):
        disk.play(op)
    return disk


def _found(disk: power.Disk, mode: power.Mode, target: Path) -> dict[str, str]:
    shutil.rmtree(target, ignore_errors=True)
    disk.image(target, mode)
    return {path.name: path.read_text() if path.is_file() else "/" for path in target.iterdir()}


def test_the_model_loses_what_nobody_made_durable(tmp_path: Path) -> None:
    disk, image = _script(tmp_path / "a"), tmp_path / "image"
    assert _found(disk, "kept", image) == {"made": "/", "synced": "text", "unsynced": "text"}
    assert _found(disk, "names", image) == {"made": "/", "synced": "text", "unsynced": ""}
    assert _found(disk, "data", image) == _found(disk, "synced", image) == {}
    disk = _script(tmp_path / "b", "and the directory")
    assert _found(disk, "data", image) == {"made": "/", "synced": "text", "unsynced": "text"}
    assert _found(disk, "synced", image) == {"made": "/", "synced": "text", "unsynced": ""}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Host, list[power.Op]]:
    home = tmp_path_factory.mktemp("power")
    host = Host(home, prefix=power.command(home / "trace"))
    assert len(session(host).ids) == 8
    return host, power.operations(home / "trace", host.state.parent)


def _moments(ops: list[power.Op], disk: power.Disk, first: int) -> Iterator[tuple[int, Acknowledged]]:
    """Play all operations; stop after each acknowledgement, and every STEP operations from the `first` on."""
    acknowledged = Acknowledged()
    for number, op in enumerate(ops):
        told = op.kind == "told" and b'"files"' in op.data
        if told:
            acknowledged = acknowledged.then(json.loads(op.data))
        elif op.kind != "told":
            disk.play(op)
        if told or number % STEP == first % STEP:
            yield number, acknowledged


@pytest.mark.long
def test_the_model_ends_where_the_disk_does(recorded: tuple[Host, list[power.Op]], tmp_path: Path) -> None:
    host, ops = recorded
    disk = power.Disk(host.state.parent)
    for _ in _moments(ops, disk, 0):
        pass
    disk.image(tmp_path, "kept")
    for path in host.state.rglob("*"):
        if path.is_file() and path.name != "lock.mdb":
            assert (tmp_path / "state" / path.relative_to(host.state)).read_bytes() == path.read_bytes(), path


@pytest.mark.long
@pytest.mark.timeout(3600 if STEP == 1 else 180)
@pytest.mark.parametrize("mode", power.MODES)
def test_the_power_fails(recorded: tuple[Host, list[power.Op]], mode: power.Mode, tmp_path: Path) -> None:
    host, ops = recorded
    disk = power.Disk(host.state.parent)
    tried = 0
    for number, acknowledged in _moments(ops, disk, power.MODES.index(mode) * STEP // len(power.MODES)):
        image = tmp_path / str(number)
        disk.image(image, mode, seed=number)
        try:
            check_restart(image / "state", host.library, acknowledged)
        except AssertionError as error:
            raise AssertionError(f"after operation {number}, {ops[number].kind} {ops[number].path}: {error}") from error
        shutil.rmtree(image)
        tried += 1
    assert tried >= len(ops) // STEP
    print(f"{mode}: {tried} images of {len(ops)} moments")
