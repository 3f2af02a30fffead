"""The weights of the encoder that the settings name."""

from __future__ import annotations

from collections.abc import Iterator

from mediad.config import Locations, Settings
from mediad.encoders.weights import WeightsUnavailable, resolve

from .finding import Finding, Level


def weights(settings: Settings, locations: Locations) -> Iterator[Finding]:
    """Whether the encoder can be used; "auto" without weights is usable, but cannot search by text."""
    try:
        resolved = resolve(settings.encoder, locations.weights)
    except (ValueError, WeightsUnavailable) as error:
        yield Finding("encoder", Level.PROBLEM, str(error), "mediad models pull, or another encoder in the settings")
        return
    if resolved.fallback:
        yield Finding("encoder", Level.NOTE, str(resolved.reason), "mediad models pull")
    else:
        yield Finding("encoder", Level.OK, resolved.spec)
