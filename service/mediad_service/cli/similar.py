"""`mediad similar`: files like a known one."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from mediad_service.cli.search import Count, show_found
from mediad_service.cli.session import AsJson, Session, absolute, verb

_ID = re.compile("[0-9a-f]{16}")


@verb
def similar(
    session: Session,
    file: Annotated[str, typer.Argument(help="A file on a volume, or its id.")],
    *,
    count: Count = 20,
    as_json: AsJson = False,
) -> None:
    """Find files like one that is in the catalog, best first.

    For a picture that is not: mediad search --image FILE.
    """
    with session.connect() as facts:
        found = facts.similar(file if _ID.fullmatch(file) else absolute(file), count)
    show_found(found, as_json=as_json)
