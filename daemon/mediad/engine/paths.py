"""Where a path that a person gives is on the volumes, whichever symbolic links lead to it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path


def places(path: str | Path, roots: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each root that `path` may be on, with the path below it ("." for the root itself).

    As they are written comes first; then with symbolic links resolved, those of the given path and those of the root.
    A file's own name is left as it is: a link to a file is not its target.
    """
    listed = list(roots)
    given = os.path.abspath(path)
    yield from _below(given, {root: root for root in listed})
    try:
        real = os.path.realpath(given) if os.path.isdir(given) else _with_real_folder(given)
        resolved = {root: os.path.realpath(root) for root in listed}
    except ValueError:  # no path at all, as one with a NUL
        return
    yield from _below(real, resolved)


def _below(path: str, roots: dict[str, str]) -> Iterator[tuple[str, str]]:
    for root, place in roots.items():
        if path == place or path.startswith(place.rstrip("/") + "/"):
            yield root, os.path.relpath(path, place)


def _with_real_folder(path: str) -> str:
    folder, name = os.path.split(path)
    return os.path.join(os.path.realpath(folder), name)
