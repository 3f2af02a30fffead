"""What the daemon can be told to do. Nothing here touches a file on a volume."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Body
from fastapi import Path as InPath
from pydantic import BaseModel, Field
from starlette.responses import Response

from mediad_service.api.answers import Refused, answer
from mediad_service.api.context import Context


class SyncOrder(BaseModel):
    """What to bring in step, and how long that may take."""

    path: str | None = Field(default=None, min_length=1, description="below it only; null: everything")
    clusters: bool = Field(default=False, description="wait for the clusters too")
    timeout: float | None = Field(default=None, ge=0, le=1e6, description="seconds; null: as long as it takes")


class Name(BaseModel):
    """What a person calls a cluster."""

    name: str | None = Field(max_length=200, description="null or empty: what mediad called it")


def routes(context: Context) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["orders"])
    engine, reads, waits = context.engine, context.pools.reads, context.pools.waits

    @router.post("/sync")
    async def sync(order: Annotated[SyncOrder, Body(default_factory=SyncOrder)]) -> Response:
        """Scan now; answer once all that is on disk now is in the catalog: {"generation"}. 504 when out of time."""
        path = Path(order.path) if order.path else None
        generation = await waits.run(engine.sync, path, clusters=order.clusters, timeout=order.timeout)
        return answer({"generation": generation})

    @router.post("/recluster", status_code=202)
    async def recluster() -> Response:
        """Cluster everything anew, in the background."""
        await reads.run(engine.recluster)
        return answer({}, 202)

    @router.put("/clusters/{cluster}/name")
    async def rename(cluster: Annotated[str, InPath(max_length=100)], order: Name) -> Response:
        """Give a cluster a name that stays with it through reclustering."""
        name = " ".join(order.name.split()) if order.name else None
        try:
            await waits.run(engine.rename_cluster, cluster, name or None)
        except KeyError as error:
            raise Refused(404, f"there is no cluster {cluster} (any more)") from error
        return answer({"name": name or None})

    @router.post("/reload", status_code=202)
    async def reload() -> Response:
        """Read the configuration file now."""
        await reads.run(engine.reload)
        return answer({}, 202)

    @router.post("/quarantine/retry")
    async def retry() -> Response:
        """Try quarantined files again: {"files"}."""
        return answer({"files": await waits.run(engine.retry_quarantined)})

    return router
