"""A file on its way through the stages, and how its way may end early."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mediad.model import Asset, ContentId, EncoderInfo, File, Stat
from mediad.store.work import Attempt, WorkItem


class Ended(Exception):
    """A job ends before its last stage. `retry_after` in seconds: try again then; None: not before it changes.

    `uncounted` is the attempt to write down when this is recorded: as it was before the try, which failed by our fault.
    """

    def __init__(
        self,
        why: str,
        *,
        retry_after: float | None = None,
        errno: int | None = None,
        uncounted: Attempt | None = None,
    ) -> None:
        super().__init__(why)
        self.uncounted = uncounted
        self.why = why
        self.retry_after = retry_after
        self.errno = errno


@dataclass(slots=True)
class Job:
    """One file on its way (or, with `item` None, one known asset that lacks its embedding)."""

    item: WorkItem | None = None
    file: File | None = None
    path: bytes = b""
    stat: Stat | None = None
    content_id: ContentId | None = None
    asset: Asset | None = None
    claimed: bool = False
    decoded_now: bool = False
    gif_seconds: float = 0.0
    inputs: npt.NDArray[np.uint8] = field(default_factory=lambda: np.empty((0, 0, 0, 3), np.uint8))
    encoder: EncoderInfo | None = None
    vectors: npt.NDArray[np.float32] | None = None
