"""The catalog by itself: whether it can be read, fits its schema and agrees with itself."""

from __future__ import annotations

import importlib.util
import os
from base64 import b64decode
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from mediad.resources import shipped
from mediad_service.audit.report import Divergence

_SCHEMA_ERRORS = 20

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A file in the catalog: what is said of it, and its exact path."""

    said: Document
    path: bytes

    @property
    def shown(self) -> str:
        return str(self.said["filepath"])


def read(path: Path) -> Document | Divergence:
    """The document, or why there is none."""
    try:
        document = orjson.loads(path.read_bytes())
    except OSError as error:
        return Divergence("catalog", str(path), f"cannot be read: {error.strerror}")
    except ValueError as error:
        return Divergence("catalog", str(path), f"is no JSON: {error}")
    return document if isinstance(document, dict) else Divergence("catalog", str(path), "is no JSON object")


def against_schema(document: Document) -> Iterator[Divergence]:
    """Where it breaks the schema that this mediad publishes; nothing where jsonschema is not installed."""
    if importlib.util.find_spec("jsonschema") is None:
        return
    import jsonschema

    schema = orjson.loads(shipped("config", "catalog.schema.json").read_bytes())
    for error in islice(jsonschema.Draft202012Validator(schema).iter_errors(document), _SCHEMA_ERRORS):
        yield Divergence("schema", error.json_path, error.message[:300])


def entries(document: Document) -> list[Entry]:
    """Every file, once: images from where they stand, videos from `videos`."""
    roots = {volume["id"]: os.fsencode(volume["path"]) for volume in document["metadata"]["volumes"]}
    said = [*_images(document), *(video["metadata"] for video in document["videos"])]
    return [Entry(file, _exact(file, roots)) for file in said]


def _images(document: Document) -> Iterator[Document]:
    for group in (*document["sequences"], *document["clusters"], {"files": document["unclustered"]}):
        yield from (file for file in group["files"] if file["kind"] == "image")


def _exact(file: Document, roots: dict[str, bytes]) -> bytes:
    if "relpath_bytes" in file:
        return roots.get(file["volume"], b"").rstrip(b"/") + b"/" + b64decode(file["relpath_bytes"])
    return os.fsencode(file["filepath"])


def against_itself(document: Document, listed: list[Entry]) -> Iterator[Divergence]:
    """Ids and places that are there twice, counts that are wrong, and references that lead nowhere."""
    yield from _twice("file id", (entry.said["id"] for entry in listed))
    yield from _twice("file path", (entry.shown for entry in listed))
    for section in ("sequences", "clusters", "duplicates"):
        yield from _twice(f"id in {section}", (group["id"] for group in document[section]))
    yield from _counts(document, listed)
    yield from _references(document, {entry.said["id"]: entry.said for entry in listed})


def _twice(what: str, values: Iterator[str]) -> Iterator[Divergence]:
    for value, count in Counter(values).items():
        if count > 1:
            yield Divergence("twice", value, f"{what} stands in the catalog {count} times")


def _counts(document: Document, listed: list[Entry]) -> Iterator[Divergence]:
    metadata = document["metadata"]
    found = {
        "total_images": sum(entry.said["kind"] == "image" for entry in listed),
        "total_videos": len(document["videos"]),
        "total_clusters": len(document["clusters"]),
        "total_sequences": len(document["sequences"]),
        "unclustered_count": len(document["unclustered"]),
    }
    wrong = {name: (metadata[name], count) for name, count in found.items() if metadata[name] != count}
    held = Counter(entry.said["volume"] for entry in listed)
    for volume in metadata["volumes"]:
        if volume["assets"] != held[volume["id"]]:
            wrong[f"assets of volume {volume['name']}"] = (volume["assets"], held[volume["id"]])
    for group in (*document["sequences"], *document["clusters"]):
        if group["count"] != len(group["files"]):
            wrong[f"count of {group['name']}"] = (group["count"], len(group["files"]))
    for name, (said, is_) in wrong.items():
        yield Divergence("count", None, f"{name} is said to be {said}, but is {is_}")


def _references(document: Document, files: dict[str, Document]) -> Iterator[Divergence]:
    sequences = {sequence["id"] for sequence in document["sequences"]}
    for cluster in document["clusters"]:
        for name in cluster["sequences"]:
            if name not in sequences:
                yield Divergence(
                    "reference", None, f"cluster {cluster['id']} names sequence {name}, which is not there"
                )
    for one in document["low_quality"]:
        if one["id"] not in files:
            yield Divergence("reference", one["filepath"], "is of low quality, but not in the catalog")
    yield from _duplicates(document, files)


def _duplicates(document: Document, files: dict[str, Document]) -> Iterator[Divergence]:
    contents = defaultdict(set)
    for file in files.values():
        contents[file["content_id"]].add(file["id"])
    grouped = set()
    for group in document["duplicates"]:
        ids = {file["id"] for file in group["files"]}
        unknown = ids - files.keys()
        if unknown:
            yield Divergence("reference", None, f"duplicates {group['id']} name {sorted(unknown)}, which are not there")
        elif group["tier"] == "exact":
            grouped |= ids
            if len({files[one]["content_id"] for one in ids}) != 1:
                yield Divergence("duplicates", None, f"group {group['id']} holds files of different content")
    for ids in contents.values():
        if document["duplicates"] and len(ids) > 1 and not ids <= grouped:
            yield Divergence("duplicates", files[min(ids)]["filepath"], "is not in a group with its exact copies")
