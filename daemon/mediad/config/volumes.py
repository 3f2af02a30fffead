"""Volumes that cannot be watched together, or that hold what mediad itself writes."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

from .locations import Locations
from .problems import Finding, Problem
from .settings import Settings, VolumeSettings

_DISJOINT = "volumes must not overlap: remove one of the two"
_ELSEWHERE = "mediad must not write into what it watches: watch another folder, or see --state-dir and --catalog-dir"


def check_volumes(settings: Settings, locations: Locations) -> list[Problem]:
    """What is wrong with the volumes of `settings` on this machine, as far as it can be seen now.

    A path that is not there, or not a directory, is no problem: a drive may be away.
    """
    return [finding.at(None) for finding in find_conflicts(dict(enumerate(settings.volumes)), locations)]


def find_conflicts(volumes: Mapping[int, VolumeSettings], locations: Locations | None) -> list[Finding]:
    """The same for volumes by their position in the list; without `locations` only among themselves."""
    findings = _same_names(volumes)
    places = {index: _Place(volume.path) for index, volume in volumes.items()}
    for first, second in combinations(volumes, 2):
        words = _relation(places[second], places[first])
        if words:
            other = f'volume "{volumes[first].name}" ({volumes[first].path})'
            findings.append(Finding(("volumes", second, "path"), f"{volumes[second].path} {words} {other}", _DISJOINT))
    own = {what: (path, _Place(path)) for what, path in _own_directories(locations).items()}
    for index, volume in volumes.items():
        for what, (path, place) in own.items():
            words = _relation(places[index], place)
            if words:
                message = f"{volume.path} {words} mediad's {what} ({path})"
                findings.append(Finding(("volumes", index, "path"), message, _ELSEWHERE))
                break  # the catalog is usually in the state directory: once is enough
    return findings


def _own_directories(locations: Locations | None) -> dict[str, Path]:
    if locations is None:
        return {}
    return {
        "state directory": locations.state,
        "catalog directory": locations.catalog,
        "weights directory": locations.weights,
    }


def _same_names(volumes: Mapping[int, VolumeSettings]) -> list[Finding]:
    indexes = defaultdict(list)
    for index, volume in volumes.items():
        indexes[volume.name].append(index)
    return [
        Finding(("volumes", index, "name"), f'"{name}" is the name of another volume already', "choose another name")
        for name, same in indexes.items()
        for index in same[1:]
    ]


class _Place:
    """A path as the disk sees it: symlinks resolved, and known by device and inode where it is there.

    The numbers tell what paths cannot: bind mounts, and names that differ only in case where case does not matter.
    """

    def __init__(self, path: Path) -> None:
        self.real = Path(os.path.realpath(path))
        self.identities = [self._identity(place) for place in (self.real, *self.real.parents)]

    @staticmethod
    def _identity(path: Path) -> tuple[int, int] | None:
        try:
            stat = path.stat()
        except OSError:
            return None
        return stat.st_dev, stat.st_ino

    def is_inside(self, other: _Place) -> bool:
        """Whether it is `other` or below it."""
        own = other.identities[0]
        return self.real.is_relative_to(other.real) or (own is not None and own in self.identities)


def _relation(one: _Place, other: _Place) -> str:
    match one.is_inside(other), other.is_inside(one):
        case True, True:
            return "is the same folder as"
        case True, False:
            return "is inside"
        case False, True:
            return "contains"
        case _:
            return ""
