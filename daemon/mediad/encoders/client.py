"""The daemon's side of the encoder process: started for work, checked in all it says, restarted when it dies."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import structlog
from numpy.typing import NDArray

from mediad.channel import Blob, Child, ChildError, Limits, Message
from mediad.durable import replace_file
from mediad.encoder_spec import parse
from mediad.encoders.weights import require
from mediad.model import EncoderInfo, InputSpec

_START_SECONDS = 300.0
"""For importing torch and loading a model on a slow machine under load; also covers measuring precision once."""
_SECONDS_EACH = 5.0
"""For one picture or text more, on a slow machine with a large model."""
_FIRST_BATCH = 32
_LENGTH_TOLERANCE = 1e-3

_log = structlog.get_logger()


class EncoderError(Exception):
    """The encoder process failed, could not load its model, or answered nonsense; the next call starts another."""


class TextUnsupported(Exception):
    """This encoder cannot encode texts; the text says why."""


class Encoder:
    """An encoder, in a process of its own that is started when first needed and restarted after a failure.

    Thread-safe; a text goes before the next batch of pictures. `spec` is a setting other than "auto" (see `resolve`).
    """

    def __init__(self, spec: str, weights_dir: Path, state_dir: Path, nice: int = 10, memory_bytes: int = 0) -> None:
        """Start nothing yet. `memory_bytes` limits the process's address space (0: not at all).

        Raises:
            ValueError, WeightsUnavailable: as `resolve` raises them.
        """
        self._spec = parse(spec)
        self._files = require(self._spec, weights_dir)
        self._cache = state_dir / "encoders.json"
        arguments = [f"--spec={self._spec}", f"--weights-dir={weights_dir}", f"--state-dir={state_dir}"]
        self._child = Child("mediad.encoders.child", arguments, Limits(memory=memory_bytes, nice=nice))
        self._info: EncoderInfo | None = None
        self._batch = _FIRST_BATCH
        self._turn = threading.Condition()
        self._texts_waiting = 0

    @property
    def pid(self) -> int | None:
        return self._child.pid

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last request ended; 0 while one is under way."""
        return self._child.idle_seconds

    def stop(self) -> None:
        """End the process; the next call starts another."""
        self._child.stop()

    def info(self) -> EncoderInfo:
        """What this encoder is. Remembered on disk for the same files, so that a restart starts no process for it.

        Raises:
            EncoderError: the model could not be loaded.
        """
        if self._info is None:
            self._info = self._recalled()
        if self._info is None:
            answer, _ = self._ask({"op": "info"}, (), 0)
            self._info = _info_of(answer["info"])
            self._remember(self._info)
        return self._info

    def encode_images(self, inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Unit vectors, float32 (n, dimensions), of pictures made as `info().input` says, uint8 (n, size, size, 3).

        Raises:
            ValueError: pictures of another shape or type.
            EncoderError: see there.
        """
        wanted = self.info()
        shape = (wanted.input.size, wanted.input.size, 3)
        if inputs.dtype != np.uint8 or inputs.shape[1:] != shape:
            raise ValueError(f"pictures must be uint8 of shape (n, {shape}), not {inputs.dtype} {inputs.shape}")
        parts = [np.empty((0, wanted.dimensions), np.float32)]
        start = 0
        while start < len(inputs):
            part = np.ascontiguousarray(inputs[start : start + self._batch])
            with self._turn:
                self._turn.wait_for(lambda: not self._texts_waiting)
            parts.append(self._encode({"op": "images", "shape": list(part.shape)}, [part.data], len(part)))
            start += len(part)
        return np.concatenate(parts)

    def encode_text(self, texts: list[str]) -> NDArray[np.float32]:
        """Unit vectors, float32 (n, dimensions), of texts in the space of the pictures.

        Raises:
            TextUnsupported: this encoder has no text tower.
            EncoderError: see there.
        """
        if not self.info().text:
            raise TextUnsupported(f"{self._spec} encodes no text: choose an open_clip encoder (`mediad models list`)")
        if not texts:
            return np.empty((0, self.info().dimensions), np.float32)
        with self._before_pictures():
            return self._encode({"op": "text", "texts": texts}, (), len(texts))

    @contextlib.contextmanager
    def _before_pictures(self) -> Iterator[None]:
        with self._turn:
            self._texts_waiting += 1
        try:
            yield
        finally:
            with self._turn:
                self._texts_waiting -= 1
                self._turn.notify_all()

    def _encode(self, message: Message, blobs: list[Blob] | tuple[()], count: int) -> NDArray[np.float32]:
        answer, data = self._ask(message, blobs, count)
        vectors = _checked(answer, data, count, self.info().dimensions)
        self._batch = max(1, int(answer["batch"]))
        if answer["backend"] != self.info().backend:
            self._info = replace(self.info(), backend=str(answer["backend"]))
            self._remember(self._info)
        return vectors

    def _ask(self, message: Message, blobs: list[Blob] | tuple[()], count: int) -> tuple[Message, list[bytearray]]:
        try:
            return self._child.request(message, blobs, deadline=_START_SECONDS + _SECONDS_EACH * count)
        except ChildError as error:
            raise EncoderError(f"{self._spec}: {error}") from error

    def _stamp(self) -> list[Any]:
        """What a remembered info is true of."""
        stats = [(str(path), path.stat()) for path in self._files]
        return [version("mediad"), *([name, stat.st_size, stat.st_mtime_ns] for name, stat in stats)]

    def _recalled(self) -> EncoderInfo | None:
        entry = _read(self._cache).get(str(self._spec))
        if not isinstance(entry, dict) or entry.get("stamp") != self._stamp():
            return None
        return _info_of(entry["info"])

    def _remember(self, info: EncoderInfo) -> None:
        entries = _read(self._cache) | {str(self._spec): {"stamp": self._stamp(), "info": asdict(info)}}
        self._cache.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._cache, orjson.dumps(entries, option=orjson.OPT_INDENT_2))
        _log.info("encoder ready", id=info.id, dimensions=info.dimensions, text=info.text, backend=info.backend)


def _checked(answer: Message, data: list[bytearray], count: int, dimensions: int) -> NDArray[np.float32]:
    if answer.get("shape") != [count, dimensions] or len(data) != 1 or len(data[0]) != 4 * count * dimensions:
        raise EncoderError(f"the encoder answered {answer.get('shape')} for {count} inputs of {dimensions} dimensions")
    vectors = np.frombuffer(data[0], np.float32).reshape(count, dimensions)
    lengths = np.linalg.norm(vectors, axis=1)
    if not np.all(np.abs(lengths - 1) <= _LENGTH_TOLERANCE):  # NaN and infinity fail this as well
        bad = int(np.argmax(~(np.abs(lengths - 1) <= _LENGTH_TOLERANCE)))
        raise EncoderError(
            f"the encoder answered a vector of length {lengths[bad]} for input {bad}: its weights are damaged"
        )
    return vectors


def _info_of(fields: dict[str, Any]) -> EncoderInfo:
    return EncoderInfo(**{**fields, "input": InputSpec(**fields["input"])})


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        entries = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}  # not there or damaged: the encoder is asked again
    return entries if isinstance(entries, dict) else {}
