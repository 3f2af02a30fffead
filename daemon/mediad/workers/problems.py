"""What of a volume cannot be looked at: why, how often it was tried, when to try again. None of it is missing."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass

_FIRST_RETRY = 5.0
_LAST_RETRY = 3600.0
_NEVER = float("inf")


@dataclass(slots=True)
class Problem:
    """`directory` is what must be listed to see whether it is over, `due` when (on the monotonic clock)."""

    directory: bytes
    error: OSError
    tries: int = 0
    due: float = _NEVER


class Problems:
    """Directories that cannot be listed and names that cannot be looked at, by path below the volume's root.

    Only the volume's loop changes it; `snapshot` may be called from anywhere.
    """

    def __init__(self) -> None:
        self._found: dict[bytes, Problem] = {}

    def note(self, path: bytes, directory: bytes, error: OSError, now: float) -> bool:
        """Looking at `path` failed while `directory` was to be listed; whether that is news."""
        problem = self._found.get(path)
        news = problem is None or problem.error.errno != error.errno
        problem = problem or Problem(directory, error)
        problem.error = error
        problem.due = now + min(_FIRST_RETRY * 2.0**problem.tries, _LAST_RETRY)
        problem.tries += 1
        self._found[path] = problem
        return news

    def listed(self, directory: bytes, directories: Collection[bytes], failed: Mapping[bytes, OSError]) -> None:
        """A directory could be listed, with these names of directories in it; `failed` paths are noted again."""
        if not self._found:
            return
        prefix = directory + b"/" if directory else b""
        present = {prefix + name for name in directories}
        for path, problem in list(self._found.items()):
            if problem.directory == directory:
                over = path not in failed
            else:
                child = prefix + path[len(prefix) :].partition(b"/")[0]
                over = path.startswith(prefix) and child not in present and child not in failed
            if over:
                del self._found[path]

    def gone(self, directory: bytes) -> None:
        """A directory is not there any more."""
        for path in list(self._found):
            if path == directory or path.startswith(directory + b"/"):
                del self._found[path]

    def next_due(self) -> float:
        return min((problem.due for problem in self._found.values()), default=_NEVER)

    def take(self, now: float) -> set[bytes]:
        """Directories to be tried again now; they are not due again before their next failure is noted."""
        due = [problem for problem in self._found.values() if problem.due <= now]
        for problem in due:
            problem.due = _NEVER
        return {problem.directory for problem in due}

    def snapshot(self) -> list[tuple[bytes, Problem]]:
        return list(self._found.items())


def with_reason(number: int, reason: str | None = None) -> OSError:
    """An error of the system by its number; `reason` says more than the system's own words."""
    return OSError(number, reason or os.strerror(number))
