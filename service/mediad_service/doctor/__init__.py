"""Is everything here that mediad needs? `examine` looks at the installation, the machine and the settings."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from mediad.config import ConfigError, Locations, Settings, load

from .finding import Finding, Level
from .installation import installation
from .machine import machine
from .places import places
from .services import services
from .weights import weights

__all__ = ["Finding", "Level", "examine"]


def examine(locations: Locations) -> Iterator[Finding]:
    """Findings one after another, as they are made: the installation takes some seconds to import.

    Reads only, and starts nothing but processes that import what mediad uses.
    """
    yield from installation()
    yield from machine()
    settings = yield from _settings(locations)
    yield from weights(settings, locations)
    yield from places(settings, locations)
    yield from services()


def _settings(locations: Locations) -> Generator[Finding, None, Settings]:
    """The settings to go on with (the defaults where the file cannot be used), and what is to be said of the file."""
    file = locations.config
    if not file.exists():
        yield Finding("configuration", Level.NOTE, f"{file} is not there yet", "mediad volumes add DIRECTORY makes it")
        return Settings()
    try:
        settings = load(file, locations=locations)
    except ConfigError as error:
        for problem in error.problems:
            yield Finding("configuration", Level.PROBLEM, str(problem), "correct it; see mediad config check")
        return Settings()
    yield Finding("configuration", Level.OK, f"{file}, volumes: {len(settings.volumes)}")
    return settings
