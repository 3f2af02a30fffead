"""`mediad sequences`: ordered shots."""

from __future__ import annotations

from typing import Any

from mediad_service.cli.session import AsJson, Session, verb
from mediad_service.cli.show import print_json, print_table


@verb
def sequences(session: Session, *, as_json: AsJson = False) -> None:
    """List sequences: render frames, bursts, timelapses, and how many frames are missing."""
    with session.connect() as facts:
        found = facts.entries("sequences")
    if as_json:
        print_json(found)
        return
    columns = ("id", "kind", "#files", "frames", "#missing", "name", "folder")
    print_table(columns, (_row(one) for one in found), empty="no sequences are known")


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    frames = f"{one['first']}-{one['last']}" if "first" in one and "last" in one else ""
    missing = len(one.get("missing", ()))
    return one["id"], one["kind"], one["count"], frames, missing, one.get("pattern") or one["name"], one["directory"]
