"""`mediad audit`: is the catalog right about the disk?"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Annotated

import typer

from mediad_service.audit import Report
from mediad_service.audit import audit as compare
from mediad_service.cli.session import FINDING, AsJson, Session, on_terminal, verb
from mediad_service.cli.show import many, print_json, print_table


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
        settings = session.settings_or_defaults
        tell = _progress(stack) if on_terminal() and not session.quiet else None
        report = compare(session.locations.catalog, settings, fast=fast, progress=tell)
    if as_json:
        print_json(report.document())
    else:
        _show(report, fast=fast)
    raise typer.Exit(FINDING if report.divergences else 0)


def _progress(stack: ExitStack) -> Callable[[int, int], None]:
    from rich.console import Console
    from rich.progress import Progress

    progress = stack.enter_context(Progress(console=Console(stderr=True), transient=True))
    task = progress.add_task("comparing", total=None)
    return lambda done, total: progress.update(task, completed=done, total=total)


def _show(report: Report, *, fast: bool) -> None:
    print_table(("divergence", "file", ""), ((one.kind, one.path, one.text) for one in report.divergences))
    print_table(("unverified", "file", ""), ((one.kind, one.path, one.text) for one in report.unverified))
    how = "by size and time" if fast else "by content"
    told = f"generation {report.generation}: {many(report.listed, 'file')} in the catalog, {report.seen:,} on the disk"
    apart = f" ({report.excused:,} of them cannot be taken in: see `mediad status`)" if report.excused else ""
    print_table((), [(f"{told}{apart}, compared {how}; {many(len(report.divergences), 'divergence')}",)])
