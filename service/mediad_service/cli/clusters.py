"""`mediad clusters`: what is alike, and what people call it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from mediad_service.cli.session import USAGE, AsJson, Session, fail, verb
from mediad_service.cli.show import print_json, print_table


@verb
def clusters(
    session: Session,
    *,
    rename: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="ID NAME", help='Give a cluster a name that stays with it; "" takes it back.'),
    ] = None,
    recluster: Annotated[bool, typer.Option("--recluster", help="Cluster everything anew, in the background.")] = False,
    as_json: AsJson = False,
) -> None:
    """List clusters, or rename one. Renaming and reclustering need a running daemon."""
    if rename and recluster:
        fail("one thing at a time: --rename or --recluster", USAGE)
    with session.connect() as facts:
        if rename:
            facts.rename_cluster(rename[0], rename[1] or None)
        elif recluster:
            facts.recluster()
        found = [] if rename or recluster else facts.entries("clusters")
    if rename or recluster:
        done = {"renamed": rename[0], "name": rename[1] or None} if rename else {"reclustering": True}
        if as_json:
            print_json(done)
        elif not session.quiet:
            print_table((), [(outcome(rename),)])
    elif as_json:
        print_json(found)
    else:
        print_table(("id", "kind", "#files", "name", "tags", "folder"), (_row(one) for one in found), empty=_NONE)


_NONE = "there are no clusters yet: they are made once enough files are embedded"


def outcome(rename: tuple[str, str] | None) -> str:
    """What was done, for people."""
    if rename is None:
        return "everything is clustered anew in the background: see mediad status"
    cluster_id, name = rename
    return f'cluster {cluster_id} is called "{name}"' if name else f"cluster {cluster_id} has its own name again"


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    return one["id"], one["kind"], one["count"], one["name"], ", ".join(one["tags"]), one["directory"]
