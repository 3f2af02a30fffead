"""The version of the store's layout, and the steps that bring an older store to it.

A step is a function of the transaction; `STEPS[n]` leads from version n to n + 1. All steps run in the one write
transaction that opens the store, so a crash leaves the old version whole.
"""

from __future__ import annotations

from collections.abc import Callable

from mediad.store.tables import VERSION
from mediad.store.transaction import Transaction

__all__ = ["STEPS", "VERSION", "StoreTooNew", "migrate"]

STEPS: dict[int, Callable[[Transaction], None]] = {}


class StoreTooNew(Exception):
    """The store was written by a newer mediad."""


def migrate(tx: Transaction, steps: dict[int, Callable[[Transaction], None]] = STEPS, to: int = VERSION) -> None:
    """Bring the store to version `to`; a fresh one is simply stamped with it.

    Raises:
        StoreTooNew: it is of a later version than this program knows.
    """
    version = tx.meta.get("schema_version")
    if version is None:
        tx.meta.put("schema_version", to)
        return
    if version > to:
        raise StoreTooNew(f"the store has version {version}, this mediad knows {to}: install the newer one again")
    for step in range(version, to):
        steps[step](tx)
    if version != to:  # or every start would write, on a full disk too
        tx.meta.put("schema_version", to)
