"""A pipeline of its own: real store, files and decoders; only the encoder is a function of the test's."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mediad.config.settings import Settings
from mediad.engine.options import decode_spec
from mediad.ingest.job import Ended, Job
from mediad.ingest.pipeline import Pipeline
from mediad.ingest.previews import Previews
from mediad.ingest.recorder import Callbacks
from mediad.ingest.scan import compare, enlist
from mediad.ingest.stages import Context
from mediad.media.decoder import Decoder
from mediad.media.formats import kind_of
from mediad.model import EncoderInfo, File, InputSpec, VolumeId
from mediad.store import Store
from mediad.volume.rules import Rules
from mediad.volume.walk import list_directory

VOLUME = VolumeId("00000001")
OTHER = VolumeId("00000002")


def encoder_info(name: str, size: int = 32) -> EncoderInfo:
    return EncoderInfo(name, name, 4, text=False, input=InputSpec(size), backend="test")


def encode(_: EncoderInfo, inputs: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Mean colours as a unit vector (n, 4): enough of an encoder."""
    means = inputs.reshape(len(inputs), -1, 3).mean(axis=1) + 1.0
    vectors = np.concatenate([means, np.ones((len(inputs), 1))], axis=1)
    unit: npt.NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


@dataclass
class Pipe:
    """A pipeline over directories (by volume id), and what it told."""

    store: Store
    roots: dict[VolumeId, Path]
    home: Path
    encoder: EncoderInfo | None = field(default_factory=lambda: encoder_info("one"))
    encode: Callable[[EncoderInfo, npt.NDArray[np.uint8]], npt.NDArray[np.float32]] = encode
    away: set[VolumeId] = field(default_factory=set)
    unproven: set[VolumeId] = field(default_factory=set)
    defect: VolumeId | None = None
    recorded: list[Job] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    recording: threading.Event = field(default_factory=threading.Event)
    pipeline: Pipeline = field(init=False)

    def __post_init__(self) -> None:
        self.recording.set()
        self.renew()

    def renew(self) -> None:
        """Another pipeline, as after a restart."""
        context = Context(
            store=self.store,
            previews=Previews(self.home / "previews"),
            root_of=self.root_of,
            encoder=lambda: self.encoder,
            spec=decode_spec(Settings()),
            follows=lambda _: False,
            proven=lambda volume: volume not in self.unproven | self.away,
            held=lambda: False,
            refused=lambda _: None,
        )
        self.pipeline = Pipeline(
            context,
            Decoder,
            self._encode,
            1,
            Callbacks(self.recorded.extend, lambda _, ended: self.ended.append(ended), self._beat),
        )

    def _encode(self, info: EncoderInfo, inputs: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        return self.encode(info, inputs)

    def _beat(self, name: str) -> None:
        if name == "recorder":
            self.recording.wait(60)

    @contextmanager
    def read_but_not_recorded(self, files: int) -> Iterator[None]:
        """While this lasts, so many files were read and decoded, and wait to be recorded."""
        self.recording.clear()
        time.sleep(1.2)  # the recorder looks once a second
        self.scan()
        until(lambda: self.pipeline._recorder._queue.qsize() >= files)
        yield
        self.recording.set()

    def root_of(self, volume: VolumeId) -> bytes | None:
        if volume == self.defect and threading.current_thread().name == "recorder":
            raise RuntimeError("a defect of ours")
        return None if volume in self.away or volume not in self.roots else os.fsencode(self.roots[volume])

    def scan(self, volume: VolumeId = VOLUME, directory: bytes = b"") -> None:
        """Enlist what is in a directory, as a volume's loop would."""
        rules = Rules()
        listing = list_directory(
            os.fsencode(self.roots[volume]), directory, rules, lambda name: kind_of(name) is not None
        )
        with self.store.write() as tx:
            found = compare(tx, volume, directory, listing.files, listing.directories)
            enlist(tx, volume, found, time.time())
        self.pipeline.wake()

    def until_idle(self, seconds: float = 30) -> None:
        until(lambda: not self.pipeline.busy(), seconds)

    def files(self) -> dict[str, File]:
        with self.store.read() as tx:
            return {os.fsdecode(file.relpath): file for file in tx.files}

    def journal(self) -> list[tuple[str, str]]:
        with self.store.read() as tx:
            return [(str(change.type), change.detail.get("path", "")) for change in tx.journal.after(0)]

    def counter(self, name: str) -> int:
        with self.store.read() as tx:
            return tx.meta.counter(name)


@contextmanager
def running(pipe: Pipe) -> Iterator[Pipe]:
    pipe.pipeline.start()
    try:
        yield pipe
    finally:
        pipe.pipeline.stop()


def until(done: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for a condition; fails when it does not come about."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)
