"""The daemon's side of the clustering process."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mediad.analysis.settings import ClusterSettings
from mediad.channel import Blob, Child, ChildError, Limits, Message

_DEADLINE = 3600.0
_NICE = 15


class Clusterer:
    """Runs clustering jobs in a process of its own, which is started for each job and gone after it.

    Thread-safe; jobs queue. Every method raises `channel.ChildError` when the process crashed, ran out of time or
    refused the input.
    """

    def __init__(self, deadline: float = _DEADLINE, limits: Limits | None = None) -> None:
        """`deadline` is in seconds, for one job."""
        self._deadline = deadline
        self._child = Child("mediad.analysis.child", limits=limits or Limits(nice=_NICE))

    @property
    def pid(self) -> int | None:
        """The process that works now, if one does."""
        return self._child.pid

    def cluster(self, embeddings: NDArray[np.floating], settings: ClusterSettings) -> NDArray[np.int32]:
        """Labels (n,) of embeddings (n, d): -1 for noise, else 0 for the largest cluster and so on.

        The same rows in the same order give the same labels, so sort them by content id.
        """
        if not len(embeddings):
            return np.empty(0, np.int32)
        data = np.ascontiguousarray(embeddings, np.float32)
        message = {"op": "cluster", "shape": list(data.shape), **settings.to_message()}
        return self._job(message, [data.data], len(data))

    def by_name(self, paths: Sequence[str], least: int = 3) -> NDArray[np.int32]:
        """Labels of files by the words of their names and folders: -1 for those in no group.

        `paths` are relative to their volumes, in a stable order; `least` is the least number of files in a group.
        """
        if not paths:
            return np.empty(0, np.int32)
        clean = [path.encode(errors="replace").decode() for path in paths]  # bytes that are no UTF-8 are no words
        return self._job({"op": "names", "paths": clean, "least": least}, [], len(paths))

    def stop(self) -> None:
        """End the process; a job under way fails."""
        self._child.stop()

    def _job(self, message: Message, blobs: Sequence[Blob], count: int) -> NDArray[np.int32]:
        try:
            _, data = self._child.request(message, blobs, deadline=self._deadline)
        finally:
            self._child.stop()
        if len(data) != 1 or len(data[0]) != 4 * count:
            raise ChildError("protocol", f"the clustering process did not answer with {count} labels")
        return np.frombuffer(data[0], np.int32)
