"""What cannot be read is kept, tried again, counted by its error and named; nothing of it is taken for a deletion."""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.daemon import Daemon, files_of
from tests.engine.conftest import draw
from tests.faults.fusefs import Node, fuse
from tests.faults.unprivileged import PlainDaemon, need_permissions

from mediad.channel import ChildError
from mediad.media.decoder import Decoder
from mediad.resources import shipped

pytestmark = pytest.mark.long


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Start a daemon on a directory; `volume` are further lines of its table in the configuration."""
    running: list[Daemon] = []

    def start(root: Path, *, plain: bool = False, volume: str = "") -> Daemon:
        daemon = (PlainDaemon if plain else Daemon)(tmp_path / "home", [root])
        daemon.home.mkdir()
        daemon.write_config()
        text = daemon.config.read_text().replace("[schedule]", f"{volume}\n[schedule]")
        daemon.config.write_text(f"{text}[limits]\ndecoders = 2\n")
        running.append(daemon)
        return daemon.start()

    yield start
    for daemon in running:
        daemon.__exit__()


def trouble(status: dict[str, Any]) -> dict[str, tuple[str, int | None]]:
    """Everything that `status` names: the name -> (where it says so, errno)."""
    (volume,) = status["volumes"]
    found = {Path(entry["path"]).name: ("unreadable", entry["errno"]) for entry in volume["unreadable"]}
    found |= {Path(entry["path"]).name: ("unsettled", None) for entry in volume["unsettled"]}
    return found | {Path(entry["path"]).name: ("failing", entry["errno"]) for entry in status["failing"]}


def in_catalog(daemon: Daemon) -> dict[str, str]:
    """Path -> id, from a catalog that is valid and that the audit agrees with."""
    catalog = daemon.sync()
    jsonschema.validate(catalog, json.loads(shipped("config", "catalog.schema.json").read_bytes()))
    daemon.run("audit")
    return {path: file["id"] for path, file in files_of(catalog).items()}


def nothing_was_lost(daemon: Daemon, decodes: int) -> None:
    """No false deletion, and exactly so many decodes and embeddings."""
    assert [line for line in daemon.changes() if line["type"] in ("missing", "removed")] == []
    counters = daemon.counters()
    assert (counters["decodes"], counters["embeddings"]) == (decodes, decodes)


def picture(seed: int, scratch: Path) -> Node:
    return Node(draw(scratch / f"{seed}.png", seed).read_bytes())


def test_what_may_not_be_read_is_kept_and_taken_in_once_it_may(begin: Callable[..., Daemon], tmp_path: Path) -> None:
    need_permissions()
    root = tmp_path / "library"
    for number in range(9):
        draw(root / f"folder{number % 3}" / f"{number}.png", number)
    draw(root / "folder0/inner/deep.png", 50)
    daemon = begin(root, plain=True)
    before = in_catalog(daemon)
    assert len(before) == 10

    (root / "folder0").chmod(0)
    (root / "folder1/1.png").chmod(0)
    draw(root / "folder2/new.png", 99).chmod(0)
    assert in_catalog(daemon) == before
    status = daemon.status()
    denied = errno.EACCES
    assert trouble(status) == {
        "folder0": ("unreadable", denied),
        "1.png": ("failing", denied),
        "new.png": ("failing", denied),
    }
    assert status["errors"] == {"EACCES": 3}
    tries = {entry["path"]: entry["tries"] for entry in status["failing"]}
    daemon.until(lambda: all(f["tries"] > tries[f["path"]] for f in daemon.status()["failing"]), 30)
    nothing_was_lost(daemon, 10)
    daemon.kill()  # a start finds it unreadable, and knows it all the same
    daemon.start()
    assert in_catalog(daemon) == before
    assert daemon.status()["errors"] == {"EACCES": 3}

    for path in (root / "folder1/1.png", root / "folder2/new.png"):
        path.chmod(0o644)
    (root / "folder0").chmod(0o755)
    daemon.until(lambda: not daemon.status()["errors"], 30)  # by itself: nobody asks for a sync
    after = in_catalog(daemon)
    assert after.items() - before.items() == {(str(root / "folder2/new.png"), after[str(root / "folder2/new.png")])}
    nothing_was_lost(daemon, 11)


def test_a_root_that_may_not_be_read_is_a_volume_that_is_unreadable(
    begin: Callable[..., Daemon], tmp_path: Path
) -> None:
    need_permissions()
    root = tmp_path / "library"
    for number in range(3):
        draw(root / f"{number}.png", number)
    daemon = begin(root, plain=True)
    before = in_catalog(daemon)
    root.chmod(0)
    catalog = daemon.sync()
    assert [volume["state"] for volume in catalog["metadata"]["volumes"]] == ["unreadable"]
    assert {path: file["id"] for path, file in files_of(catalog).items()} == before
    assert {file["state"] for file in files_of(catalog).values()} == {"offline"}
    assert "EACCES" in daemon.status()["volumes"][0]["reason"]
    root.chmod(0o755)
    daemon.until(lambda: bool(daemon.status()["volumes"][0]["state"] == "online"), 20)
    assert in_catalog(daemon) == before
    nothing_was_lost(daemon, 3)


def test_a_drive_with_errors_loses_nothing(begin: Callable[..., Daemon], tmp_path: Path) -> None:
    with fuse(tmp_path / "drive") as drive:
        folders = {name: Node(children={}) for name in (b"sound", b"unlisted", b"stale")}
        for number, folder in enumerate(folders.values()):
            folder.children = {b"%d.png" % n: picture(10 * number + n, tmp_path) for n in range(3)}
        drive.root.children = dict(folders)
        daemon = begin(tmp_path / "drive")
        before = in_catalog(daemon)
        assert len(before) == 9

        folders[b"unlisted"].fails["readdir"] = errno.EIO
        stale = (folders[b"stale"].children or {})[b"1.png"]
        stale.fails |= {"lookup": errno.ESTALE, "getattr": errno.ESTALE}
        lost = (folders[b"stale"].children or {})[b"2.png"]  # its folder is damaged: only a look at it tells that it is
        lost.unlisted = True
        lost.fails |= {"lookup": errno.EIO, "getattr": errno.EIO}
        rotten = (folders[b"sound"].children or {})[b"rotten.png"] = picture(77, tmp_path)
        rotten.fails["read"] = errno.EIO
        catalog = daemon.sync()
        assert {path: file["id"] for path, file in files_of(catalog).items()} == before
        status = daemon.status()
        assert trouble(status) == {
            "unlisted": ("unreadable", errno.EIO),
            "1.png": ("unreadable", errno.ESTALE),
            "rotten.png": ("failing", errno.EIO),
        }
        assert status["errors"] == {"EIO": 2, "ESTALE": 1}
        nothing_was_lost(daemon, 9)

        drive.root.fails["readdir"] = errno.EIO  # all of it now
        catalog = daemon.sync()
        assert [volume["state"] for volume in catalog["metadata"]["volumes"]] == ["unreadable"]
        assert {path: file["id"] for path, file in files_of(catalog).items()} == before

        for node in (drive.root, folders[b"unlisted"], stale, lost, rotten):
            node.fails.clear()
        lost.unlisted = False
        daemon.until(lambda: not daemon.status()["errors"], 30)
        after = in_catalog(daemon)
        assert set(after) - set(before) == {str(tmp_path / "drive/sound/rotten.png")}
        nothing_was_lost(daemon, 10)


def test_a_read_that_never_returns_costs_a_deadline_and_no_reader(tmp_path: Path) -> None:
    decoder = Decoder(read_deadline=5)
    good = draw(tmp_path / "good.png", 1)
    try:
        with fuse(tmp_path / "drive") as drive:
            drive.root.children = {b"hang.png": Node(good.read_bytes(), hangs={"read"})}
            started = time.monotonic()
            with pytest.raises(ChildError) as caught:  # the child cannot even be killed: it waits in the kernel
                decoder.read(os.fsencode(tmp_path / "drive/hang.png"), size=1000)
            assert caught.value.reason == "timeout"
            assert decoder.read(os.fsencode(good)).stat.size == good.stat().st_size
            assert time.monotonic() - started < 20
    finally:
        decoder.stop()


NAMES = [
    b"latin-\xe9\xff.png",
    b"two\nlines.png",
    b"\x1b[31mred\x07.png",
    b"back\\slash \\xff.png",
    b"quote\"'$(touch x);.png",
    b"-n.png",
    "日本語 🌻 e\u0301.png".encode(),
    b"\xed\xa0\x80.png",  # a surrogate, as UTF-8 may not have it
    b"%s%n.png",
    b"a" * 251 + b".png",
]


def test_any_name_that_a_disk_can_hold(begin: Callable[..., Daemon], tmp_path: Path) -> None:
    root = os.fsencode(tmp_path / "library")
    source = draw(tmp_path / "source.png", 1).read_bytes()
    for folder in (b".", b"fol\xe4der\n", b"d" * 255):
        os.makedirs(os.path.join(root, folder), exist_ok=True)
        for number, name in enumerate(NAMES):
            Path(os.fsdecode(os.path.join(root, folder, name))).write_bytes(source + b"%d" % number + folder)
    daemon = begin(tmp_path / "library")
    found = in_catalog(daemon)
    assert len(found) == 3 * len(NAMES)
    assert not daemon.status()["errors"]
    assert str(tmp_path / "library" / "latin-") + "\\xe9\\xff.png" in found
    os.rename(os.path.join(root, NAMES[0]), os.path.join(root, b"d" * 255, b"\xfe\xfe.png"))
    os.rename(os.path.join(root, b"fol\xe4der\n"), os.path.join(root, b"\n\n\xff"))
    assert set(in_catalog(daemon).values()) == set(found.values())
    nothing_was_lost(daemon, 3 * len(NAMES))
    assert "\x1b" not in daemon.log.read_text()
    assert daemon.run("status").returncode == 0


def test_a_name_too_long_for_the_store_is_named_and_the_others_are_taken_in(
    begin: Callable[..., Daemon], tmp_path: Path
) -> None:
    with fuse(tmp_path / "drive") as drive:
        children = {name: picture(number, tmp_path) for number, name in enumerate((b"a.png", b"z.png", b"f" * 479))}
        children[b"f" * 479 + b".png"] = children.pop(b"f" * 479)  # 483 bytes: the longest that fits
        children[b"g" * 480 + b".png"] = picture(8, tmp_path)
        children[b"n" * 761 + b".png"] = picture(9, tmp_path)
        children[b"folder" * 120] = Node(children={b"lost.png": picture(10, tmp_path)})
        drive.root.children = children
        daemon = begin(tmp_path / "drive")
        files = files_of(daemon.sync())
        assert sorted(len(Path(path).name) for path in files) == [5, 5, 483]
        assert set(trouble(daemon.status()).values()) == {("unreadable", errno.ENAMETOOLONG)}
        assert daemon.status()["errors"] == {"ENAMETOOLONG": 3}
        nothing_was_lost(daemon, 3)


@pytest.mark.parametrize("follow", [False, True])
def test_what_is_no_file_is_named_and_never_opened(
    begin: Callable[..., Daemon], tmp_path: Path, *, follow: bool
) -> None:
    root = tmp_path / "library"
    for number in range(4):
        draw(root / f"{number}.png", number)
    os.mkfifo(root / "pipe.jpg")
    with chdir(root), socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.jpg")  # where it is, for a socket's path must be short
    special = {"pipe.jpg", "socket.jpg"}
    if os.geteuid() == 0:
        os.mknod(root / "device.jpg", stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero: it never ends
        special.add("device.jpg")
    (root / "self.png").symlink_to("self.png")
    (root / "one.png").symlink_to("other.png")
    (root / "other.png").symlink_to("one.png")
    (root / "around").symlink_to(".", target_is_directory=True)
    daemon = begin(root, volume="follow_symlinks = true" if follow else "")
    before = in_catalog(daemon)
    assert {Path(path).name for path in before} == {f"{number}.png" for number in range(4)}
    assert trouble(daemon.status()) == dict.fromkeys(special, ("unreadable", errno.EINVAL))
    nothing_was_lost(daemon, 4)

    (root / "0.png").rename(tmp_path / "aside.png")  # what takes a file's name without being one took the file's place
    os.mkfifo(root / "0.png")
    (root / "1.png").rename(tmp_path / "aside1.png")
    (root / "1.png").mkdir()
    assert {Path(path).name for path in in_catalog(daemon)} == {"2.png", "3.png"}
    (root / "0.png").unlink()
    (root / "1.png").rmdir()
    (tmp_path / "aside.png").rename(root / "0.png")
    (tmp_path / "aside1.png").rename(root / "1.png")
    assert in_catalog(daemon) == before
    assert daemon.counters()["decodes"] == 4


def test_terabytes_of_nothing_keep_nobody_waiting(begin: Callable[..., Daemon], tmp_path: Path) -> None:
    root = tmp_path / "library"
    root.mkdir()
    for name in ("a.mp4", "b.jpg", "c.mov"):
        with (root / name).open("wb") as file:
            file.truncate(10**12)
            file.write(b"\0\0\0\x18ftypmp42")
    for number in range(5):
        draw(root / f"z{number}.png", number)
    daemon = begin(root)
    started = time.monotonic()
    found = in_catalog(daemon)
    assert time.monotonic() - started < 30
    assert {Path(path).name for path in found} == {f"z{number}.png" for number in range(5)}
    status = daemon.status()
    assert trouble(status) == dict.fromkeys(("a.mp4", "b.jpg", "c.mov"), ("failing", errno.ENODATA))
    assert status["errors"] == {"ENODATA": 3}
    (root / "whole.png").write_bytes((root / "z0.png").read_bytes() + b"more")
    (root / "whole.png").rename(root / "b.jpg")  # the download has come to its end
    daemon.until(lambda: daemon.status()["errors"] == {"ENODATA": 2}, 20)
    assert str(root / "b.jpg") in in_catalog(daemon)
    nothing_was_lost(daemon, 6)


def test_a_file_that_grows_for_ever_is_named_and_waited_for_no_longer(
    begin: Callable[..., Daemon], tmp_path: Path
) -> None:
    root = tmp_path / "library"
    for number in range(3):
        draw(root / f"{number}.png", number)
    growing, ended = draw(root / "growing.png", 7), threading.Event()

    def grow() -> None:
        with growing.open("ab", buffering=0) as file:
            while not ended.wait(0.05):
                file.write(b"more")

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        daemon = begin(root)
        started = time.monotonic()
        files = files_of(daemon.sync())
        assert time.monotonic() - started < 60
        assert {Path(path).name for path in files} == {f"{number}.png" for number in range(3)}
        daemon.until(lambda: trouble(daemon.status()) == {"growing.png": ("unsettled", None)}, 20)
        assert daemon.status()["pending"] == 1
        assert not daemon.sync()["metadata"]["complete"]
        daemon.run("audit")
        nothing_was_lost(daemon, 3)
    finally:
        ended.set()
        writer.join()
    daemon.until(lambda: not trouble(daemon.status()), 20)
    assert len(in_catalog(daemon)) == 4
    nothing_was_lost(daemon, 4)
