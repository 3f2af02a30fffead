"""What is known of an installed service, as facts for people and for `--json`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class Facts:
    """An installed (or absent) service. `state` is the manager's own word, such as "active" or "failed".

    `restarts` counts automatic ones; `memory` is bytes of all its processes together; `exposure` is the figure of
    `systemd-analyze security`, 0 (locked in) to 10. `config`, `state_dir` and `catalog_dir` are the paths that the
    installed service uses. `notes` are sentences for the person: what is kept, what to do next.
    """

    manager: str
    scope: str
    unit: str
    installed: bool = False
    enabled: bool = False
    state: str = "absent"
    result: str | None = None
    pid: int | None = None
    restarts: int | None = None
    memory: int | None = None
    account: str | None = None
    exposure: float | None = None
    config: str | None = None
    state_dir: str | None = None
    catalog_dir: str | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        """Whether it is installed and runs."""
        return self.installed and self.state in ("active", "running", "reloading")

    def kept(self) -> list[str]:
        """Notes on what an uninstallation leaves."""
        paths = (self.config, self.state_dir, self.catalog_dir)
        return [f"kept: {path}" for path in paths if path and Path(path).exists()]

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return dataclasses.asdict(self) | {"healthy": self.healthy}
