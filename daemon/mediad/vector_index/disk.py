"""The index on disk: one file of ids and vectors, and a manifest that alone makes it valid.

FAISS loads a file with flipped bits, doubled ids or NaN without an error, so nothing is loaded whose length and hash
the manifest does not confirm. The file's name holds its hash: a new file never overwrites the one that the present
manifest names, and replacing the manifest is the one instant at which the new takes the place of the old.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson
import structlog
from blake3 import blake3

from mediad.durable import sync_directory
from mediad.vector_index import kinds
from mediad.vector_index.vectors import Ids

log = structlog.get_logger()

MANIFEST = "manifest.json"
_PATTERN = "vectors-*.faiss"
_TEMPORARY = ".tmp"
_DAMAGED = ".damaged-"
_READ = 1 << 20


class Damaged(Exception):
    """What is on disk cannot be used; the text says why."""


class NothingSaved(Exception):
    """There is no index on disk yet."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the file beside it must be. `length` in bytes, `hash` BLAKE3 in hex, `generation` of the catalog."""

    file: str
    length: int
    hash: str
    generation: int
    encoder: str
    dimensions: int
    count: int
    kind: str
    faiss: str


@dataclass(frozen=True, slots=True)
class Written:
    """A temporary file that `publish` makes the valid one. `length` in bytes, `hash` BLAKE3 in hex."""

    path: Path
    length: int
    hash: str

    @property
    def file(self) -> str:
        """The name that it will have."""
        return f"vectors-{self.hash[:16]}.faiss"


def write(directory: Path, index: Any, ids: Ids) -> Written:
    """Write ids and vectors to a temporary file. Only this needs the index to hold still; `publish` does not."""
    directory.mkdir(parents=True, exist_ok=True)
    temporary = directory / f"vectors{_TEMPORARY}"
    hasher = blake3()
    with temporary.open("wb") as file:

        def sink(piece: bytes) -> int:
            hasher.update(piece)
            return file.write(piece)

        sink(ids.tobytes())
        kinds.write(index, sink)
        length = file.tell()
    return Written(temporary, length, hasher.hexdigest())


def publish(written: Path, manifest: Manifest) -> None:
    """Make what `write` wrote durable, then valid: file, manifest, and only then drop the files before it."""
    directory = written.parent
    with written.open("rb") as file:
        os.fsync(file.fileno())
    written.replace(directory / manifest.file)
    sync_directory(directory)
    body = asdict(manifest)
    new = directory / (MANIFEST + _TEMPORARY)
    with new.open("wb") as file:
        file.write(orjson.dumps(body | {"seal": _seal(body)}, option=orjson.OPT_INDENT_2))
        file.flush()
        os.fsync(file.fileno())
    new.replace(directory / MANIFEST)
    sync_directory(directory)
    for old in directory.glob(_PATTERN):
        if old.name != manifest.file:
            old.unlink()


def read(directory: Path, expected: dict[str, Any]) -> tuple[Manifest, Any, Ids]:
    """The manifest, the FAISS index and its ids by position; `expected` names fields and what they must be.

    Raises:
        NothingSaved: there is neither a manifest nor a file.
        Damaged: anything does not fit the manifest or `expected`.
    """
    try:
        manifest = _read_manifest(directory)
        for name, value in expected.items():
            found = getattr(manifest, name)
            if found != value:
                raise Damaged(f"{name} is {found!r}, not {value!r}")
        with (directory / manifest.file).open("rb") as file:
            return manifest, *_read_vectors(file, manifest)
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError is FAISS's
        raise Damaged(str(error)) from error


def _read_manifest(directory: Path) -> Manifest:
    path = directory / MANIFEST
    if not path.exists():
        if any(directory.glob(_PATTERN)):
            raise Damaged("there is no manifest beside the file")
        raise NothingSaved
    try:
        body = orjson.loads(path.read_bytes())
        seal = body.pop("seal")
        manifest = Manifest(**body)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise Damaged(f"the manifest is unreadable: {error!r}") from error
    if seal != _seal(body):
        raise Damaged("the manifest was altered")
    return manifest


def _read_vectors(file: BinaryIO, manifest: Manifest) -> tuple[Any, Ids]:
    length = os.fstat(file.fileno()).st_size
    if length != manifest.length:
        raise Damaged(f"the file has {length} bytes, not {manifest.length}")
    hasher = blake3()
    while piece := file.read(_READ):
        hasher.update(piece)
    if hasher.hexdigest() != manifest.hash:
        raise Damaged("the file's hash is another")
    file.seek(0)
    ids = np.frombuffer(file.read(8 * manifest.count), np.int64).copy()
    index = kinds.read(file)
    if index.ntotal != len(ids) or index.d != manifest.dimensions:
        raise Damaged(f"the file holds {index.ntotal} vectors of {index.d} dimensions")
    return index, ids


def quarantine(directory: Path) -> list[str]:
    """Set manifest and files aside as `NAME.damaged-N`, one set at most; the names that they have now."""
    moved: list[str] = []
    try:
        before = list(directory.glob(f"*{_DAMAGED}*"))
        number = 1 + max((int(path.name.rpartition("-")[2]) for path in before), default=0)
        for path in [*directory.glob(MANIFEST), *directory.glob(_PATTERN)]:
            moved += [path.rename(path.with_name(f"{path.name}{_DAMAGED}{number}")).name]
        for path in before:
            path.unlink()
        sync_directory(directory)
    except OSError as error:
        log.warning("damaged vector index could not be set aside", directory=str(directory), error=str(error))
    return moved


def _seal(body: dict[str, Any]) -> str:
    return blake3(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest(length=16)
