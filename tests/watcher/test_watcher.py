"""Every kind of change in a watched folder leads to a hint for the right directory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mediad.volume import Rules
from mediad.watcher import Watcher

Watch = Callable[..., Watcher]
Said = Any  # of conftest


def write(path: Path | bytes, content: bytes = b"x") -> None:
    with open(path, "wb") as file:
        file.write(content)


def test_files_created_modified_renamed_replaced_linked_and_deleted(watch: Watch, said: Said, root: Path) -> None:
    (root / "a").mkdir()
    (root / "b").mkdir()
    watcher = watch()
    assert (watcher.mode("v"), watcher.reason("v")) == ("live", "")
    photo = root / "a" / "1.jpg"
    for step in (
        lambda: write(photo),
        lambda: write(photo, b"changed"),
        lambda: os.utime(photo, (1, 1)),
        lambda: photo.chmod(0o600),
        lambda: os.truncate(photo, 3),
        lambda: photo.rename(root / "a" / "2.jpg"),
        lambda: (root / "a" / "2.jpg").rename(root / "a" / "1.jpg"),
        lambda: os.link(photo, root / "a" / "hard.jpg"),
        photo.unlink,
    ):
        step()
        said.expect(b"a")
    (root / "a" / "hard.jpg").rename(root / "b" / "hard.jpg")
    assert said.wait(lambda: said.covers(b"a") and said.covers(b"b"))
    assert all(volume == "v" and reldir in (b"a", b"b") and not recursive for volume, reldir, recursive in said.hints)


def test_closing_and_moving_into_place_is_told(watch: Watch, said: Said, root: Path, tmp_path: Path) -> None:
    watch()
    with (root / "slow.jpg").open("wb") as file:
        file.write(b"x")
        file.flush()
        time.sleep(0.2)
        assert said.closed == []
    assert said.wait(lambda: said.closed == [b"slow.jpg"])
    write(tmp_path / "ready.jpg")
    (tmp_path / "ready.jpg").rename(root / "ready.jpg")
    assert said.wait(lambda: said.closed == [b"slow.jpg", b"ready.jpg"])


def test_a_file_held_open_is_hinted_at_leisure(watch: Watch, said: Said, root: Path) -> None:
    write(root / "film.mp4")
    watch()
    with (root / "film.mp4").open("ab") as file:
        for _ in range(20):
            file.write(b"x")
            file.flush()
            time.sleep(0.02)
        assert said.hints == []
        assert said.wait(lambda: said.covers(b""))
    assert len(said.hints) == 1


def test_a_burst_is_few_hints(watch: Watch, said: Said, root: Path) -> None:
    (root / "a").mkdir()
    watch()
    start = time.monotonic()
    for number in range(500):
        write(root / "a" / f"{number}.jpg")
    seconds = time.monotonic() - start
    assert said.wait(lambda: said.covers(b"a"))
    time.sleep(0.3)
    assert len(said.hints) <= seconds + 2


def test_directories_made_deep_at_once_and_filled_later(watch: Watch, said: Said, root: Path) -> None:
    watch()
    (root / "a" / "b" / "c").mkdir(parents=True)
    write(root / "a" / "b" / "c" / "early.jpg")
    said.expect(b"a/b/c")
    write(root / "a" / "b" / "c" / "late.jpg")
    said.expect(b"a/b/c")


def test_a_tree_moved_in_renamed_and_moved_out(watch: Watch, said: Said, root: Path, tmp_path: Path) -> None:
    (tmp_path / "new" / "deep" / "er").mkdir(parents=True)
    watch()
    (tmp_path / "new").rename(root / "new")
    said.expect(b"new/deep/er")
    write(root / "new" / "deep" / "er" / "1.jpg")
    said.expect(b"new/deep/er")
    (root / "new").rename(root / "other")
    assert said.wait(lambda: said.covers(b"new/deep/er") and said.covers(b"other/deep/er"))
    said.expect(b"other")
    write(root / "other" / "deep" / "er" / "2.jpg")
    assert said.wait(lambda: said.covers(b"other/deep/er"))
    assert not said.covers(b"new/deep/er")
    said.expect(b"other/deep/er")
    (root / "other").rename(tmp_path / "out")
    said.expect(b"other/deep/er")
    write(tmp_path / "out" / "deep" / "er" / "3.jpg")
    write(root / "end.jpg")
    assert said.wait(lambda: said.covers(b""))
    assert said.hints == [("v", b"", False)]


def test_two_directories_that_swap_names(watch: Watch, said: Said, root: Path) -> None:
    (root / "a" / "in_a").mkdir(parents=True)
    (root / "b" / "in_b").mkdir(parents=True)
    watch()
    (root / "a").rename(root / "t")
    (root / "b").rename(root / "a")
    (root / "t").rename(root / "b")
    assert said.wait(lambda: said.covers(b"a/in_b") and said.covers(b"b/in_a"))
    said.expect(b"b")
    for name in ("a/in_b", "b/in_a"):
        write(root / name / "x.jpg")
        said.expect(name.encode())


def test_a_directory_deleted_and_made_anew(watch: Watch, said: Said, root: Path) -> None:
    (root / "a" / "b").mkdir(parents=True)
    watch()
    for _ in range(2):
        shutil.rmtree(root / "a")
        said.expect(b"a/b")
        (root / "a" / "b").mkdir(parents=True)
        said.expect(b"a/b")
        write(root / "a" / "b" / "x.jpg")
        said.expect(b"a/b")


def test_the_root_deleted_moved_away_and_made_anew(watch: Watch, said: Said, root: Path, tmp_path: Path) -> None:
    (root / "a").mkdir()
    watch()
    for lose in (lambda: shutil.rmtree(root), lambda: root.rename(tmp_path / "away")):
        lose()
        said.expect(b"a")
        (root / "a").mkdir(parents=True)
        said.expect(b"a")
        write(root / "a" / "x.jpg")
        said.expect(b"a")
    root.rename(tmp_path / "gone")
    (tmp_path / "away").rename(root)  # another directory, without a moment of absence
    said.expect(b"a")
    write(root / "a" / "y.jpg")
    said.expect(b"a")


def test_a_root_that_comes_later(watcher: Watcher, said: Said, tmp_path: Path) -> None:
    watcher.add("v", str(tmp_path / "later"), Rules())
    said.expect(b"")
    (tmp_path / "later" / "a").mkdir(parents=True)
    said.expect(b"a")
    write(tmp_path / "later" / "a" / "x.jpg")
    said.expect(b"a")


def test_excluded_directories_have_no_watch_and_unwanted_files_no_hint(watch: Watch, said: Said, root: Path) -> None:
    (root / ".git" / "objects").mkdir(parents=True)
    (root / "private").mkdir()
    (root / "open").mkdir()
    watch(Rules(exclude=["private/", "*.raw"]))
    (root / "open" / "@eaDir").mkdir()
    for name in (
        ".git/x.jpg",
        ".git/objects/x.jpg",
        "private/x.jpg",
        "open/@eaDir/x.jpg",
        "open/x.raw",
        "open/x.jpg.part",
    ):
        write(root / name)
    time.sleep(0.3)
    assert said.hints == []
    (root / "open" / "x.jpg.part").rename(root / "open" / "x.jpg")
    said.expect(b"open")
    (root / "private").rename(root / "public")
    said.expect(b"public")
    write(root / "public" / "y.jpg")
    said.expect(b"public")


def test_names_of_any_bytes(watch: Watch, said: Said, root: Path) -> None:
    watch()
    name = b"caf\xe9\n" + b"n" * 200
    os.mkdir(os.path.join(os.fsencode(root), name))
    said.expect(name)
    write(os.path.join(os.fsencode(root), name, b"\xff.jpg"))
    assert said.wait(lambda: said.closed == [name + b"/\xff.jpg"])
    said.expect(name)


def test_links_are_watched_only_if_followed_and_not_in_circles(
    watch: Watch, said: Said, root: Path, tmp_path: Path
) -> None:
    (tmp_path / "target").mkdir()
    (root / "link").symlink_to(tmp_path / "target")
    (root / "circle").symlink_to(".")
    watcher = watch()
    write(tmp_path / "target" / "x.jpg")
    time.sleep(0.3)
    assert said.hints == []
    watcher.add("v", str(root), Rules(follow_symlinks=True))
    said.expect(b"link")
    write(tmp_path / "target" / "y.jpg")
    said.expect(b"link")
    (root / "second").symlink_to(tmp_path / "target")
    said.expect(b"second")
    write(tmp_path / "target" / "z.jpg")
    assert said.wait(lambda: said.covers(b"link") and said.covers(b"second"))


def test_a_volume_no_longer_watched_is_silent_and_leaves_nothing(said: Said, root: Path, watch: Watch) -> None:
    descriptors = Path("/proc/self/fd")
    watcher = watch()
    watcher.remove("v")
    before = len(list(descriptors.iterdir())) if descriptors.exists() else 0
    threads = threading.active_count()
    for _ in range(3):
        watcher.add("v", str(root), Rules())
        said.expect(b"")
        watcher.remove("v")
    write(root / "x.jpg")
    time.sleep(0.3)
    assert said.hints == []
    assert threading.active_count() == threads
    assert (len(list(descriptors.iterdir())) if descriptors.exists() else 0) == before
    with pytest.raises(KeyError):
        watcher.mode("v")


def test_a_hint_that_fails_does_not_end_the_watch(root: Path) -> None:
    seen: list[bytes] = []
    news = threading.Event()

    def hint(volume: str, reldir: bytes, recursive: bool) -> None:
        seen.append(reldir)
        news.set()
        raise RuntimeError("the receiver is broken")

    watcher = Watcher(hint)
    try:
        watcher.add("v", str(root), Rules())
        assert news.wait(5)
        news.clear()
        write(root / "x.jpg")
        assert news.wait(5)
    finally:
        watcher.stop()


def test_polling_where_events_do_not_tell_all(said: Said, root: Path) -> None:
    watcher = Watcher(said.hint, poll_min=0.2, poll_max=0.4)
    try:
        watcher.add("nas", str(root), Rules(), remote=True)
        watcher.add("asked", str(root / "not there"), Rules(), poll="always")
        watcher.add("never", str(root), Rules(), poll="never", remote=True)
        assert [watcher.mode(name) for name in ("nas", "asked", "never")] == ["polled", "polled", "live"]
        assert "other machines" in watcher.reason("nas")
        for _ in range(3):
            for name in ("nas", "asked"):
                assert said.wait(lambda name=name: (name, b"", True) in said.hints)
                said.hints.remove((name, b"", True))
                watcher.report_cost(name, 0.01, changed=True)
        with pytest.raises(ValueError, match="'sometimes'; it must be one of auto, always, never"):
            watcher.add("v", str(root), Rules(), poll="sometimes")
    finally:
        watcher.stop()


def test_a_directory_that_was_closed_is_watched_when_opened(root: Path, tmp_path: Path) -> None:
    """Run without root's power to pass over permissions."""
    (root / "closed" / "in").mkdir(parents=True)
    (root / "closed").chmod(0)
    powers = "-dac_override,-dac_read_search"
    command = ["setpriv", f"--bounding-set={powers}", f"--inh-caps={powers}"] if os.getuid() == 0 else []
    if command and shutil.which("setpriv") is None:
        pytest.skip("needs setpriv to drop root's powers")
    script = """
import os, sys, threading, time
from mediad.volume import Rules
from mediad.watcher import Watcher
root, hints, news = sys.argv[1], [], threading.Condition()
def hint(volume, reldir, recursive):
    with news: hints.append(reldir); news.notify()
def expect(*wanted):
    with news: print(news.wait_for(lambda: set(wanted) & set(hints), 5), end=" "); hints.clear()
watcher = Watcher(hint, check_seconds=0.2)
watcher.add("v", root, Rules()); expect(b"")
os.chmod(root + "/closed", 0o700); expect(b"closed")
open(root + "/closed/in/x.jpg", "w").close(); expect(b"closed/in")
os.chmod(root, 0); time.sleep(0.5); os.chmod(root, 0o700); expect(b"")
open(root + "/closed/in/y.jpg", "w").close(); expect(b"closed/in", b"")  # of all, where it is covered only now
watcher.stop()
"""
    done = subprocess.run(
        [*command, sys.executable, "-c", script, str(root)], capture_output=True, text=True, timeout=60
    )
    (root / "closed").chmod(0o700)
    assert done.stdout.count("{b'") == 5, done.stdout + done.stderr
