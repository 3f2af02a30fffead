"""What is wrong with a configuration, in words that say where and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

Key = tuple[str | int, ...]
"""Where a setting stands: ("volumes", 1, "path") is the path of the second `[[volumes]]` table."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `line` and `column` count from 1 and are None where no line of the file is meant.

    `key` is dotted, with list positions from 0 ("volumes.1.path"); `suggestion` is what was probably meant or what
    to do.
    """

    file: str | None
    line: int | None
    column: int | None
    key: str
    message: str
    suggestion: str | None = None

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        told = self.message if self.suggestion is None else f"{self.message}; {self.suggestion}"
        return ": ".join(part for part in (place, shown_key(self.key), told) if part)


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem before it is known where in which file its key stands."""

    key: Key
    message: str
    suggestion: str | None = None

    def at(self, file: Path | None, place: tuple[int, int] | None = None) -> Problem:
        """The problem, in `file` at the line and column `place`."""
        line, column = place or (None, None)
        name = None if file is None else str(file)
        return Problem(name, line, column, ".".join(str(part) for part in self.key), self.message, self.suggestion)


class ConfigError(Exception):
    """The configuration cannot be used. `problems` holds everything that is wrong with it, never nothing."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def shown_key(key: str) -> str:
    """A dotted key as people see it in their file: `[http] port`, `[[volumes]] #2 path`."""
    head, _, rest = key.partition(".")
    if head == "volumes" and rest:
        number, _, name = rest.partition(".")
        return f"[[volumes]] #{int(number) + 1} {name}".rstrip() if number.isdecimal() else f"[volumes] {rest}"
    return f"[{head}] {rest}" if rest else head


def did_you_mean(word: str, words: Iterable[str]) -> str | None:
    """The one of `words` that is most like `word` whatever its case, as a question; None where none is."""
    spelled = {known.lower(): known for known in words}
    close = get_close_matches(word.lower(), spelled, n=1)
    return f'did you mean "{spelled[close[0]]}"?' if close else None
