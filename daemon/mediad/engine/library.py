"""What is known, read from the store: the same answers whether a daemon runs or not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import orjson

from mediad.catalog.build import SECTIONS, Writer
from mediad.catalog.changes import Feed
from mediad.catalog.index import Index, read_index
from mediad.catalog.placing import place
from mediad.catalog.text import path_text
from mediad.config.locations import Locations
from mediad.config.settings import Settings
from mediad.engine import options
from mediad.engine.paths import places
from mediad.engine.search import Search
from mediad.engine.status import Failing, stored_status
from mediad.ingest.spaces import Spaces
from mediad.model import ContentId, EncoderInfo, File, Volume
from mediad.store import Store, Transaction

Found = list[dict[str, Any]]


class Library:
    """Questions and answers. Opens the store read-only unless it is given one; use it as a context manager.

    Raises:
        FileNotFoundError: no daemon has ever run with this state directory.
    """

    def __init__(self, locations: Locations, settings: Settings, *, store: Store | None = None) -> None:
        self.locations = locations
        self.settings = settings
        self.store = store or Store(options.store_directory(locations.state), readonly=True)
        self._spaces = Spaces(
            self.store,
            options.make_encoder(locations, settings),
            locations.weights,
        )
        self._search = Search(self.store, locations.state / "index", persist=not self.store.readonly)
        self._query_decoder = options.make_decoder(settings)
        self.failing = Failing()

    def close(self) -> None:
        self._query_decoder.stop()
        self._spaces.stop()
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- facts

    def status(self) -> dict[str, Any]:
        """See `status.stored_status`."""
        return stored_status(self)

    def volumes(self) -> Found:
        """The volumes and their states."""
        volumes: Found = self.status()["volumes"]
        return volumes

    def section(self, name: str) -> Iterator[bytes]:
        """A section of the catalog (one of `catalog.build.SECTIONS`) as JSON, in pieces.

        Raises:
            KeyError: there is no such section.
        """
        if name not in SECTIONS:
            raise KeyError(name)
        with self.store.read() as tx:
            volumes = list(tx.volumes)
            index = read_index(tx, {bytes.fromhex(volume.id) for volume in volumes})
            yield from Writer(tx, index, volumes).section(name, place(tx, index, self.settings.duplicates.tiers))

    def entries(self, name: str) -> Found:
        """The same as Python objects."""
        entries: Found = orjson.loads(b"".join(self.section(name)))
        return entries

    def file(self, file_id: str) -> dict[str, Any] | None:
        """A file as in the catalog; None for an id that is not known."""
        with self.store.read() as tx:
            file = _by_id(tx, file_id)
            return _render(tx, file) if file is not None else None

    def original(self, file_id: str) -> Path | None:
        """Where the file itself is; None for an id that is not known. It may be away."""
        with self.store.read() as tx:
            file = _by_id(tx, file_id)
            volume = tx.volumes.get(file.volume) if file is not None else None
            if file is None or volume is None or file.missing:
                return None
            return Path(os.fsdecode(os.path.join(os.fsencode(volume.path), file.relpath)))

    def preview(self, name: str) -> Path | None:
        """The file of a preview; None for a name that is none (or that leads out of the directory)."""
        directory = self.locations.catalog / "previews"
        folder, _, leaf = name.partition("/")
        plain = folder.isalnum() and leaf and "/" not in leaf and not leaf.startswith(".")
        path = directory / folder / leaf
        return path if plain and path.is_file() else None

    def changes(self, after: int, limit: int) -> Found:
        """Lines of the change feed with a greater `seq`, at most `limit`, oldest first."""
        lines: Found = []
        for line in Feed(self.locations.catalog).read(after):
            lines.append(line)
            if len(lines) >= limit:
                break
        return lines

    # -- search

    def search_text(self, text: str, count: int) -> Found:
        """Files that show what `text` says, best first: [{"score", "file"}].

        Raises:
            TextUnsupported: the encoder in use knows no text.
            EncoderError: no encoder is ready.
        """
        serving = self._serving()
        return self._nearest(serving, self._spaces.encode_text(serving, text), count)

    def search_image(self, path: Path, count: int) -> Found:
        """Files that look like the picture at `path`, which may be anywhere.

        Raises:
            OSError, Undecodable: it cannot be read.
        """
        serving = self._serving()
        inputs = self._query_decoder.decode_query(os.fsencode(path), serving.input)
        return self._nearest(serving, self._spaces.encode_query_images(serving, inputs)[0], count)

    def similar(self, what: str, count: int) -> Found:
        """Files like a known one (a file id, or the path of a file on a volume), without itself.

        Raises:
            KeyError: it is not known, or has no embedding yet.
        """
        serving = self._serving()
        with self.store.read() as tx:
            file = _by_id(tx, what) or _by_path(tx, what)
            content_id = file.content_id if file is not None else None
            vector = tx.vectors.get(serving.id, content_id) if content_id is not None else None
        if vector is None or content_id is None:
            raise KeyError(f"{what} is not known, or not embedded yet; `mediad sync` waits until it is")
        return self._nearest(serving, vector, count, without=content_id)

    def _serving(self) -> EncoderInfo:
        return self._spaces.serving_or_raise()

    def _nearest(
        self, space: EncoderInfo, vector: npt.NDArray[np.float32], count: int, without: ContentId | None = None
    ) -> Found:
        """The `count` best that are shown: what is missing keeps its vector for a while, so more are looked at.

        `space` is that of the vector: another may serve by now.
        """
        looked_at = count + (without is not None)
        while True:
            found = self._search.nearest(space, vector, looked_at)
            results: Found = []
            with self.store.read() as tx:
                for content_id, score in found:
                    file = _shown(tx, content_id)
                    if content_id != without and file is not None:
                        results.append({"score": round(score, 4), "file": _render(tx, file)})
            if len(results) >= count or len(found) < looked_at:
                return results[:count]
            looked_at *= 4


def _by_id(tx: Transaction, file_id: str) -> File | None:
    try:
        return tx.files.by_id(file_id)
    except ValueError:
        return None


def _by_path(tx: Transaction, path: str) -> File | None:
    volumes = list(tx.volumes)
    found = (
        tx.files.get(volume.id, os.fsencode(below))
        for root, below in places(path, (volume.path for volume in volumes))
        for volume in volumes
        if volume.path == root
    )
    return next((file for file in found if file is not None), None)


def _shown(tx: Transaction, content_id: ContentId) -> File | None:
    """The file that stands for a content: the first that is not missing."""
    return next((file for file in tx.files.of(content_id) if not file.missing), None)


def _render(tx: Transaction, file: File) -> dict[str, Any]:
    key = tx.files.key(file.volume, file.relpath)
    fragment = tx.raw.get("fragments", key) if key is not None else None
    volumes: list[Volume] = list(tx.volumes)
    if key is None or fragment is None:
        return {"id": file.id, "filepath": path_text(file.relpath)}
    rendered: dict[str, Any] = orjson.loads(Writer(tx, Index(), volumes).file(key, fragment))
    return rendered
