"""Where the keys of a TOML text stand, which tomllib and tomlkit do not tell.

Only for texts that tomllib has accepted: this reads just enough of the grammar to find keys and where values end.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from dataclasses import dataclass, field

from .problems import Key

_TOKEN = re.compile(
    r'''"""(?:\\.|[^\\])*?"""(?!")'''  # (?!"): up to two more quotes belong to the text
    r"""|'''.*?'''(?!')"""
    r'''|"(?:\\.|[^"\\])*"'''
    r"""|'[^']*'"""
    r"""|(?P<comment>\#[^\n]*)"""
    r"""|(?P<space>[ \t\r]+)"""
    r"""|\n|[\[\]{}=,.]"""
    r"""|[^\s\[\]{}=,.\#"']+""",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Span:
    """Offsets in the text. A table's span reaches from its header to its last value, a key's from key to value."""

    start: int
    end: int


@dataclass(slots=True)
class Positions:
    """The span of every key, table and list element of a TOML text."""

    text: str
    spans: dict[Key, Span] = field(default_factory=dict)

    def line_column(self, key: Key) -> tuple[int, int] | None:
        """Line and column, from 1, of `key` or of the nearest thing around it; None where there is none."""
        while key and key not in self.spans:
            key = key[:-1]
        if not key:
            return None
        start = self.spans[key].start
        newlines = [match.start() for match in re.finditer("\n", self.text)]
        line = bisect_right(newlines, start - 1)
        return line + 1, start - (newlines[line - 1] if line else -1)


def locate_keys(text: str) -> Positions:
    """The positions of everything in `text`, which must be valid TOML."""
    positions = Positions(text)
    _Reader(text, positions.spans).read()
    return positions


class _Reader:
    """Reads tokens and keeps the key it is at. Comments and blanks are no tokens; the end of a line is one."""

    def __init__(self, text: str, spans: dict[Key, Span]) -> None:
        self._tokens = [match for match in _TOKEN.finditer(text) if match.lastgroup is None]
        self._at = 0
        self._spans = spans
        self._lengths: dict[Key, int] = {}  # of arrays of tables

    def _peek(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _next(self) -> re.Match[str]:
        self._at += 1
        return self._tokens[self._at - 1]

    def read(self) -> None:
        table: Key = ()
        while self._peek():
            if self._peek() == "\n":
                self._next()
            elif self._peek() == "[":
                table = self._header()
            else:
                self._pair(table, (table,) if table else ())

    def _header(self) -> Key:
        """`[a.b]` or `[[a.b]]`: the table that follows, with the positions in lists on the way to it."""
        start = self._next().start()
        many = self._peek() == "["
        if many:
            self._next()
        name = self._key()
        while self._peek() == "]":
            end = self._next().end()
        table: Key = ()
        for depth, part in enumerate(name, start=1):
            table = (*table, part)
            if many and depth == len(name):
                self._lengths[table] = self._lengths.get(table, 0) + 1
            if table in self._lengths:
                self._spans.setdefault(table, Span(start, end))
                table = (*table, self._lengths[table] - 1)
            self._spans.setdefault(table, Span(start, end))
        return table

    def _key(self) -> tuple[str, ...]:
        parts = [_unquoted(self._next()[0])]
        while self._peek() == ".":
            self._next()
            parts.append(_unquoted(self._next()[0]))
        return tuple(parts)

    def _pair(self, table: Key, around: tuple[Key, ...]) -> None:
        """`key = value`; the tables `around` it reach to its end."""
        start = self._tokens[self._at].start()
        name = self._key()
        self._next()  # =
        key = (*table, *name)
        end = self._value(key)
        for depth in range(1, len(name)):  # a.b = 1 makes table a, which begins here
            self._spans.setdefault((*table, *name[:depth]), Span(start, end))
        self._spans[key] = Span(start, end)
        for outer in around:
            self._spans[outer] = Span(self._spans[outer].start, end)

    def _value(self, key: Key) -> int:
        """Skip a value, noting what is inside; the offset of its end."""
        if self._peek() == "[":
            return self._array(key)
        if self._peek() == "{":
            return self._inline_table(key)
        end = self._next().end()
        while self._peek() not in ("", ",", "]", "}", "\n"):
            end = self._next().end()  # numbers and times hold dots and blanks
        return end

    def _array(self, key: Key) -> int:
        self._next()
        index = 0
        while self._peek() != "]":
            if self._peek() in (",", "\n"):
                self._next()
                continue
            start = self._tokens[self._at].start()
            self._spans[*key, index] = Span(start, self._value((*key, index)))
            index += 1
        return self._next().end()

    def _inline_table(self, key: Key) -> int:
        self._next()
        while self._peek() != "}":
            if self._peek() in (",", "\n"):
                self._next()
            else:
                self._pair(key, ())
        return self._next().end()


def _unquoted(word: str) -> str:
    return next(iter(tomllib.loads(f"{word} = 0"))) if word[0] in "\"'" else word
