"""Watching: file system events, and polling where there are none, become hints that a directory be scanned."""

from mediad.watcher.settle import Settle
from mediad.watcher.watcher import HintCallback, Watcher

__all__ = ["HintCallback", "Settle", "Watcher"]
