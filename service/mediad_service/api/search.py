"""Search by words, by a picture, and for what is like a known file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from mediad_service.api.answers import Refused, answer
from mediad_service.api.context import Context

Count = Annotated[int, Query(ge=1, le=1000, description="results to give at most")]


class ImageQuery(BaseModel):
    """A picture anywhere on this machine's disks."""

    path: str = Field(min_length=1, description="absolute path")
    count: int = Field(default=20, ge=1, le=1000)


def routes(context: Context) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["search"])
    engine, work = context.engine, context.pools.work

    @router.get("/search")
    async def by_text(text: Annotated[str, Query(min_length=1, max_length=1000)], count: Count = 20) -> Response:
        """Files that show what `text` says, best first: [{"score", "file"}]. 409 where the encoder knows no text."""
        return answer(await work.run(engine.search_text, text, count))

    @router.get("/similar")
    async def similar(what: Annotated[str, Query(min_length=1)], count: Count = 20) -> Response:
        """Files like a known one (`what`: its id or path), best first."""
        return answer(await work.run(engine.similar, what, count))

    @router.post("/search/image")
    async def by_image(query: ImageQuery, request: Request) -> Response:
        """Files that look like a picture. Only on the unix socket, because it reads any path."""
        if not request.scope["local"]:
            raise Refused(403, "this is answered on the unix socket only, because it reads any path")
        try:
            return answer(await work.run(engine.search_image, Path(query.path), query.count))
        except OSError as error:
            raise Refused(422, f"{query.path} cannot be read: {error.strerror or error}") from error

    return router
