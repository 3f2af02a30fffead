"""One thing that `mediad doctor` found out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How much it matters: all is well; worth knowing; must be fixed."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """`check` names what was looked at, `text` what was found, `advice` what to do about it."""

    check: str
    level: Level
    text: str
    advice: str | None = None

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)
