"""`mediad files`: the images and videos in a folder."""

from __future__ import annotations

import os
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from mediad.catalog.text import is_text, iso_ns, path_text
from mediad.media.formats import kind_of, suffix_of
from mediad.volume import Rules
from mediad_service.cli.session import FINDING, AsJson, Session, absolute, verb, warn
from mediad_service.cli.show import plain, print_json
from mediad_service.cli.walking import Walked, walk

Directory = Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The folder to look into.")]
Include = Annotated[list[str] | None, typer.Option(help="Take only files that match this pattern; may be repeated.")]
Exclude = Annotated[list[str] | None, typer.Option(help="Leave out what matches this pattern; may be repeated.")]
Hidden = Annotated[bool, typer.Option("--hidden", help="Take names that start with a dot too.")]


@verb
def files(
    _session: Session,
    directory: Directory,
    *,
    include: Include = None,
    exclude: Exclude = None,
    hidden: Hidden = False,
    as_json: AsJson = False,
) -> None:
    """List the images and videos in a folder, as a scan of a volume would find them. Needs no daemon.

    Into a pipe, names are written as they are on disk. Exit 1 if something could not be read.
    """
    failed: list[bytes] = []
    found = found_in(directory, include, exclude, hidden=hidden, everything=False, failed=failed)
    if as_json:
        print_json([_described(file) for file in found])
    else:
        _print_names(found)
    raise typer.Exit(FINDING if failed else 0)


def found_in(
    directory: Path,
    include: list[str] | None,
    exclude: list[str] | None,
    *,
    hidden: bool,
    everything: bool,
    failed: list[bytes],
) -> Iterator[Walked]:
    """Media files, or `everything`, below a folder; what cannot be read is told and added to `failed`."""

    def trouble(path: bytes, error: OSError) -> None:
        failed.append(path)
        warn(f"{path_text(path)}: {error.strerror}")

    root = os.fsencode(absolute(directory))
    try:
        rules = Rules(include or (), exclude or (), hidden=hidden)
        yield from walk(root, rules, lambda name: everything or kind_of(name) is not None, trouble)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    except OSError as error:
        trouble(root, error)


def _described(file: Walked) -> dict[str, Any]:
    exact = {} if is_text(file.path) else {"path_bytes": b64encode(file.path).decode()}
    kind = kind_of(file.path)
    facts = {"kind": str(kind), "type": suffix_of(file.path), "size": file.stat.size}
    return {"path": path_text(file.path), **exact, **facts, "modified": iso_ns(file.stat.mtime_ns)}


def _print_names(found: Iterator[Walked]) -> None:
    terminal = sys.stdout.isatty()
    for file in found:
        line = plain(path_text(file.path)).encode("utf-8", "replace") if terminal else file.path
        sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()
