"""Pictures: previews by name, originals and moving previews by id. Nothing else on the disk can be had."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from starlette.responses import FileResponse, Response

from mediad.catalog.text import path_text
from mediad.config.settings import VolumeSettings
from mediad.engine import Engine
from mediad_service.api.answers import Refused
from mediad_service.api.context import Context

_SHOWN = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".bmp": "image/bmp",
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".webm": "video/webm",
    ".mov": "video/quicktime",
    ".mkv": "video/x-matroska",
    ".ogv": "video/ogg",
}
"""What browsers show without running anything that is in it; everything else is offered for saving."""

_INERT = {"content-security-policy": "default-src 'none'; sandbox"}  # whatever it claims to be, it runs nothing
_FOR_EVER = "private, max-age=31536000, immutable"
Id = Annotated[str, InPath(max_length=100)]


def routes(context: Context) -> APIRouter:
    router = APIRouter(tags=["pictures"])
    engine, reads, waits = context.engine, context.pools.reads, context.pools.waits

    @router.get("/previews/{folder}/{name}", response_class=Response)
    async def preview(folder: str, name: str, request: Request) -> Response:
        """A preview, as the catalog names it. It is named by its content, so it never changes."""
        headers = {"cache-control": _FOR_EVER, "etag": f'"{name}"'} | _INERT
        data = await reads.run(_preview, engine, f"{folder}/{name}")
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        return Response(data, headers=headers, media_type=_SHOWN.get(Path(name).suffix))

    @router.get("/api/files/{file}/animation", response_class=Response)
    async def animation(file: Id) -> Response:
        """The moving preview of a video; the still of what has none."""
        name = await reads.run(_animation, engine, file)
        if name is None:
            raise Refused(404, f"file {file} has no preview")
        data = await reads.run(_preview, engine, name)
        headers = {"cache-control": "private, max-age=60"} | _INERT
        return Response(data, headers=headers, media_type=_SHOWN.get(Path(name).suffix))

    @router.head("/api/files/{file}/original", include_in_schema=False)
    @router.get("/api/files/{file}/original", response_class=FileResponse)
    async def original(file: Id) -> Response:
        """The file itself, in ranges if asked. What browsers do not show is offered for saving."""
        path, found = await waits.run(_original, engine, file)
        shown = _SHOWN.get(path.suffix.lower())
        return FileResponse(
            path,
            headers={"cache-control": "private, no-cache"} | _INERT,
            media_type=shown or "application/octet-stream",
            filename=path_text(path.name),
            stat_result=found,
            content_disposition_type="inline" if shown else "attachment",
        )

    return router


def _preview(engine: Engine, name: str) -> bytes:
    path = engine.preview(name)
    if path is None:
        raise Refused(404, f"there is no preview {name}")
    return path.read_bytes()


def _animation(engine: Engine, file_id: str) -> str | None:
    with engine.store.read() as tx:
        try:
            file = tx.files.by_id(file_id)
        except ValueError:
            return None
        asset = tx.assets.get(file.content_id) if file is not None and file.content_id is not None else None
        return (asset.preview_gif or asset.preview) if asset is not None else None


def _original(engine: Engine, file_id: str) -> tuple[Path, os.stat_result]:
    path = engine.original(file_id)
    if path is None:
        raise Refused(404, f"there is no file {file_id} (any more)")
    try:
        real = path.resolve(strict=True)
        found = real.stat()
    except OSError as error:
        raise Refused(404, f"{path_text(str(path))} cannot be read now: {error.strerror}") from error
    if not (real.is_file() and any(_holds(volume, path, real) for volume in engine.settings.volumes)):
        raise Refused(404, f"{path_text(str(path))} is not the file that it was: sync first")
    return real, found


def _holds(volume: VolumeSettings, path: Path, real: Path) -> bool:
    """Whether a file is on a volume, and still inside it once links are followed, unless they are to be."""
    return path.is_relative_to(volume.path) and (volume.follow_symlinks or real.is_relative_to(volume.path.resolve()))
