"""A catalog written elsewhere: what it says relative to its own directory must still lead there."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import orjson

from mediad_service.cli.session import USAGE, fail

_REFERENCES = frozenset({"$schema", "preview", "preview_gif"})


def check_writable(output: Path) -> None:
    """End with what keeps `output` from being written, before hours of work are done for it."""
    folder = output.absolute().parent
    if not folder.is_dir():
        fail(f"{output} cannot be written: there is no folder {folder}", USAGE)
    if output.is_dir():
        fail(f"{output} cannot be written: it is a folder", USAGE)
    if not os.access(folder, os.W_OK | os.X_OK):
        fail(f"{output} cannot be written: nothing may be made in {folder}", USAGE)


def write_catalog(source: Path, output: Path | None) -> None:
    """Copy the catalog at `source` to the file `output` in one step, or (None) to standard output."""
    document = orjson.loads(source.read_bytes())
    data = orjson.dumps(relocated(document, source.parent, output), option=orjson.OPT_APPEND_NEWLINE)
    if output is None:
        sys.stdout.buffer.write(data)
        return
    new = output.with_name(f".{output.name}.new")
    try:
        new.write_bytes(data)
        new.replace(output)
    except OSError as error:
        fail(f"{output} cannot be written: {error.strerror}")


def relocated(value: Any, home: Path, output: Path | None, name: str = "") -> Any:
    """The same document, its references to files in `home` relative to where `output` is (None: absolute)."""
    if isinstance(value, dict):
        return {key: relocated(part, home, output, key) for key, part in value.items()}
    if isinstance(value, list):
        return [relocated(part, home, output) for part in value]
    if name in _REFERENCES and value is not None:
        path = home.resolve() / value
        return str(path) if output is None else os.path.relpath(path, output.parent.resolve())
    return value
