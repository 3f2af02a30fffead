"""An independent look at the disk against the catalog: its own walk, its own hashes, no store and no daemon."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mediad.config import Settings
from mediad_service.audit.compare import Comparison, previews
from mediad_service.audit.document import Document, against_itself, against_schema, entries, read
from mediad_service.audit.report import Divergence, Report

__all__ = ["Divergence", "Report", "audit"]

_TRIES = 3

Progress = Callable[[int, int], None]
"""Called with files compared and files in all."""


def audit(directory: Path, settings: Settings, *, fast: bool = False, progress: Progress | None = None) -> Report:
    """Compare the catalog in `directory` with the volumes that it names. `fast`: no file is read, no schema checked.

    A catalog that was replaced meanwhile may be right where this one is not: then everything is compared again.
    """
    path = directory / "catalog.json"
    for _ in range(_TRIES):
        report = Report(str(path))
        document = read(path)
        if isinstance(document, Divergence):
            report.divergences.append(document)
            return report
        _compare(report, document, directory, settings, fast, progress)
        after = read(path)
        if not report.divergences or (isinstance(after, dict) and after.get("generation") == report.generation):
            break
    return report


def _compare(
    report: Report, document: Document, directory: Path, settings: Settings, fast: bool, progress: Progress | None
) -> None:
    if not fast:
        report.divergences += against_schema(document)
    try:
        listed = entries(document)
        report.generation, report.listed = document["generation"], len(listed)
        report.divergences += against_itself(document, listed)
        done = 0

        def tell(count: int) -> None:
            nonlocal done
            done += count
            if progress is not None:
                progress(done, len(listed))

        comparison = Comparison(report, settings, directory / "status.json", fast=fast, tell=tell)
        comparison.volumes(document["metadata"]["volumes"], listed)
        report.divergences += previews(directory, document)
    except (KeyError, TypeError, AttributeError) as error:
        report.divergences.append(Divergence("catalog", report.catalog, f"is not built as it should be: {error!r}"))
