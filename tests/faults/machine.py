"""The machine that mixes faults: hypothesis chooses what happens to the files, the drive and the daemon."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from PIL import Image
from tests.faults.drive import mount, unmount
from tests.faults.oracle import judge, read_catalog
from tests.faults.wards import Ward
from tests.faults.world import World

CONFIG = """\
encoder = "descriptor"
{volumes}
[schedule]
settle = 0.1
[clustering]
by_name = false
min_cluster_size = 1000
[catalog]
min_interval = 0.05
[previews]
gif = false
[limits]
decoders = 2
attempts = 10
free_space_mb = 0
[http]
enabled = false
"""
"""Ten attempts, because two kills while one content is decoded look as if it was the content that killed."""

INVALID = ('encoder = "descriptr"', "[[volumes]\npath", "", "[schedule]\nsettle = -1", 'volume = "/b"')

FOLDERS, NAMES, CONTENTS = ("", "x", "y", "x/z"), range(4), 10
"""Few places and few contents, so that copies, collisions and returns are frequent."""


@cache
def picture(seed: int) -> bytes:
    """A small picture; all of them have the same size, so that only a look at the content tells them apart."""
    data = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (12, 12, 3), np.uint8)).save(data, "BMP")
    return data.getvalue()


places = st.tuples(st.sampled_from("ab"), st.sampled_from(FOLDERS), st.sampled_from(NAMES))
pictures = st.integers(0, CONTENTS - 1).map(picture)
moments = st.sampled_from((0.0, 0.1, 0.2, 0.3, 0.4))
picks = st.integers(0, 2**16)
ways = st.sampled_from(("plain", "replace", "hide"))


class Machine(RuleBasedStateMachine):
    """Subclasses say where the nursery is, where to work, and which bug is planted; they count, and keep what is found.

    A step that has nothing to work on does nothing.
    """

    nursery: ClassVar[Path]
    base: ClassVar[Path]
    planted: ClassVar[str]
    sequences: ClassVar[int]
    found: ClassVar[list[str]]

    def __init__(self) -> None:
        super().__init__()
        type(self).sequences += 1
        self.home = Path(tempfile.mkdtemp(dir=self.base))
        self.state, self.config = self.home / "run" / "state", self.home / "config.toml"
        self.state.parent.mkdir()
        mount("-t", "tmpfs", "-o", "size=256m", "tmpfs", self.state.parent)  # a kill needs no slow disk
        try:
            self.world = World(self.home)
        except BaseException:
            unmount(self.state.parent)
            raise
        self.generation = 0
        self.ward: Ward | None = None
        self.judged_wrong = False  # then nothing is checked any more

    @initialize()
    def begin(self) -> None:
        for seed in range(5):
            self.world.write(self._place(("ab"[seed % 2], FOLDERS[seed % 4], seed % 4)), picture(seed), "plain")
        self._start()
        self._check()

    # -- files

    @rule(place=places, data=pictures, how=ways)
    def write(self, place: tuple[str, str, int], data: bytes, how: str) -> None:
        path = self._place(place)
        if not self.world.is_locked(path):
            self.world.write(path, data, how)

    @rule(pick=picks, data=pictures)
    def change_unnoticed(self, pick: int, data: bytes) -> None:
        """Same size, same time of change."""
        if files := self.world.within_reach():
            self.world.write(files[pick % len(files)], data, "hide")

    @precondition(lambda self: self.ward is not None)
    @rule(place=places, first=pictures, then=pictures)
    def change_while_it_is_read(self, place: tuple[str, str, int], first: bytes, then: bytes) -> None:
        path = self._place(place)
        if self.world.visible(path):
            self.world.write(path, first, "replace")
            self._until_it_reads()
            self.world.write(path, then, "hide")

    @rule(pick=picks, place=places, link=st.booleans())
    def copy(self, pick: int, place: tuple[str, str, int], link: bool) -> None:
        path, files = self._place(place), self.world.within_reach()
        if files and path not in self.world.files and not self.world.is_locked(path):
            self.world.copy(files[pick % len(files)], path, link=link)

    @rule(pick=picks, place=places)
    def move(self, pick: int, place: tuple[str, str, int]) -> None:
        path, files = self._place(place), self.world.within_reach()
        if files and not self.world.is_locked(path):
            self.world.move(files[pick % len(files)], path)

    @rule(pick=picks, other=picks)
    def swap(self, pick: int, other: int) -> None:
        files = self.world.within_reach()
        if files:
            one = files[pick % len(files)]
            partners = [path for path in files if self.world.volume_of(path) == self.world.volume_of(one)]
            self.world.swap(one, partners[other % len(partners)])

    @rule(pick=picks)
    def remove(self, pick: int) -> None:
        if files := self.world.within_reach():
            self.world.remove(files[pick % len(files)])

    @rule(pick=picks, root=st.sampled_from(("a", "b", "outside")), folder=st.sampled_from(FOLDERS[1:]))
    def move_folder(self, pick: int, root: str, folder: str) -> None:
        target = self.home / root / folder
        folders = [path for path in self.world.folders() if not target.is_relative_to(path)]
        if folders and not self.world.real(target).exists() and not self.world.is_locked(target):
            self.world.move(folders[pick % len(folders)], target)

    @rule(pick=picks)
    def remove_folder(self, pick: int) -> None:
        if folders := self.world.folders():
            self.world.remove(folders[pick % len(folders)])

    @rule(pick=picks)
    def take_away_and_bring_back(self, pick: int) -> None:
        """A folder that nobody touches meanwhile: what is in it is missing, and then as it was."""
        away = self.world.outside / "away"
        if folders := [path for path in self.world.folders() if path != away]:
            folder = folders[pick % len(folders)]
            self.world.move(folder, away)
            self.check()
            self.world.move(away, folder)

    # -- folders and drives

    @precondition(lambda self: not self.world.locked)
    @rule(pick=picks)
    def lock(self, pick: int) -> None:
        folders = sorted({path.parent for path in self.world.within_reach()} | {self.world.a, self.world.b})
        self.world.lock(folders[pick % len(folders)])

    @precondition(lambda self: self.world.locked)
    @rule()
    def unlock(self) -> None:
        for folder in sorted(self.world.locked):
            self.world.unlock(folder)

    @precondition(lambda self: self.world.b in self.world.configured and not self.world.drive.away)
    @rule()
    def unplug(self) -> None:
        self.world.unplug()

    @precondition(lambda self: self.world.drive.away)
    @rule()
    def plug(self) -> None:
        self.world.plug()

    # -- configuration

    @precondition(lambda self: self.world.b in self.world.configured)
    @rule()
    def leave_out(self) -> None:
        self.world.leave_out(self.world.b)
        self._configure()

    @precondition(lambda self: self.world.b not in self.world.configured and not self.world.drive.away)
    @rule()
    def take_in(self) -> None:
        self.world.take_in(self.world.b)
        self._configure()

    @precondition(lambda self: self.ward is not None)
    @rule(text=st.sampled_from(INVALID))
    def break_the_configuration(self, text: str) -> None:
        assert self.ward is not None
        self.config.write_text(text)
        assert self.ward.ask("reload")["problems"]

    # -- the daemon

    @precondition(lambda self: self.ward is not None)
    @rule(after=moments)
    def kill(self, after: float) -> None:
        """At any moment of whatever was begun by the steps before."""
        assert self.ward is not None
        time.sleep(after)
        self.ward.kill()
        self.ward = None

    @precondition(lambda self: self.ward is not None)
    @rule()
    def stop(self) -> None:
        assert self.ward is not None
        self.ward.stop()
        self.ward = None

    @precondition(lambda self: self.ward is None)
    @rule(dies=st.booleans(), after=moments)
    def start(self, dies: bool, after: float) -> None:
        """Again, after it was killed while it started, maybe."""
        if dies:
            ward = self._ward()
            time.sleep(after)
            ward.kill()
        self._start()

    @rule()
    def check(self) -> None:
        """In step with the disk, whatever happened."""
        if self.ward is None:
            self._start()
        self._check()

    @invariant()
    def catalog_is_whole(self) -> None:
        if not (self.state / "catalog" / "catalog.json").exists():
            return  # before the first start
        generation = read_catalog(self.state / "catalog")["generation"]
        assert generation >= self.generation
        self.generation = generation

    def teardown(self) -> None:
        try:
            if not self.judged_wrong:
                self.check()
                self.stop()
        finally:
            if self.ward is not None:
                self.ward.kill()
            self.world.end()
            unmount(self.state.parent)
            shutil.rmtree(self.home)

    # -- how

    def _place(self, place: tuple[str, str, int]) -> Path:
        root, folder, number = place
        return self.home / root / folder / f"{number}.bmp"

    def _write_config(self) -> None:
        tables = "\n".join(f"[[volumes]]\npath = {json.dumps(str(path))}" for path in sorted(self.world.configured))
        self.config.write_text(CONFIG.format(volumes=tables))

    def _configure(self) -> None:
        self._write_config()
        if self.ward is not None:
            assert not self.ward.ask("reload")["problems"]

    def _ward(self) -> Ward:
        self._write_config()  # it may have been broken
        which = {"state": str(self.state), "config": str(self.config), "planted": self.planted}
        return Ward(self.nursery, self.home / "log", **which)

    def _start(self) -> None:
        self.ward = self._ward()
        self.ward.ready()

    def _check(self) -> None:
        assert self.ward is not None
        self.judged_wrong = True
        answer = self.ward.ask("check")
        try:
            judge(self.world, self.state, answer)
        except AssertionError as error:
            self.found.append(str(error))
            raise
        self.judged_wrong = False

    def _until_it_reads(self) -> None:
        """The daemon has read the file, and nothing is recorded of it yet; or it looks elsewhere for long."""
        assert self.ward is not None
        deadline = time.monotonic() + 2.0
        while not self.ward.ask("reading") and time.monotonic() < deadline:
            time.sleep(0.01)
