"""A transaction: the tables of the store, seen at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from mediad.store.assets import Assets
from mediad.store.files import Files
from mediad.store.groups import Clusters, Sequences
from mediad.store.journal import Journal
from mediad.store.meta import Meta, Volumes
from mediad.store.raw import Raw
from mediad.store.suspects import Suspects
from mediad.store.vectors import Vectors
from mediad.store.work import Attempts, Work


class Transaction:
    """What a `Store.read` or `Store.write` block works with. Not for use after the block, nor by other threads."""

    def __init__(self, txn: Any, databases: Mapping[str, Any]) -> None:
        self.raw = Raw(txn, databases)

    @cached_property
    def meta(self) -> Meta:
        return Meta(self.raw)

    @cached_property
    def volumes(self) -> Volumes:
        return Volumes(self.raw)

    @cached_property
    def files(self) -> Files:
        return Files(self.raw)

    @cached_property
    def assets(self) -> Assets:
        return Assets(self.raw)

    @cached_property
    def vectors(self) -> Vectors:
        return Vectors(self.raw)

    @cached_property
    def work(self) -> Work:
        return Work(self.raw)

    @cached_property
    def attempts(self) -> Attempts:
        return Attempts(self.raw)

    @cached_property
    def suspects(self) -> Suspects:
        return Suspects(self.raw)

    @cached_property
    def journal(self) -> Journal:
        return Journal(self.raw)

    @cached_property
    def clusters(self) -> Clusters:
        return Clusters(self.raw)

    @cached_property
    def sequences(self) -> Sequences:
        return Sequences(self.raw)
