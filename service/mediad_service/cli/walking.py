"""Walking a folder with the rules by which volumes are scanned; no daemon and no store is needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mediad.model import Stat
from mediad.volume import Rules, list_directory


@dataclass(frozen=True, slots=True)
class Walked:
    """One file: its absolute path, and what `lstat` says of it."""

    path: bytes
    stat: Stat


def walk(
    root: bytes, rules: Rules, wanted: Callable[[bytes], bool], trouble: Callable[[bytes, OSError], None]
) -> Iterator[Walked]:
    """Files below `root`, in order; what cannot be read is passed to `trouble`. Raises OSError for the root itself."""
    stack = [b""]
    while stack:
        directory = stack.pop()
        try:
            listing = list_directory(root, directory, rules, wanted)
        except OSError as error:
            if not directory:
                raise
            trouble(os.path.join(root, directory), error)  # noqa: PTH118 - bytes
            continue
        prefix = directory + b"/" if directory else b""
        for name, stat in listing.files:
            yield Walked(os.path.join(root, prefix + name), stat)  # noqa: PTH118 - bytes
        for name, number in listing.failed:
            trouble(os.path.join(root, prefix + name), OSError(number, os.strerror(number)))  # noqa: PTH118 - bytes
        if rules.recursive:
            stack += [prefix + name for name in reversed(listing.directories)]
