"""Server-sent events: the change feed, and how the daemon is getting on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

import orjson
from fastapi import APIRouter, Header, Query
from starlette.responses import StreamingResponse

from mediad_service.api.context import Context
from mediad_service.api.feed import Line, Tail

_HEARTBEAT = 15.0  # seconds: proxies and browsers give up on what is silent for longer
_BATCH = 500  # lines of the feed in memory at a time
_SILENCE = b": still here\n\n"


def routes(context: Context) -> APIRouter:
    router = APIRouter(tags=["streams"])

    @router.get("/api/changes", response_class=StreamingResponse)
    async def changes(
        after: Annotated[int | None, Query(ge=0, description="number of the last change that is known")] = None,
        last_event_id: Annotated[int | None, Header(ge=0, description="the same, as browsers send it")] = None,
    ) -> StreamingResponse:
        """The change feed as server-sent events: id is `seq`, event is `type`, data is the line of changes.ndjson.

        Begins behind `Last-Event-ID` or `after` (0: from the first change there is), else with what happens from now
        on. An event `gap` tells that changes before it are not to be had any more: read the catalog anew.
        """
        start = last_event_id if last_event_id is not None else after
        return _stream(_changes(context, start))

    @router.get("/api/events", response_class=StreamingResponse)
    async def events() -> StreamingResponse:
        """What happens now: `progress` has the status (first at once), `published` the catalog's new generation."""
        return _stream(_events(context))

    return router


def _stream(messages: AsyncIterator[bytes]) -> StreamingResponse:
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(messages, headers=headers, media_type="text/event-stream")


async def _changes(context: Context, start: int | None) -> AsyncIterator[bytes]:
    reads = context.pools.reads
    with context.hub.listen() as listener:
        tail = Tail(context.engine.locations.catalog)
        try:
            yield b"id: %d\n\n" % await reads.run(
                tail.begin, start
            )  # so that a reader who loses the connection now loses no change
            while not listener.closed:
                lines = await reads.run(tail.read, _BATCH)
                if lines:
                    yield b"".join(_message(line) for line in lines)
                elif not await listener.next(_HEARTBEAT):
                    yield _SILENCE
        finally:
            tail.close()


def _message(line: Line) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (line.seq, line.type.encode(), line.data)


async def _events(context: Context) -> AsyncIterator[bytes]:
    with context.hub.listen() as listener:
        happened = {"progress": await context.pools.reads.run(context.engine.status)}
        while not listener.closed:
            yield (
                b"".join(
                    b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(data)) for name, data in happened.items()
                )
                or _SILENCE
            )
            happened = await listener.next(_HEARTBEAT)
