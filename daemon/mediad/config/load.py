"""From a TOML file to `Settings`, or to everything that is wrong with it at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .explain import explain
from .locations import Locations
from .positions import Positions, locate_keys
from .problems import ConfigError, Finding, Problem
from .settings import Settings, VolumeSettings, name_volumes
from .volumes import find_conflicts

_POSITION = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
_HOW_TO_START = 'make it with "mediad volumes add DIRECTORY", or watch without one: "mediad run DIRECTORY"'


def load(file: Path, *, locations: Locations | None = None, missing_ok: bool = False) -> Settings:
    """The settings in `file`.

    With `locations` the volumes are also checked against mediad's own directories. Where there is no such file and
    `missing_ok`, the defaults, which watch nothing. Raises ConfigError.
    """
    if missing_ok and not file.exists():
        return Settings()
    text = read_text(file)
    if not text.strip():  # valid TOML, and what a full disk leaves of a file: nobody means "watch nothing any more"
        raise ConfigError([Finding((), "is empty", "put back what it held, or remove it").at(file)])
    return parse(text, file, locations=locations)


def read_text(file: Path) -> str:
    """What `file` holds, line ends as they are, without the byte order mark of some editors. Raises ConfigError."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError([Finding((), "there is no configuration file", _HOW_TO_START).at(file)]) from None
    except OSError as error:
        raise ConfigError([Finding((), f"cannot be read: {error.strerror}").at(file)]) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError([Finding((), "is not UTF-8 text", "save it as UTF-8").at(file, (line, 1))]) from None


def parse(text: str, file: Path, *, locations: Locations | None = None) -> Settings:
    """The settings in `text`, which is (or would be) the content of `file`. Raises ConfigError."""
    data, positions = read_toml(text, file)
    findings: list[Finding] = []
    try:
        settings = Settings.model_validate(data)
    except ValidationError as error:
        findings = explain(error, Settings)
    findings += find_conflicts(readable_volumes(data), locations)
    if findings:
        raise ConfigError(_located(findings, file, positions))
    return settings


def read_toml(text: str, file: Path) -> tuple[dict[str, Any], Positions]:
    """The data in `text` and where its keys stand. Raises ConfigError with the line of a syntax error."""
    try:
        return tomllib.loads(text), locate_keys(text)
    except ValueError as error:  # TOMLDecodeError is one; so is what int() says to a number of 5,000 digits
        raise ConfigError([_syntax_problem(str(error), text, file)]) from None
    except RecursionError:
        raise ConfigError([Finding((), "not a configuration: it is nested too deeply").at(file)]) from None


def readable_volumes(data: Mapping[str, Any]) -> dict[int, VolumeSettings]:
    """The volumes in parsed TOML whose path can be told, by their position in the file: path and name only.

    They are compared with each other, and can be removed, even where something else about them is wrong.
    """
    listed = data.get("volumes", [])
    tables = dict(enumerate(listed if isinstance(listed, list) else []))
    found = {index: volume for index, table in tables.items() if (volume := _readable_volume(table))}
    return dict(zip(found, name_volumes(tuple(found.values())), strict=True))


def _readable_volume(table: object) -> VolumeSettings | None:
    if not isinstance(table, dict):
        return None
    for names in (("path", "name"), ("path",)):
        try:
            return VolumeSettings.model_validate({name: table[name] for name in names if name in table})
        except ValidationError:
            continue  # it is explained with the rest of the file
    return None


def from_here(path: object) -> str:
    """A relative path made absolute, as a command means it; `~` is left for `values.absolute`."""
    text = str(path)
    return text if text.startswith("~") or not text else str(Path(text).absolute())


def volume_from(fields: Mapping[str, object]) -> VolumeSettings:
    """A volume from the fields of a `[[volumes]]` table; a relative path counts from here. Raises ConfigError."""
    given = {**fields, "path": from_here(fields.get("path", ""))}
    try:
        return VolumeSettings.model_validate(given)
    except ValidationError as error:
        raise ConfigError([finding.at(None) for finding in explain(error, VolumeSettings)]) from None


def with_directories(settings: Settings, directories: Iterable[Path | str], locations: Locations) -> Settings:
    """The same settings, watching just `directories` (as `mediad run DIRECTORY ...` says). Raises ConfigError."""
    volumes = name_volumes(tuple(volume_from({"path": directory}) for directory in directories))
    conflicts = find_conflicts(dict(enumerate(volumes)), locations)
    if conflicts:
        raise ConfigError([Finding((), conflict.message, conflict.suggestion).at(None) for conflict in conflicts])
    return settings.with_volumes(volumes)


def _syntax_problem(told: str, text: str, file: Path) -> Problem:
    match = _POSITION.fullmatch(told)
    if match is None:
        return Finding((), f"not valid TOML: {told}").at(file)
    last = text.rstrip().count("\n") + 1
    suggestion = 'text goes in quotes: path = "/photos"' if match[1] == "Invalid value" else None
    place = (int(match[2]), int(match[3])) if match[2] else (last, 1)
    return Finding((), f"not valid TOML: {match[1]}", suggestion).at(file, place)


def _located(findings: Iterable[Finding], file: Path, positions: Positions) -> list[Problem]:
    """The findings with file, line and column, in the order of the file."""
    problems = [finding.at(file, positions.line_column(finding.key)) for finding in findings]
    return sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0, problem.key))
