"""Where each file stands: every image in exactly one of sequences, clusters and unclustered."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from mediad.catalog.index import Index
from mediad.model import Cluster, ContentId, Sequence
from mediad.store import Transaction


@dataclass(slots=True)
class PlacedSequence:
    """A sequence with the positions of those of its files that are there."""

    sequence: Sequence
    files: list[int]


@dataclass(slots=True)
class PlacedCluster:
    """A cluster with the positions of its files, in catalog order, and the ids of its sequences."""

    cluster: Cluster
    files: list[int]
    sequences: list[str]
    medoid: int


@dataclass(slots=True)
class Placing:
    """The whole catalog as positions in the index."""

    sequences: list[PlacedSequence] = field(default_factory=list)
    clusters: list[PlacedCluster] = field(default_factory=list)
    unclustered: list[int] = field(default_factory=list)
    videos: list[int] = field(default_factory=list)
    duplicates: list[list[int]] = field(default_factory=list)
    flagged: list[int] = field(default_factory=list)


def place(tx: Transaction, index: Index, tiers: Collection[str]) -> Placing:
    """Put every file where it belongs. A group of which nothing is there, and duplicates of no tier, are left out."""
    taken = bytearray(len(index))
    sequences = _sequences(tx, index, taken)
    clusters = _clusters(tx, index, taken, sequences)
    everything = range(len(index))
    return Placing(
        sequences=sequences,
        clusters=clusters,
        unclustered=[at for at in everything if not taken[at] and not index.is_video(at)],
        videos=[at for at in everything if index.is_video(at)],
        duplicates=_copies(index) if "exact" in tiers else [],
        flagged=[at for at in everything if index.is_flagged(at)],
    )


def _copies(index: Index) -> list[list[int]]:
    return sorted([index.first[content], *others] for content, others in index.others.items())


def _sequences(tx: Transaction, index: Index, taken: bytearray) -> list[PlacedSequence]:
    found = sorted(tx.sequences, key=lambda one: (one.volume, one.directory, one.name, one.id))
    wanted = {bytes.fromhex(file) for sequence in found for file in sequence.files}
    where = {file: at for at, file in enumerate(index.ids) if file in wanted} if wanted else {}
    placed = []
    for sequence in found:
        places = [where.get(bytes.fromhex(file)) for file in sequence.files]
        files = [at for at in places if at is not None and not taken[at]]
        for at in files:
            taken[at] = 1
        if files:
            placed.append(PlacedSequence(sequence, files))
    return placed


def _clusters(tx: Transaction, index: Index, taken: bytearray, sequences: list[PlacedSequence]) -> list[PlacedCluster]:
    """Exact copies follow their content; a sequence follows its representative frame, as one member."""
    standing_for: dict[ContentId, list[PlacedSequence]] = {}
    for one in sequences:
        if one.sequence.representative is not None:
            standing_for.setdefault(one.sequence.representative, []).append(one)
    placed = []
    for cluster in tx.clusters:
        files = sorted(at for content in cluster.members for at in index.of(content) if not taken[at])
        for at in files:
            taken[at] = 1
        inside = [one for content in cluster.members for one in standing_for.pop(content, ())]
        if files or inside:
            middle = next(index.of(cluster.medoid), files[0] if files else inside[0].files[0])
            placed.append(PlacedCluster(cluster, files, sorted(one.sequence.id for one in inside), middle))
    return placed
