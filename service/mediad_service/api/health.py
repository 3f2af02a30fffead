"""Whether the daemon lives, whether it is ready, and its figures for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from mediad.engine import Engine
from mediad.model import VolumeState
from mediad_service.api.answers import answer, refusal
from mediad_service.api.context import Context


def routes(context: Context) -> APIRouter:
    router = APIRouter(tags=["health"])
    engine, reads = context.engine, context.pools.reads

    @router.get("/livez")
    async def livez() -> Response:
        """200 while every loop shows signs of life. Answered without waiting for anything."""
        stuck = engine.stuck()
        return refusal(503, f"no sign of life from: {', '.join(stuck)}") if stuck else answer({"alive": True})

    @router.get("/readyz")
    async def readyz() -> Response:
        """200 once the encoder is there and every volume that is online has been scanned."""
        lacking = await reads.run(_lacking, engine)
        return refusal(503, lacking) if lacking else answer({"ready": True})

    @router.get("/metrics")
    async def metrics() -> Response:
        """Figures in Prometheus' text format."""
        from mediad_service.api import metrics  # not light, and most daemons are never asked

        text, kind = await reads.run(metrics.render, engine)
        return Response(text, headers={"content-type": kind, "cache-control": "no-store"})

    return router


def _lacking(engine: Engine) -> str | None:
    if engine.activity() in ("starting", "stopping"):
        return f"mediad is {engine.activity()}"
    with engine.store.read() as tx:
        new = [one.name for one in tx.volumes if one.state is VolumeState.ONLINE and one.last_scan is None]
    return f"first scan under way: {', '.join(new)}" if new else None
