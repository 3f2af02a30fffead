"""What an audit found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Divergence:
    """Something that is not as the catalog says. `path` is None where no file or folder is meant."""

    kind: str
    path: str | None
    text: str


@dataclass
class Report:
    """`listed` files are in the catalog, `seen` on the disk; `unverified` are there but could not be looked at.

    `excused` are on the disk and rightly not in the catalog: in quarantine, or the daemon cannot look at them.
    """

    catalog: str
    generation: int | None = None
    listed: int = 0
    seen: int = 0
    hashed: int = 0
    pending: int = 0
    excused: int = 0
    divergences: list[Divergence] = field(default_factory=list)
    unverified: list[Divergence] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As plain JSON."""
        return {"good": not self.divergences} | asdict(self)
