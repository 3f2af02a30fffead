"""Cluster ids that survive reclustering, and what became of the clusters, as events for the change feed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from mediad.model import ChangeType, ContentId, short_id

_LEAST = 0.25  # share of the smaller of the two clusters that must be common before one takes the other's id
_MOST = 0.5  # share of a cluster that makes its fate or its origin

Overlaps = Mapping[tuple[str, int], int]


@dataclass(frozen=True, slots=True)
class Event:
    """A birth, death, merge or split. `id` is the cluster that it is about, `detail` has the ids from and into."""

    type: ChangeType
    id: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Carried:
    """The id of each new cluster, in order, and the events, sorted by type and id."""

    ids: tuple[str, ...]
    events: tuple[Event, ...]


def carry_over(
    old: Mapping[str, Set[ContentId]], new: Sequence[Set[ContentId]], make_id: Callable[[int], str]
) -> Carried:
    """Give new clusters the ids of the old ones that they overlap most, one to one.

    The pair with the largest overlap is matched first; ties go to the larger share of common members, then to the
    lesser old id, then to the new cluster with the lesser first member, so that the order of `new` does not matter.

    Args:
        old: members by id.
        new: members of the new clusters, which share none.
        make_id: an id for a new cluster (by its index) that takes over none; where that id is in use, one is derived.

    Returns:
        The ids (no two alike), and events: a new id is in one birth or one split's `into`, and an old id that is gone
        is in one death or one merge's `from`.
    """
    overlaps = _overlaps(old, new)
    taken = _match(overlaps, old, new)
    ids: dict[int, str] = dict(taken)
    used = set(old)
    for index in sorted(set(range(len(new))) - set(taken), key=lambda index: min(new[index], default=b"")):
        ids[index] = _unused(make_id(index), used)
        used.add(ids[index])
    events = [*_origins(new, overlaps, taken, ids), *_fates(old, overlaps, taken)]
    return Carried(tuple(ids[index] for index in range(len(new))), tuple(sorted(events, key=lambda e: (e.type, e.id))))


def _overlaps(old: Mapping[str, Set[ContentId]], new: Sequence[Set[ContentId]]) -> Overlaps:
    homes = {member: index for index, members in enumerate(new) for member in members}
    return Counter((name, homes[member]) for name, members in old.items() for member in members if member in homes)


def _match(overlaps: Overlaps, old: Mapping[str, Set[ContentId]], new: Sequence[Set[ContentId]]) -> dict[int, str]:
    firsts = [min(members, default=b"") for members in new]

    def rank(pair: tuple[str, int]) -> tuple[int, float, str, bytes]:
        name, index = pair
        common = overlaps[pair]
        return -common, -common / (len(old[name]) + len(new[index]) - common), name, firsts[index]

    taken: dict[int, str] = {}
    gone: set[str] = set()
    for name, index in sorted(overlaps, key=rank):
        enough = overlaps[name, index] >= _LEAST * min(len(old[name]), len(new[index]))
        if enough and name not in gone and index not in taken:
            taken[index] = name
            gone.add(name)
    return taken


def _unused(wanted: str, used: set[str]) -> str:
    number = 0
    result = wanted
    while result in used:
        number += 1
        result = short_id(wanted, str(number))
    return result


def _origins(
    new: Sequence[Set[ContentId]],
    overlaps: Overlaps,
    taken: Mapping[int, str],
    ids: Mapping[int, str],
) -> list[Event]:
    """Births, and splits of old clusters: a new cluster most of whose members come from one was split from it."""
    parents = {index: name for (name, index), common in overlaps.items() if common > _MOST * len(new[index])}
    parts: dict[str, list[str]] = defaultdict(list)
    events = []
    for index in set(range(len(new))) - set(taken):
        if index in parents:
            parts[parents[index]].append(ids[index])
        else:
            events.append(Event(ChangeType.CLUSTER_BORN, ids[index], {"count": len(new[index])}))
    for parent, born in parts.items():  # a parent always lives on: else the part would have taken its id
        events.append(Event(ChangeType.CLUSTER_SPLIT, parent, {"from": parent, "into": sorted([parent, *born])}))
    return events


def _fates(old: Mapping[str, Set[ContentId]], overlaps: Overlaps, taken: Mapping[int, str]) -> list[Event]:
    """Deaths, and merges: an old cluster most of whose members are in one new cluster was merged into it."""
    heirs = {name: index for (name, index), common in overlaps.items() if common > _MOST * len(old[name])}
    joined: dict[str, list[str]] = defaultdict(list)
    events = []
    for name in set(old) - set(taken.values()):
        if name in heirs:
            joined[taken[heirs[name]]].append(name)
        else:
            events.append(Event(ChangeType.CLUSTER_DIED, name, {"count": len(old[name])}))
    for heir_id, names in joined.items():  # an heir always has an old id: else it would have taken this one
        detail = {"from": sorted([heir_id, *names]), "into": heir_id}
        events.append(Event(ChangeType.CLUSTER_MERGED, heir_id, detail))
    return events
