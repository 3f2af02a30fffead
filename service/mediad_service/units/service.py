"""What a service of ours is, whatever manages it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEDICATED_ACCOUNT = "mediad"
"""The system account that is made for a system service which no person's account was named for."""


class UnitError(Exception):
    """The service could not be installed, removed or asked after; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Service:
    """One service: for this user, or for the whole system under `account`.

    `read_all` lets a system service read files whatever their permissions (one capability, no more); `network` lets
    it reach other machines, as the download of weights needs; `gpu` lets it see graphics cards.
    """

    system: bool
    python: Path
    config: Path
    state_dir: Path
    catalog_dir: Path
    account: str | None = None
    read_all: bool = False
    network: bool = True
    gpu: bool = False

    @property
    def command(self) -> list[str]:
        """The daemon's command line. `-P`: what lies in the working directory is never imported."""
        return [
            *(str(self.python), "-P", "-m", "mediad_service", "run"),
            *("--config", str(self.config)),
            *("--state-dir", str(self.state_dir)),
            *("--catalog-dir", str(self.catalog_dir)),
        ]

    @property
    def directories(self) -> tuple[Path, Path]:
        """What the daemon writes."""
        return self.state_dir, self.catalog_dir
