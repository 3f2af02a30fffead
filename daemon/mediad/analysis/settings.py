"""What a person may choose about clustering."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

Method = Literal["umap_hdbscan", "kmeans", "agglomerative", "dbscan"]
Reduce = Literal["umap", "pca", "none"]


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """How embeddings become clusters.

    `umap_hdbscan` finds the number of clusters itself, and with it `reduce` says what HDBSCAN works on. `neighbors`
    and `components` are UMAP's. `clusters` tells `kmeans` and `agglomerative` how many
    to make; None lets them choose. The same `seed` and input give the same clusters.
    """

    method: Method = "umap_hdbscan"
    reduce: Reduce = "umap"
    neighbors: int = 10
    components: int = 5
    min_cluster_size: int = 5
    clusters: int | None = None
    seed: int = 42

    def __post_init__(self) -> None:
        """Refuse what no method can work with.

        Raises:
            ValueError: says which setting is wrong and what it may be.
        """
        for name, choices in (("method", get_args(Method)), ("reduce", get_args(Reduce))):
            if getattr(self, name) not in choices:
                raise ValueError(f"clustering: {name} is {getattr(self, name)!r}; choose one of {', '.join(choices)}")
        least = {"neighbors": 2, "components": 1, "min_cluster_size": 2, "clusters": 1, "seed": 0}
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and value < bound:
                raise ValueError(f"clustering: {name} is {value}; it must be at least {bound}")

    def to_message(self) -> dict[str, Any]:
        """As JSON, for the clustering process."""
        return asdict(self)

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> ClusterSettings:
        """Back from JSON; keys that are no settings are passed over, because a message holds more than settings."""
        return cls(**{field.name: message[field.name] for field in fields(cls) if field.name in message})
