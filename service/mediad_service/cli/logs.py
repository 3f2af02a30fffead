"""The log: lines for people on a terminal, key=value for pipes and the journal. It goes to standard error."""

from __future__ import annotations

import io
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

from mediad_service.cli.show import plain

if TYPE_CHECKING:
    from rich.console import Console

_PRIORITIES = {"critical": 2, "error": 3, "exception": 3, "warning": 4, "info": 6, "debug": 7}
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

Entry = dict[str, Any]


def configure(level: str, console: Console | None = None) -> None:
    """Send our events, and the warnings of the libraries, to `console` (a terminal) or as plain lines to stderr."""
    import structlog

    sink = cast(TextIO, _Unfailing(_Above(console) if console is not None else sys.stderr))
    before: list[Any] = [structlog.processors.add_log_level, *_timestamp(console), _safe]
    after = _for_people() if console is not None else _for_programs()
    structlog.configure(
        processors=[*before, *after],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.PrintLoggerFactory(sink),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sink)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *after]
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(True)


class _Unfailing(io.TextIOBase):
    """A log that nobody reads any more (a closed pipe, a full disk) must not end what it tells of."""

    def __init__(self, stream: io.TextIOBase | TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


class _Above(io.TextIOBase):
    """Prints above the live display of a console."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, text: str) -> int:
        from rich.text import Text

        if text.strip():
            self._console.print(Text.from_ansi(text.rstrip("\n")), soft_wrap=True)
        return len(text)


def _for_people() -> list[Any]:
    import structlog

    colours = "NO_COLOR" not in os.environ
    return [structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=structlog.dev.plain_traceback)]


def _for_programs() -> list[Any]:
    import structlog

    render = structlog.processors.LogfmtRenderer(
        key_order=["timestamp", "level", "event"], drop_missing=True, bool_as_flag=False
    )
    priority: list[Callable[..., Any]] = [_Journal(render)] if _in_journal() else [render]
    return [structlog.processors.format_exc_info, *priority]


class _Journal:
    """Lines with the priority that systemd's journal takes off their start (see sd-daemon(3))."""

    def __init__(self, render: Callable[[Any, str, Entry], str]) -> None:
        self._render = render

    def __call__(self, logger: Any, method: str, entry: Entry) -> str:
        priority = _PRIORITIES.get(entry.get("level", method), 6)
        return f"<{priority}>{self._render(logger, method, entry)}"


def _in_journal() -> bool:
    """Whether standard error is the journal, as JOURNAL_STREAM tells (see systemd.exec(5))."""
    stream = os.environ.get("JOURNAL_STREAM")
    if not stream:
        return False
    there = os.fstat(sys.stderr.fileno())
    return stream == f"{there.st_dev}:{there.st_ino}"


def _timestamp(console: Console | None) -> list[Any]:
    import structlog

    if console is not None:
        return [structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)]
    return [] if _in_journal() else [structlog.processors.TimeStamper(fmt="iso", utc=True)]


def _safe(_logger: Any, _method: str, entry: Entry) -> Entry:
    """File names hold what they like: no control characters in the log."""
    return {name: plain(value) if isinstance(value, str) else value for name, value in entry.items()}
