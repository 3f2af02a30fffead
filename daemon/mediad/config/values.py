"""Kinds of values that settings have: durations and paths as people write them."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, GetJsonSchemaHandler, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h|d)\s*", re.ASCII)
SOCKET_PATH_LIMIT = 103 if sys.platform == "darwin" else 107  # bytes in sockaddr_un, less the closing NUL
LONGEST = 3650 * 86400.0  # ten years; what waits for longer overflows in some system calls


def _seconds(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError('must be a number of seconds or a text like "30 s", "10 min", "6 h", "30 d"')
    return float(match[1]) * _UNITS[match[2]]


class _OrText:
    """Adds the text form to the schema of the number, which has the limits of each field."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        text = {"type": "string", "pattern": r"^\s*\d+(\.\d+)?\s*(s|min|h|d)\s*$"}
        return {"anyOf": [handler(core), text]}


# No `ge` here: it would replace that of the field.
Seconds = Annotated[float, Field(le=LONGEST), BeforeValidator(_seconds), _OrText()]
"""A duration: seconds as a number, or a text with a unit: "30 s", "10 min", "6 h", "30 d"."""


def absolute(value: Any) -> Any:
    """A path from text: `~` is the home directory. Raises ValueError where it is not absolute after that."""
    if not isinstance(value, str | Path):
        return value
    text = str(value)
    if "\0" in text:
        raise ValueError("must not contain a NUL character")
    path = Path(os.path.expanduser(text))  # noqa: PTH111 - Path.expanduser raises for an unknown user
    if not path.is_absolute():
        raise ValueError(f"must be an absolute path or start with ~/ (it is {text!r})")
    return path


AbsolutePath = Annotated[Path, BeforeValidator(absolute), WithJsonSchema({"type": "string", "pattern": "^[/~]"})]
"""An absolute path; `~` at its start is expanded. It need not exist."""
