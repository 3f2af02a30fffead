"""The source for systems without inotify, on whatever watchdog has here."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mediad.volume import Rules
from mediad.watcher.recursive import RecursiveSource

Said = Any  # of conftest


class Sink:
    """Passes on what the source tells, without coalescing."""

    def __init__(self, said: Said) -> None:
        self._said = said

    def changed(self, reldir: bytes, *, recursive: bool, quick: bool = True) -> None:
        self._said.hint("v", reldir, recursive)

    def closed(self, relpath: bytes) -> None:
        self._said.on_closed("v", relpath)

    def overflowed(self) -> None:
        raise AssertionError("this source cannot tell")

    def uncovered(self, reldirs: frozenset[bytes], *, watched: int, advice: str) -> None:
        raise AssertionError("this source cannot tell")


@pytest.fixture
def source(root: Path, said: Said) -> Iterator[RecursiveSource]:
    made = RecursiveSource(os.fsencode(root), Rules(exclude=["private"]), Sink(said), check_seconds=0.1)
    made.start()
    said.expect(b"")
    yield made
    made.stop()


def test_changes_below_the_root(source: RecursiveSource, said: Said, root: Path, tmp_path: Path) -> None:
    (root / "a").mkdir()
    said.expect(b"a")
    name = b"a/\xff\n.jpg"
    (root / os.fsdecode(name)).write_bytes(b"x")
    assert said.wait(lambda: said.covers(b"a") and name in said.closed)
    said.expect(b"a")
    (tmp_path / "new" / "deep").mkdir(parents=True)
    (tmp_path / "new").rename(root / "new")
    said.expect(b"new/deep")
    (root / "new" / "deep" / "x.jpg").write_bytes(b"x")
    said.expect(b"new/deep")
    (root / "new").rename(root / "private")
    said.expect(b"new/deep")


def test_what_is_excluded_raises_no_hint(source: RecursiveSource, said: Said, root: Path) -> None:
    (root / "private" / "in").mkdir(parents=True)
    (root / ".git").mkdir()
    time.sleep(0.3)
    said.clear()
    (root / "private" / "in" / "x.jpg").write_bytes(b"x")
    (root / ".git" / "x.jpg").write_bytes(b"x")
    time.sleep(0.3)
    assert said.hints == []


def test_the_root_deleted_and_made_anew(source: RecursiveSource, said: Said, root: Path) -> None:
    shutil.rmtree(root)
    said.expect(b"")
    root.mkdir()
    said.expect(b"")
    time.sleep(0.3)
    said.clear()
    (root / "x.jpg").write_bytes(b"x")
    said.expect(b"")
