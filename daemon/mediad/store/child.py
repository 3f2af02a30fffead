"""The process that reads stores which may be damaged: `python -m mediad.store.child`, over `mediad.channel`.

A truncated file is SIGBUS to whoever reads it through a map, and LMDB may crash on a damaged page: here that costs one
request.

Requests:
    `{"op": "check", "path": str, "deep": bool}` -> `{"damage": str | null}`
    `{"op": "copy", "path": str, "target": str}` -> `{"damage": str | null}`; the target is durable, and was read back
    `{"op": "salvage", "path": str, "how": "tree" | "pages"}` -> `{}`: what `next` gives from now on
    `{"op": "next"}` -> `{"end": bool}` and entries as `salvage.pack` writes them
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import lmdb

from mediad.channel import Blob, Handler, Message, child_parser, serve
from mediad.store.check import DAMAGE, examine, open_for_reading, walk
from mediad.store.salvage import Entry, pack, pages, tree

_BATCH = 256


class Reader:
    """Answers the requests; holds the place at which salvaging is."""

    def __init__(self) -> None:
        self._entries: Iterator[Entry] = iter(())

    def __call__(self, message: Message, _: list[bytearray]) -> tuple[Message, Sequence[Blob]]:
        match message["op"]:
            case "check":
                return {"damage": _check(Path(message["path"]), deep=message["deep"])}, ()
            case "copy":
                return {"damage": _copy(Path(message["path"]), Path(message["target"]))}, ()
            case "salvage":
                how = {"tree": tree, "pages": pages}[message["how"]]
                self._entries = how(Path(message["path"]))
                return {}, ()
            case "next":
                batch = list(islice(self._entries, _BATCH))
                return {"end": len(batch) < _BATCH}, [pack(batch)]
            case unknown:
                raise ValueError(f"the store's process knows no operation {unknown!r}")


def _check(path: Path, *, deep: bool) -> str | None:
    try:
        with open_for_reading(path) as env:
            walk(env)
            if deep:
                examine(env)
    except DAMAGE as error:
        return str(error)
    return None


def _copy(source: Path, target: Path) -> str | None:
    try:
        with lmdb.open(str(source), readonly=True, max_dbs=64) as env:  # with a lock: it is in use
            fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                env.copyfd(fd, compact=True)
                os.fsync(fd)
            finally:
                os.close(fd)
        with open_for_reading(target) as copy:
            examine(copy)
    except DAMAGE as error:
        return str(error)
    return None


def make_handler() -> Handler:
    """What `channel.serve` asks for."""
    return Reader()


if __name__ == "__main__":
    serve(child_parser().parse_args(), make_handler)
