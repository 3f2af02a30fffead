"""All routes together."""

from __future__ import annotations

from fastapi import FastAPI

from mediad import __version__
from mediad_service.api import acts, errors, facts, health, media, search, streams
from mediad_service.api.context import Context
from mediad_service.api.pages import Pages

_ABOUT = "What mediad knows of your images and videos. The same facts as its commands print."


def make_app(context: Context, pages: Pages) -> FastAPI:
    app = FastAPI(
        title="mediad",
        version=__version__,
        description=_ABOUT,
        generate_unique_id_function=lambda route: route.name,
        docs_url=None,  # those pages load scripts from elsewhere; ours shows the same offline
        redoc_url=None,
    )
    errors.install(app)
    app.include_router(search.routes(context))
    app.include_router(streams.routes(context))
    app.include_router(media.routes(context))
    app.include_router(acts.routes(context))
    app.include_router(facts.routes(context))
    app.include_router(health.routes(context))
    app.include_router(pages.routes())
    return app
