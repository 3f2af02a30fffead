"""The daemon's side of a decoder: a disposable child that reads and decodes one file after the other."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from mediad.channel import Blob, Child, ChildError, Limits, Message
from mediad.media.formats import kind_of
from mediad.media.spec import (
    DECODER_BUILD,
    DECODER_VERSION,
    Decoded,
    DecodeSpec,
    FileChanged,
    FrameData,
    Pixels,
    ReadResult,
    Undecodable,
)
from mediad.model import CONTENT_ID_BYTES, Asset, ContentId, InputSpec, Kind, Stat

__all__ = [
    "DECODER_BUILD",
    "DECODER_VERSION",
    "DecodeSpec",
    "Decoded",
    "Decoder",
    "FileChanged",
    "FrameData",
    "ReadResult",
    "Undecodable",
]

_MODULE = "mediad.media.child"
_ASSET = TypeAdapter(Asset)
_STAT = TypeAdapter(Stat)


class Decoder:
    """One child. `read` a file, then `decode` what was read: a pair belongs to one thread, so give each its own.

    `memory_bytes` limits the child's address space (0: no limit). Deadlines are in seconds: a read has `read_deadline`
    and the time that `slowest_read` bytes a second take, a decode `image_deadline` or `video_deadline`. The child
    starts with the first request, and again with the next one after it was stopped, crashed or was too slow.
    """

    def __init__(
        self,
        memory_bytes: int = 2 << 30,
        read_deadline: float = 30.0,
        image_deadline: float = 30.0,
        video_deadline: float = 120.0,
        slowest_read: float = 5e6,
        nice: int = 10,
    ) -> None:
        self._child = Child(_MODULE, limits=Limits(memory=memory_bytes, nice=nice))
        self._read_deadline, self._slowest_read = read_deadline, slowest_read
        self._image_deadline, self._video_deadline = image_deadline, video_deadline
        self._path = b""
        self._content_id = ContentId(b"")

    @property
    def pid(self) -> int | None:
        return self._child.pid

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last request ended; 0 while one is under way."""
        return self._child.idle_seconds

    def stop(self) -> None:
        """End the child; a request under way fails with ChildError "crashed"."""
        self._child.stop()

    def read(self, path: bytes, *, follow: bool = False, size: int | None = None) -> ReadResult:
        """Hash a file, and hold its bytes (or the open file) for `decode`. Symbolic links are followed on request only.

        `size` in bytes, where it is known, spares the daemon a look at a drive that may hang; it sets the deadline.

        Raises:
            OSError: it cannot be read, with the errno (ENOENT: it is gone); or is no regular file.
            FileChanged: it did not stay the same meanwhile.
            ChildError: the child crashed or was too slow.
        """
        self._path, self._content_id = path, ContentId(b"")
        if size is None:
            size = os.stat(path, follow_symlinks=follow).st_size  # noqa: PTH116 - a path is bytes here
        deadline = self._read_deadline + size / self._slowest_read
        answer, blobs = self._ask({"do": "read", "follow": follow}, [path], deadline)
        try:
            content_id = bytes(blobs[0])
            if len(content_id) != CONTENT_ID_BYTES:
                raise ValueError("a content id of another length")
            result = ReadResult(ContentId(content_id), _STAT.validate_python(answer["stat"]))
        except (KeyError, IndexError, ValueError) as error:
            raise _nonsense(error) from error
        self._content_id = result.content_id
        return result

    def decode(self, spec: DecodeSpec) -> Decoded:
        """Make everything of the file that was read last.

        Raises:
            Undecodable: it was refused cleanly; the text says why.
            FileChanged: it is too large to be held, and changed since it was read.
            OSError: it is too large to be held, and reading it failed.
            ChildError: the child crashed, ran out of memory, or was too slow.
        """
        video = kind_of(self._path) is Kind.VIDEO
        deadline = self._video_deadline if video else self._image_deadline
        answer, blobs = self._ask({"do": "decode", "spec": asdict(spec)}, [], deadline)
        try:
            return self._decoded(answer, blobs, spec)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise _nonsense(error) from error

    def decode_query(self, path: bytes, spec: InputSpec) -> Pixels:
        """A picture to search with, as an encoder's input (1, size, size, 3); a video gives one for each keyframe.

        Links are followed. Raises what `read` and `decode` raise.
        """
        self.read(path, follow=True)
        return self.decode(DecodeSpec(input=spec, gif=False)).inputs

    def inputs_from_preview(self, data: bytes, spec: InputSpec) -> Pixels:
        """An encoder's input (1, size, size, 3) from a preview that was kept; ChildError where it is broken."""
        answer, blobs = self._ask({"do": "inputs", "input": asdict(spec)}, [data], self._image_deadline)
        try:
            return _inputs(answer["shape"], blobs[0], spec)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise _nonsense(error) from error

    def animate(self, stills: Sequence[bytes], size: int, frame_ms: int) -> bytes:
        """A moving GIF, at most `size` pixels on a side, of previews that were kept; ChildError where one is broken."""
        message = {"do": "animate", "size": size, "frame_ms": frame_ms}
        _, blobs = self._ask(message, stills, self._image_deadline)
        if len(blobs) != 1:
            raise _nonsense("no GIF")
        return bytes(blobs[0])

    def _ask(self, message: Message, blobs: Sequence[Blob], deadline: float) -> tuple[Message, list[bytearray]]:
        answer, data = self._child.request(message, blobs, deadline=deadline)
        if "undecodable" in answer:
            raise Undecodable(str(answer["undecodable"]))
        if "changed" in answer:
            raise FileChanged(str(answer["changed"]))
        if "errno" in answer:
            raise OSError(int(answer["errno"]), str(answer["strerror"]), os.fsdecode(self._path))
        return answer, data

    def _decoded(self, answer: Message, blobs: list[bytearray], spec: DecodeSpec) -> Decoded:
        facts = {**answer["asset"], "content_id": self._content_id, "decoder": DECODER_VERSION}
        inputs, gif, *stills = blobs
        seconds = [float(value) for value in answer["seconds"]]
        frames = [FrameData(at, bytes(still)) for at, still in zip(seconds, stills, strict=True)] if seconds else []
        return Decoded(
            asset=_ASSET.validate_python(facts),
            preview=bytes(stills[0]),
            preview_suffix=spec.preview_suffix,
            inputs=_inputs(answer["shape"], inputs, spec.input),
            frames=frames,
            gif=bytes(gif) or None,
            gif_seconds=float(answer["gif_seconds"]),
        )


def _inputs(shape: Any, data: bytearray, spec: InputSpec | None) -> Pixels:
    count, height, width, colours = shape
    size = spec.size if spec is not None else 0
    if (height, width, colours) != (size, size, 3) or math.prod(shape) != len(data):
        raise ValueError(f"inputs of shape {shape}")
    return np.frombuffer(data, np.uint8).reshape(count, size, size, 3)


def _nonsense(error: object) -> ChildError:
    return ChildError("protocol", f"the decoder's answer makes no sense: {error}")
