"""What is known: status, volumes, groups, files. The same facts as the commands print."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import Response, StreamingResponse

from mediad_service.api.answers import Refused, answer, encoded
from mediad_service.api.context import Context
from mediad_service.api.shelf import FLAT

Section = Literal["clusters", "sequences", "videos", "duplicates", "unclustered", "low_quality"]
Id = Annotated[str, Path(max_length=100)]
Offset = Annotated[int, Query(ge=0, description="entries to leave out")]
Limit = Annotated[int, Query(ge=1, le=1000, description="entries to give at most")]
PartLimit = Annotated[int | None, Query(ge=1, le=1000, description="entries to give at most; without it, all")]


def routes(context: Context) -> APIRouter:
    router = APIRouter(prefix="/api", tags=["facts"])
    engine, reads = context.engine, context.pools.reads

    @router.get("/status")
    async def status() -> Response:
        """State, generation, what is pending and quarantined, volumes, encoder, counters."""
        return answer(await reads.run(engine.status))

    @router.get("/volumes")
    async def volumes() -> Response:
        """The configured roots and their states."""
        return answer(await reads.run(engine.volumes))

    @router.get("/overview")
    async def overview() -> Response:
        """Clusters and sequences without their files, and how many entries the other sections have."""
        return encoded(await context.shelf.overview())

    @router.get("/clusters/{cluster}/files")
    async def cluster_files(cluster: Id, offset: Offset = 0, limit: Limit = 200) -> Response:
        """Files of one cluster, in parts: {"total", "files"}."""
        return encoded(await context.shelf.files("cluster", cluster, offset, limit))

    @router.get("/sequences/{sequence}/files")
    async def sequence_files(sequence: Id, offset: Offset = 0, limit: Limit = 200) -> Response:
        """Files of one sequence, in parts and in order: {"total", "files"}."""
        return encoded(await context.shelf.files("sequence", sequence, offset, limit))

    @router.get("/files/{file}")
    async def file(file: Id) -> Response:
        """A file as in the catalog."""
        found = await reads.run(engine.file, file)
        if found is None:
            raise Refused(404, f"there is no file {file} (any more)")
        return answer(found)

    @router.get("/{section}")
    async def section(section: Section, request: Request, offset: Offset = 0, limit: PartLimit = None) -> Response:
        """A section of the catalog: all of it, or for those without groups a part."""
        if limit is not None or offset:
            if section not in FLAT:
                raise Refused(422, f"{section} are given as a whole; see /api/overview and /api/{section}/ID/files")
            return encoded(await context.shelf.part(section, offset, limit or 1000))
        return await _whole(context, section, request)

    return router


async def _whole(context: Context, section: str, request: Request) -> Response:
    tag = context.snapshots.tag(section)
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"etag": tag, "cache-control": "no-cache"})
    snapshot = await context.snapshots.take(section)
    headers = {"etag": snapshot.tag, "cache-control": "no-cache", "content-length": str(snapshot.size)}
    return StreamingResponse(snapshot.read(), headers=headers, media_type="application/json")
