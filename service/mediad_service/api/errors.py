"""Errors as answers: {"error": what went wrong and what to do}."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from mediad.channel import ChildError
from mediad.encoders import EncoderError, TextUnsupported, WeightsUnavailable
from mediad.engine import EngineError
from mediad.media.spec import Undecodable
from mediad_service.api.answers import BUG, Refused, refusal

_STATUS: dict[type[Exception], int] = {
    KeyError: 404,
    TextUnsupported: 409,
    Undecodable: 422,
    EngineError: 422,
    ValueError: 422,
    EncoderError: 503,
    WeightsUnavailable: 503,
    ChildError: 503,
    TimeoutError: 504,
}


Handler = Callable[[Request, Exception], Awaitable[Response]]


def install(app: FastAPI) -> None:
    """Have `app` answer errors of the engine, of requests and of routing in this way."""
    for kind, status in _STATUS.items():
        app.add_exception_handler(kind, _handler(status))
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(Exception, _bug)  # it is raised on after the answer, and logged by `guard.Outer`
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def _handler(status: int) -> Handler:
    async def handle(_: Request, error: Exception) -> Response:
        text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
        return refusal(status, text or type(error).__name__)

    return handle


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return refusal(error.status, str(error))


async def _bug(_: Request, __: Exception) -> Response:
    return refusal(500, BUG)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return refusal(422, "; ".join(_where(one["loc"], one["msg"]) for one in error.errors()))


def _where(place: tuple[int | str, ...], message: str) -> str:
    names = ".".join(str(part) for part in place[1:])
    return f"{names}: {message}" if names else message


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refusal(error.status_code, f"{error.detail}: /docs lists what there is")
