"""The decoder child: `python -m mediad.media.child`, one file at a time, over `mediad.channel`.

It reads a file, then decodes the bytes it read; whatever happens to it costs that file only.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Sequence

# Several children decode at once; the libraries read these when they are first imported, so they stand here.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

from mediad.channel import Blob, Handler, Message, child_parser, serve
from mediad.media.source import Source
from mediad.media.spec import DecodeSpec, FileChanged, Undecodable
from mediad.model import InputSpec

_UNCLEAR = (ArithmeticError, AttributeError, LookupError, NameError, TypeError)
Answer = tuple[Message, Sequence[Blob]]


class Requests:
    """The file under way, and what may be asked. Failures that say something of the file are answers of their own."""

    def __init__(self) -> None:
        from mediad.media import work

        self._work = work
        self._source: Source | None = None

    def __call__(self, message: Message, blobs: list[bytearray]) -> Answer:
        operations = {"read": self._read, "decode": self._decode, "inputs": self._inputs, "animate": self._animate}
        try:
            return operations[message["do"]](message, blobs)
        except Undecodable as error:
            return {"undecodable": str(error)}, ()
        except FileChanged as error:
            return {"changed": str(error)}, ()

    def _read(self, message: Message, blobs: list[bytearray]) -> Answer:
        if self._source is not None:
            self._source.close()
            self._source = None
        try:
            self._source = source = Source(bytes(blobs[0]), follow=message["follow"])
        except OSError as error:
            return _os_error(error), ()
        stat = source.stat
        found = {"size": stat.size, "mtime_ns": stat.mtime_ns, "ctime_ns": stat.ctime_ns, "inode": stat.inode}
        return {"stat": found}, [source.content_id]

    def _decode(self, message: Message, _: list[bytearray]) -> Answer:
        source = self._source
        if source is None:
            raise RuntimeError("no file was read")
        wanted = message["spec"]
        spec = DecodeSpec(**{**wanted, "input": InputSpec(**wanted["input"]) if wanted["input"] else None})
        try:
            with source.open() as file:
                made = self._work.make(file, source.path, spec)
        except (Undecodable, FileChanged, MemoryError, ImportError):
            raise  # the last two are ours: they say nothing of the file
        except Exception as error:  # every codec has errors of its own; to us they say the same
            if source.error is not None:
                return _os_error(source.error), ()
            raise Undecodable(f"cannot be decoded: {_in_words(error)}") from error
        header = {"asset": made.facts, "seconds": made.seconds, "shape": made.inputs.shape}
        return header | {"gif_seconds": made.gif_seconds}, [made.inputs.tobytes(), made.gif, *made.stills]

    def _inputs(self, message: Message, blobs: list[bytearray]) -> Answer:
        inputs = self._work.inputs_from_preview(blobs[0], InputSpec(**message["input"]))
        return {"shape": inputs.shape}, [inputs.tobytes()]

    def _animate(self, message: Message, blobs: list[bytearray]) -> Answer:
        return {}, [self._work.animate(blobs, message["size"], message["frame_ms"])]


def _os_error(error: OSError) -> Message:
    return {"errno": error.errno or 0, "strerror": error.strerror or str(error)}


def _in_words(error: Exception) -> str:
    """What a library said, as one short line without addresses in memory and names of temporary objects."""
    said = getattr(error, "strerror", None) or (error.args[0] if error.args else "")
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    text = "".join(c for c in re.sub(r" ?<[^<>]* object at 0x[0-9a-f]+>", "", text) if c.isprintable())[:300]
    # What these types say makes no sense without their name; the others come from codecs and speak of the file.
    return f"{type(error).__name__}: {text}" if isinstance(error, _UNCLEAR) or not text else text


def make_handler() -> Handler:
    """Silence the libraries: what hostile files make them print belongs in no log; our own errors still show."""
    warnings.simplefilter("ignore")
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    os.close(null)
    return Requests()


if __name__ == "__main__":
    serve(child_parser().parse_args(), make_handler)
