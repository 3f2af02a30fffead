"""`mediad quality`: files that something is wrong with."""

from __future__ import annotations

from mediad_service.cli.session import AsJson, Session, verb
from mediad_service.cli.show import print_json, print_table


@verb
def quality(session: Session, *, as_json: AsJson = False) -> None:
    """List files of low quality, and what is wrong with each."""
    with session.connect() as facts:
        found = facts.entries("low_quality")
    if as_json:
        print_json(found)
        return
    rows = ((one["id"], ", ".join(one["flags"]), one["filepath"]) for one in found)
    print_table(("id", "flags", "file"), rows, empty="nothing is known to be wrong with any file")
