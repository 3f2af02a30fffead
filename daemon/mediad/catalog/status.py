"""status.json: what the daemon is doing, for those who do not ask it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from mediad.catalog import atomic

STATUS_NAME = "status.json"


def write_status(directory: Path, status: Mapping[str, Any]) -> None:
    """Replace status.json by this, with its keys in the order given; nothing is written where it says so already."""
    data = orjson.dumps(dict(status), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    atomic.write(directory / STATUS_NAME, data)
