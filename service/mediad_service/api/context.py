"""What all routes work with."""

from __future__ import annotations

from dataclasses import dataclass

from mediad.engine import Engine
from mediad_service.api.hub import Hub
from mediad_service.api.pools import Pools
from mediad_service.api.shelf import Shelf
from mediad_service.api.snapshots import Snapshots


@dataclass(frozen=True, slots=True)
class Context:
    """Made in the event loop, and closed there."""

    engine: Engine
    pools: Pools
    hub: Hub
    snapshots: Snapshots
    shelf: Shelf

    @classmethod
    def of(cls, engine: Engine) -> Context:
        pools = Pools()
        return cls(engine, pools, Hub(engine.subscribe()), Snapshots(engine, pools.work), Shelf(engine, pools.work))

    def close(self) -> None:
        """End all streams, and let go of what they held."""
        self.hub.close()
        self.shelf.close()
        self.pools.close()
