"""What a running engine does, live on a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from mediad_service.cli.show import many, pace, plain


class Display:
    """State, progress and volumes, redrawn in place at the end of the terminal; use it as a context manager."""

    def __init__(self, console: Console) -> None:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._progress = Progress(*columns, TextColumn("{task.fields[pace]}"), console=console)
        self._task = self._progress.add_task("", total=None, pace="")
        self._live = Live(Text("  starting"), console=console, refresh_per_second=4, transient=True)
        self._whole = 0  # the most that was pending since there was nothing to do
        self.busy = True

    def __enter__(self) -> Display:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def update(self, status: dict[str, Any]) -> None:
        """Show a status, as `status` tells it."""
        pending, state = status["pending"], status["state"]
        self.busy = bool(pending) or state != "idle"
        self._whole = max(self._whole, pending) if pending else 0
        done = self._whole - pending
        self._progress.update(self._task, description=state, total=self._whole, completed=done, pace=pace(status))
        images, videos = status["assets"]["images"], status["assets"]["videos"]
        known = Text(f"  {many(images, 'image')}, {many(videos, 'video')}, generation {status['generation']}")
        top = self._progress if pending else Text(f"  {state}")
        self._live.update(Group(top, known, _volumes(status["volumes"])))


def _volumes(volumes: list[dict[str, Any]]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    for volume in volumes:
        colour = "green" if volume["state"] == "online" else "red"
        path = Text(plain(volume["path"]), overflow="ellipsis", no_wrap=True)
        reason = Text(plain(volume["reason"] or ""))
        table.add_row(
            Text(plain(volume["name"])), Text(volume["state"], style=colour), str(volume["assets"]), path, reason
        )
    return table
