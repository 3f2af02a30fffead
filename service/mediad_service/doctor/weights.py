"""The encoder that a running daemon uses, and the weights of the one that the settings name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from mediad.config import Locations, Settings, socket_of
from mediad.encoders.weights import WeightsUnavailable, resolve
from mediad_service.client import FactsError, Remote, listens

from .finding import Finding, Level


def weights(settings: Settings, locations: Locations) -> Iterator[Finding]:
    """Whether the encoder can be used; "auto" without weights is usable, but cannot search by text."""
    yield from _in_use(settings, locations)
    try:
        resolved = resolve(settings.encoder, locations.weights)
    except (ValueError, WeightsUnavailable) as error:
        yield Finding("encoder", Level.PROBLEM, str(error), "mediad models pull, or another encoder in the settings")
        return
    if resolved.fallback:
        yield Finding("encoder", Level.NOTE, str(resolved.reason), "mediad models pull")
    else:
        yield Finding("encoder", Level.OK, resolved.spec)


def _in_use(settings: Settings, locations: Locations) -> Iterator[Finding]:
    """What the daemon with this state directory says, where one answers: it may have begun with other settings."""
    encoder = _ask(socket_of(settings, locations))
    if encoder is None:
        return
    told = f"{encoder['spec']} ({encoder['backend']})" if encoder["spec"] else "none yet"
    level = Level.NOTE if encoder["problem"] or not encoder["spec"] else Level.OK
    yield Finding("encoder in use", level, f"{told}, says the running daemon", encoder["problem"])


def _ask(socket: Path) -> dict[str, Any] | None:
    with suppress(FactsError):
        if listens(socket):
            with Remote(socket) as daemon:
                daemon.version()  # it answers soon or not at all
                encoder: dict[str, Any] = daemon.status()["encoder"]
                return encoder
    return None
