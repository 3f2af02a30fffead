"""Adding and removing a volume in the configuration file, where every other byte of it stays as it is.

Tables are put in and cut out as text at the places that `positions` tells, because comments between two tables belong
to the first for tomlkit and to the second for people. What comes out is read again before it is written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import tomlkit

from .load import from_here, parse, read_text, read_toml, readable_volumes
from .locations import Locations
from .positions import Positions
from .problems import ConfigError, Finding, did_you_mean
from .replace import locked_for_edit, replace_text
from .settings import Settings, VolumeSettings

STARTER = """\
# The configuration of mediad. The path of one volume is enough; every other setting has a default.
# "mediad config show" prints all settings, "mediad config check" says what is wrong with this file.
"""

_COMMENT_LINES = re.compile(r"(?:[ \t]*#[^\n]*\n)*(?:[ \t]*#[^\n]*\Z)?")
_BLANK_LINE = re.compile(r"[ \t]*\r?\n|\Z")


def add_volume(config: Path, volume: VolumeSettings, *, locations: Locations | None = None) -> Settings:
    """Add a `[[volumes]]` table with what was set of `volume`, and make the file where there is none.

    Returns the settings that the file now holds. Raises ConfigError, and leaves the file alone, where it could not be
    loaded afterwards.
    """
    fields = volume.model_dump(mode="json", exclude_unset=True) if _is_text(volume.path) else {}
    if not fields:
        raise ConfigError([_finding(f"{str(volume.path)!r} is not UTF-8, as a TOML file is", "rename it").at(config)])

    def change(text: str, data: dict[str, Any], positions: Positions) -> tuple[str, list[Any]]:
        listed = data.get("volumes", [])
        if _is_inline(text, positions):
            document = tomlkit.parse(text)
            document["volumes"].append(_inline(fields))
            return document.as_string(), [*listed, fields]
        return _insert(text, _rendered(fields), positions, len(listed)), [*listed, fields]

    with locked_for_edit(config):
        text = read_text(config) if config.exists() else STARTER
        listed = read_toml(text, config)[0].get("volumes")
        try:
            return _edit(config, text, change, locations)
        except ConfigError as error:
            raise _refused(error, volume, len(listed) if isinstance(listed, list) else 0) from None


def remove_volume(config: Path, name_or_path: str, *, locations: Locations | None = None) -> VolumeSettings:
    """Remove the volume of that name or, if there is none, at that path; its name and path. Raises ConfigError."""
    with locked_for_edit(config):
        text = read_text(config)
        data, _ = read_toml(text, config)
        index, volume = _find(readable_volumes(data), name_or_path, config)

        def change(text: str, data: dict[str, Any], positions: Positions) -> tuple[str, list[Any]]:
            rest = [table for at, table in enumerate(data["volumes"]) if at != index]
            if _is_inline(text, positions):
                document = tomlkit.parse(text)
                del document["volumes"][index]
                return document.as_string(), rest
            return _cut(text, positions, index), rest

        _edit(config, text, change, locations)
        return volume


def _edit(
    config: Path,
    text: str,
    change: Callable[[str, dict[str, Any], Positions], tuple[str, list[Any]]],
    locations: Locations | None,
) -> Settings:
    """Write what `change` makes of `text`, if it holds just the volumes that `change` says, and can be loaded."""
    data, positions = read_toml(text, config)
    if not isinstance(data.get("volumes", []), list):
        return parse(text, config)  # raises, and says how volumes are written
    changed, volumes = change(text, data, positions)
    settings = parse(changed, config, locations=locations)
    found, _ = read_toml(changed, config)
    if {**found, "volumes": found.get("volumes", [])} != {**data, "volumes": volumes}:
        raise ConfigError([_finding("cannot be edited by a command", "edit its volumes by hand").at(config)])
    replace_text(config, changed)
    return settings


def _refused(error: ConfigError, volume: VolumeSettings, number: int) -> ConfigError:
    """The error with what is wrong with the new volume by its path: the file holds no line of it."""
    new = f"volumes.{number}."
    return ConfigError(
        [
            Finding((), f"{volume.path} is not added: {problem.message}", problem.suggestion).at(None)
            if problem.key.startswith(new)
            else problem
            for problem in error.problems
        ]
    )


def _is_inline(text: str, positions: Positions) -> bool:
    """Whether the volumes are written as `volumes = [{...}]` rather than as `[[volumes]]` tables."""
    span = positions.spans.get(("volumes",))
    return span is not None and text[span.start] != "["


def _rendered(fields: dict[str, Any]) -> str:
    tables = tomlkit.aot()
    tables.append(tomlkit.item(fields))
    return tomlkit.document().add("volumes", tables).as_string()


def _inline(fields: dict[str, Any]) -> tomlkit.items.InlineTable:
    table = tomlkit.inline_table()
    table.update(fields)
    return table


def _insert(text: str, block: str, positions: Positions, count: int) -> str:
    """`text` with `block` after the last of `count` volumes, or at the end, and a blank line between."""
    newline = "\r\n" if "\r\n" in text else "\n"
    at = _end_of_table(text, positions.spans["volumes", count - 1].end) if count else len(text)
    before, after = text[:at], text[at:]
    if before:
        before += newline if before.endswith("\n") else 2 * newline
    return before + block.replace("\n", newline) + after


def _cut(text: str, positions: Positions, index: int) -> str:
    """`text` without the table of a volume, its trailing comments, and a blank line before it."""
    span = positions.spans["volumes", index]
    before, after = text[: span.start], text[_end_of_table(text, span.end) :]
    return re.sub(r"(\A|\n)[ \t]*\r?\n[ \t]*\Z", r"\1", before) + after


def _end_of_table(text: str, end: int) -> int:
    """Where the line of a table's last value ends, and the comments right below it unless a header follows these."""
    newline = text.find("\n", end)
    line_end = len(text) if newline < 0 else newline + 1
    comments = _COMMENT_LINES.match(text, line_end)
    below = comments.end() if comments else line_end
    return below if _BLANK_LINE.match(text, below) else line_end


def _find(volumes: dict[int, VolumeSettings], wanted: str, config: Path) -> tuple[int, VolumeSettings]:
    for index, volume in volumes.items():
        if volume.name == wanted:
            return index, volume
    real = os.path.realpath(os.path.expanduser(from_here(wanted)))  # noqa: PTH111 - not raising for ~nobody
    for index, volume in volumes.items():
        if os.path.realpath(volume.path) == real:
            return index, volume
    raise ConfigError([_finding(f'there is no volume "{wanted}"', _known(volumes.values(), wanted)).at(config)])


def _known(volumes: Iterable[VolumeSettings], wanted: str) -> str:
    names = [volume.name for volume in volumes]
    meant = did_you_mean(wanted, names)
    return meant or (f"there are {', '.join(names)}" if names else "there is none at all")


def _is_text(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _finding(message: str, suggestion: str) -> Finding:
    return Finding((), message, suggestion)
