"""`mediad audit`: is the catalog right about the disk?"""

from __future__ import annotations

from contextlib import ExitStack
from typing import Annotated

import typer

from mediad_service.audit import Report, audit as made
from mediad_service.cli.session import FINDING, AsJson, Session, on_terminal, verb
from mediad_service.cli.show import many, plain, print_json, print_table


@verb
def audit(
    session: Session,
    *,
    fast: Annotated[bool, typer.Option("--fast", help="Trust sizes and times; read no file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Rescan the volumes independently and compare them with the catalog; exit 1 on any divergence.

    Every image and video on an online volume must be in the catalog with its size, time and content; nothing else
    may be. The catalog must agree with itself and with its schema. Needs no daemon. Where one runs, `mediad sync`
    first: what is still under way is no divergence as long as `status.json` tells of it.
    """
    with ExitStack() as stack:
        settings = session.settings_or_defaults()
        tell = _progress(stack) if on_terminal() and not session.quiet else None
        report = made(session.locations.catalog, settings, fast=fast, progress=tell)
    if as_json:
        print_json(report.document())
    else:
        _show(report, fast=fast)
    raise typer.Exit(FINDING if report.divergences else 0)
