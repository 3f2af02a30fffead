"""The store: one LMDB environment that holds the truth; everything else is derived from it and can be rebuilt."""

from mediad.store.environment import Store, StoreBusy, StoreUnwritable
from mediad.store.raw import StoreDamaged
from mediad.store.transaction import Transaction

__all__ = ["Store", "StoreBusy", "StoreDamaged", "StoreUnwritable", "Transaction"]
