"""Names and times as JSON can hold them."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from math import isfinite

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)


def path_text(path: bytes | str) -> str:
    r"""A path as text; each byte that is not UTF-8 becomes \xNN (the file's `relpath_bytes` has the exact name)."""
    raw = os.fsencode(path) if isinstance(path, str) else path
    return raw.decode("utf-8", "backslashreplace")


def is_text(path: bytes) -> bool:
    """Whether `path_text` gives exactly these bytes."""
    try:
        path.decode()
    except UnicodeDecodeError:
        return False
    return True


def iso_ns(nanoseconds: int) -> str:
    """ISO 8601 in UTC, to the microsecond; times before year 1 or after 9999 become the first or the last moment."""
    try:
        moment = _EPOCH + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        moment = datetime.max if nanoseconds > 0 else datetime.min
    return moment.isoformat(timespec="microseconds") + "Z"


def iso(seconds: float) -> str:
    """ISO 8601 in UTC of seconds since the epoch."""
    return iso_ns(round(seconds * 1e6) * 1000)


def finite(number: float | None) -> float | None:
    """The number, or None for what JSON cannot hold (hostile files have durations of NaN)."""
    return number if number is not None and isfinite(number) else None


def preview_path(name: str) -> str:
    """Where a preview is, relative to the catalog's directory."""
    return f"previews/{name}"
