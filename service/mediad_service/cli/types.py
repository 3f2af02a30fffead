"""`mediad types`: which types of files are in a folder."""

from __future__ import annotations

from collections import Counter
from typing import Any

import typer

from mediad.media.formats import extra_for, how_to_get, kind_of, suffix_of
from mediad_service.cli.files import Directory, Exclude, Hidden, Include, found_in
from mediad_service.cli.session import FINDING, AsJson, Session, verb
from mediad_service.cli.show import print_json, print_table, size


@verb
def types(
    _session: Session,
    directory: Directory,
    *,
    include: Include = None,
    exclude: Exclude = None,
    hidden: Hidden = False,
    as_json: AsJson = False,
) -> None:
    """Count the files in a folder by type, and say which of them are images and videos. Needs no daemon."""
    failed: list[bytes] = []
    counts: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for file in found_in(directory, include, exclude, hidden=hidden, everything=True, failed=failed):
        suffix = suffix_of(file.path)
        counts[suffix] += 1
        sizes[suffix] += file.stat.size
    rows: list[dict[str, Any]] = [
        {"type": suffix, "kind": _kind(suffix), "count": count, "size": sizes[suffix], "needs": _needs(suffix)}
        for suffix, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    ]
    if as_json:
        print_json(rows)
    else:
        table = ((row["type"] or "(none)", row["kind"], row["count"], size(row["size"]), row["needs"]) for row in rows)
        print_table(("type", "kind", "#files", "#size", ""), table, empty="there are no files")
    raise typer.Exit(FINDING if failed else 0)


def _kind(suffix: str) -> str | None:
    kind = kind_of(b"x." + suffix.encode())
    return str(kind) if kind is not None else None


def _needs(suffix: str) -> str | None:
    """How to get what this type needs beyond mediad itself."""
    extra = extra_for(b"x." + suffix.encode())
    return how_to_get(extra) if extra else None
