"""`mediad doctor`: is everything here that mediad needs?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from mediad.config import locate
from mediad_service.doctor import Finding, Level, examine

_MARKS = {Level.OK: "[green]ok[/]     ", Level.NOTE: "[yellow]note[/]   ", Level.PROBLEM: "[red]problem[/]"}


def doctor(
    config: Annotated[Path | None, typer.Option(help="Configuration file.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="Directory of the store.")] = None,
    catalog_dir: Annotated[Path | None, typer.Option(help="Directory of the catalog.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print facts as JSON.")] = False,
) -> None:
    """Look at the installation, the machine and the settings; exit 1 if anything must be fixed."""
    console = Console()
    findings = []
    for finding in examine(locate(config, state_dir, catalog_dir)):
        findings.append(finding)
        if not as_json:
            _show(console, finding)
    good = all(finding.level is not Level.PROBLEM for finding in findings)
    if as_json:
        typer.echo(json.dumps({"good": good, "findings": [finding.document() for finding in findings]}, indent=2))
    raise typer.Exit(0 if good else 1)


def _show(console: Console, finding: Finding) -> None:
    line = f"{_MARKS[finding.level]}  {finding.check:<18} {escape(finding.text)}"
    console.print(line, highlight=False, soft_wrap=True)
    if finding.advice:
        console.print(f"{'':<28} {escape(finding.advice)}", highlight=False, soft_wrap=True, style="dim")
