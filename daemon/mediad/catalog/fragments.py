"""A file's JSON in the catalog, made once and kept in the store until the file or its asset changes.

A fragment is a fixed header (`HEADER`) and the JSON of `document.File` less its last value; behind it, for a video,
the JSON of its `document.Video` and, for a flagged asset, of its `document.LowQuality`, each ended by `END`. What
belongs to the volume is put in when the catalog is written: `ROOT` stands for the volume's path, `ITSELF` for the
file's own JSON, and the state follows at the end. So a volume that goes, comes or moves costs nothing. JSON never
holds these control characters raw.
"""

from __future__ import annotations

import struct
from base64 import b64encode
from itertools import islice
from typing import Any

import orjson

from mediad.catalog.text import finite, is_text, iso_ns, path_text, preview_path
from mediad.model import Asset, File, Kind
from mediad.store import Transaction

HEADER = struct.Struct(">8s16sBdIII")
"""File id, content id, flags, mtime in seconds, start and end of the path's JSON, end of the file's JSON."""

FORMAT = 2
"""Raised when fragments say something else of the same file."""
_MADE_BY = "fragments"  # in meta: the FORMAT that the fragments have

VIDEO, FLAGGED = 1, 2
ROOT, ITSELF, END = b"\0", b"\1", b"\2"


def outdate(tx: Transaction) -> None:
    """Have all fragments made again where another version of this module made them."""
    if tx.meta.get(_MADE_BY) != FORMAT:
        for key in list(tx.raw.keys("files")):
            tx.raw.put("dirty", key, b"")
        tx.meta.put(_MADE_BY, FORMAT)


def refresh(tx: Transaction, limit: int) -> tuple[int, int]:
    """Make the fragments of at most `limit` files again that have changed: how many were looked at, and differ now."""
    keys = list(islice(tx.raw.keys("dirty"), limit))
    changed = 0
    for key in keys:
        fragment = _current(tx, key)
        if fragment != tx.raw.get("fragments", key):
            changed += 1
            if fragment is None:
                tx.raw.delete("fragments", key)
            else:
                tx.raw.put("fragments", key, fragment)
        tx.raw.delete("dirty", key)
    return len(keys), changed


def _current(tx: Transaction, key: bytes) -> bytes | None:
    """The fragment that a key of `files` should have; None for what the catalog does not show."""
    file = tx.files.at(key)
    if file is None or file.missing or file.content_id is None:
        return None
    asset = tx.assets.get(file.content_id)
    return None if asset is None else fragment_of(file, asset)


def fragment_of(file: File, asset: Asset) -> bytes:
    """The fragment of a file with this asset."""
    head, path, tail = _file_json(file, asset)
    flags = (VIDEO if asset.kind is Kind.VIDEO else 0) | (FLAGGED if asset.flags else 0)
    start = HEADER.size + len(head)
    end = start + len(path)
    header = HEADER.pack(
        bytes.fromhex(file.id), asset.content_id, flags, file.stat.mtime_ns / 1e9, start, end, end + len(tail)
    )
    extras = (_video_json(file, asset, path) + END) if flags & VIDEO else b""
    extras += (_quality_json(file, asset, path) + END) if flags & FLAGGED else b""
    return b"".join((header, head, path, tail, extras))


def _file_json(file: File, asset: Asset) -> tuple[bytes, bytes, bytes]:
    """`document.File` in three parts: up to the path, the path with its quotes, the rest less the state's value."""
    name = file.relpath.rpartition(b"/")[2]
    head = orjson.dumps({"id": file.id, "filename": path_text(name)})[:-1] + b',"filepath":'
    rest: dict[str, Any] = {} if is_text(file.relpath) else {"relpath_bytes": b64encode(file.relpath).decode()}
    rest |= {
        "filesize": file.stat.size,
        "created": iso_ns(min(file.stat.mtime_ns, file.stat.ctime_ns)),
        "modified": iso_ns(file.stat.mtime_ns),
        "content_id": asset.content_id.hex(),
        "kind": asset.kind,
        "width": asset.width,
        "height": asset.height,
    }
    optional = {
        "captured": asset.captured,
        "camera": asset.camera,
        "lens": asset.lens,
        "gps": _gps(asset),
        "rating": asset.rating,
        "keywords": asset.keywords or None,
        "preview": preview_path(asset.preview) if asset.preview else None,
    }
    rest |= {field: value for field, value in optional.items() if value is not None}
    rest |= {"phash": asset.phash, "volume": file.volume}
    return head, _below_root(file.relpath), b"," + orjson.dumps(rest)[1:-1] + b',"state":'


def _below_root(relpath: bytes) -> bytes:
    """JSON of a path on the volume, with `ROOT` in place of the volume's own."""
    return b'"' + ROOT + orjson.dumps("/" + path_text(relpath) if relpath else "")[1:]


def _gps(asset: Asset) -> dict[str, float] | None:
    numbers = [finite(number) for number in asset.gps or ()]
    found = {
        name: value
        for name, value in zip(("latitude", "longitude", "altitude"), numbers, strict=False)
        if value is not None
    }
    return found if {"latitude", "longitude"} <= found.keys() else None


def _video_json(file: File, asset: Asset, path: bytes) -> bytes:
    directory, _, name = file.relpath.rpartition(b"/")
    head = {"id": file.id, "name": path_text(name.rpartition(b".")[0] or name)}
    gif = {"preview_gif": preview_path(asset.preview_gif) if asset.preview_gif else None}
    facts = {
        "duration": finite(asset.duration),
        "fps": finite(asset.fps),
        "codec": asset.codec,
        "keyframes": [
            {"seconds": frame.seconds, **({"preview": preview_path(frame.preview)} if frame.preview else {})}
            for frame in asset.frames
            if finite(frame.seconds) is not None
        ],
    }
    return b"".join((
        orjson.dumps(head)[:-1], b',"directory":', _below_root(directory), b',"filepath":', path, b",",
        orjson.dumps(gif)[1:-1], b',"metadata":', ITSELF, b",", orjson.dumps(facts)[1:],
    ))  # fmt: skip


def _quality_json(file: File, asset: Asset, path: bytes) -> bytes:
    facts = {"flags": sorted(asset.flags), "scores": dict(sorted(asset.scores.items()))}
    return b'{"id":"' + file.id.encode() + b'","filepath":' + path + b"," + orjson.dumps(facts)[1:]
