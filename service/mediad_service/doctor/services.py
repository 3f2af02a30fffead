"""The service, as its manager knows it."""

from __future__ import annotations

from collections.abc import Iterator

from mediad_service import units

from .finding import Finding, Level


def services() -> Iterator[Finding]:
    """Findings on the user's and the system's service; one that is installed must run."""
    known = [units.status(system=system) for system in (False, True)]
    installed = [facts for facts in known if facts.installed]
    if not installed:
        yield Finding("service", Level.NOTE, "not installed", "mediad service install")
    for facts in installed:
        text = f"{facts.unit}: {facts.state}"
        advice = "; ".join(facts.notes) or None
        yield Finding(f"{facts.scope} service", Level.OK if facts.healthy else Level.PROBLEM, text, advice)
