"""`mediad search`: files that show what a text says, or that look like a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mediad_service.cli.session import USAGE, AsJson, Session, absolute, fail, verb
from mediad_service.cli.show import print_json, print_table
from mediad_service.client import Found

Count = Annotated[int, typer.Option("-n", "--count", min=1, max=10_000, help="How many, at most.")]


@verb
def search(
    session: Session,
    words: Annotated[list[str] | None, typer.Argument(metavar="[TEXT]...", help="What to look for, in words.")] = None,
    *,
    image: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Look for what resembles this picture instead.")
    ] = None,
    count: Count = 20,
    as_json: AsJson = False,
) -> None:
    """Find files by what they show, best first: by words, or by any picture."""
    text = " ".join(words or ()).strip()
    if bool(text) == (image is not None):
        fail("say what to look for: mediad search TEXT, or mediad search --image FILE", USAGE)
    with session.connect() as facts:
        found = facts.search_text(text, count) if text else facts.search_image(absolute(image or ""), count)
    show_found(found, as_json=as_json)


def show_found(found: Found, *, as_json: bool) -> None:
    """Results with their scores."""
    if as_json:
        print_json(found)
        return
    rows = ((f"{one['score']:.3f}", one["file"]["id"], one["file"]["filepath"]) for one in found)
    print_table(("#score", "id", "file"), rows, empty="nothing is indexed yet")
