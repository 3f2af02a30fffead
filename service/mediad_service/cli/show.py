"""Facts on standard output: JSON for programs, tables for people, tab-separated lines for pipes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def plain(text: object) -> str:
    r"""Text that cannot harm a terminal or break a line: control characters and bytes that are no UTF-8 as \xNN."""
    whole = os.fsencode(str(text)) if isinstance(text, os.PathLike) else _encoded(str(text))
    return _CONTROL.sub(lambda found: _escaped(found[0]), whole.decode("utf-8", "backslashreplace"))


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape" if _is_escaped(text) else "backslashreplace")


def _is_escaped(text: str) -> bool:
    """Whether its surrogates are those that stand for bytes."""
    return all("\udc80" <= character <= "\udcff" for character in text if "\ud800" <= character <= "\udfff")


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def print_json(document: Any) -> None:
    """One JSON document, and nothing else, on standard output."""
    import orjson

    data = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "", kind: str = "") -> None:
    """Rows under `columns`; a column whose name starts with "#" holds numbers. `empty` is said where there are none.

    Without a terminal: the rows alone, a line each, with tabs between their cells; `kind` before each, where it is
    needed to tell the rows of several tables apart.
    """
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(plain(_cell(cell)) for cell in ([kind, *row] if kind else row)))  # noqa: T201 - it is what the command is for
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        right = column.startswith("#")
        table.add_column(column.lstrip("#"), justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(_cell(cell))) for cell in row))
    if table.row_count:
        console.print(table)
    elif empty:
        console.print(Text(empty))


def print_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Names and values, one a line; what is None or empty is left out."""
    for name, value in facts:
        if value is not None and value != "":
            between = " " * (12 - len(name)) if sys.stdout.isatty() else "\t"
            print(f"{name}{between}{plain(value)}")  # noqa: T201 - it is what the command is for


def _cell(value: object) -> object:
    return "" if value is None else value


def size(count: float) -> str:
    """Bytes for people: "12 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float) -> str:
    """A time for people: "40 s", "3 min", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def many(count: int, one: str, more: str | None = None) -> str:
    """A number and what it is of: "1 image", "2 images"."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def pace(status: dict[str, Any]) -> str:
    """Rate and time left of a status, as far as they are known."""
    rate, left = status.get("rate"), status.get("eta_seconds")
    return ", ".join(
        [f"{one:.1f} files/s" for one in (rate,) if one] + [f"{duration(one)} left" for one in (left,) if one]
    )
