"""`mediad duplicates`: files that show the same."""

from __future__ import annotations

from mediad_service.cli.session import AsJson, Session, verb
from mediad_service.cli.show import print_json, print_table


@verb
def duplicates(session: Session, *, as_json: AsJson = False) -> None:
    """List groups of duplicates; the first file of each is the one that we would keep."""
    with session.connect() as facts:
        groups = facts.entries("duplicates")
    if as_json:
        print_json(groups)
        return
    rows = (
        (group["id"], group["tier"], file["relation"], file["filepath"]) for group in groups for file in group["files"]
    )
    print_table(("group", "tier", "relation", "file"), rows, empty="no duplicates are known")
