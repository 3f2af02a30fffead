"""Which encoder fills and which one serves: a change of encoder never costs the search that is there.

Vectors of different encoders cannot be compared, so each encoder has a space of its own. `filling` gets the vectors of
what is read now; `serving` answers queries. They are the same until the setting changes: then the new space is filled
beside the old one, from previews, and serves once it is complete.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import structlog

from mediad.channel import ChildError
from mediad.encoders.client import Encoder, EncoderError, TextUnsupported
from mediad.encoders.weights import WeightsUnavailable, resolve
from mediad.model import ContentId, EncoderInfo
from mediad.store import Store

log = structlog.get_logger()

_SERVING = "serving_encoder"
_LEFT = "left_spaces"  # in meta: encoder id -> wall time since which it does not serve


class Spaces:
    """The encoders in use. Thread-safe. `problem` says in words why the wanted encoder is not the one in use."""

    def __init__(self, store: Store, make_encoder: Callable[[str], Encoder], weights: Path) -> None:
        self._store = store
        self._make = make_encoder
        self._weights = weights
        self._encoders: dict[str, Encoder] = {}
        self._lock = threading.Lock()
        self.setting = ""
        self.problem: str | None = None
        self.filling: EncoderInfo | None = None
        self.serving: EncoderInfo | None = self._stored_serving()

    def _stored_serving(self) -> EncoderInfo | None:
        with self._store.read() as tx:
            wanted = tx.meta.get(_SERVING)
            return next((info for info in tx.vectors.spaces() if info.id == wanted), None)

    def configure(self, setting: str) -> bool:
        """Take the encoder that the configuration names (it may take the time to start it once).

        Returns whether another encoder is being filled now than before.
        """
        self.setting = setting
        before = self.filling
        try:
            resolved = resolve(setting, self._weights)
            info = self._encoder(resolved.spec).info()
        except (WeightsUnavailable, EncoderError, ChildError, ValueError) as error:
            self.problem = str(error)
            log.error("no encoder", setting=setting, reason=str(error))
            return False
        self.problem = resolved.reason
        if resolved.reason:
            log.warning("encoder", using=resolved.spec, reason=resolved.reason)
        with self._store.write() as tx:
            if info not in tx.vectors.spaces():
                tx.vectors.add_space(info)
        self.filling = info
        if self.serving is None:
            self._serve(info)
        return before is None or before.id != info.id

    @property
    def changing(self) -> bool:
        """Whether a space is filled that does not serve yet."""
        filling, serving = self.filling, self.serving
        return filling is not None and serving is not None and filling.id != serving.id

    def _encoder(self, spec: str) -> Encoder:
        with self._lock:
            if spec not in self._encoders:
                self._encoders[spec] = self._make(spec)
            return self._encoders[spec]

    def encode_images(self, info: EncoderInfo, inputs: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Vectors of this encoder, whichever is filled by now: uint8 (n, h, w, 3) to unit float32 (n, d).

        Raises:
            EncoderError: it is not the same encoder any more (its weights were exchanged), or it failed.
        """
        encoder = self._encoder(info.spec)
        if encoder.info().id != info.id:
            raise EncoderError(f"the weights of {info.spec} were exchanged while it worked")
        return encoder.encode_images(inputs)

    def encode_query_images(self, serving: EncoderInfo, inputs: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """The same, in the space that served when the query came."""
        return self._encoder(serving.spec).encode_images(inputs)

    def encode_text(self, serving: EncoderInfo, text: str) -> npt.NDArray[np.float32]:
        """One unit vector of shape (d,) in the space that served when the query came.

        Raises:
            TextUnsupported: its encoder knows no text.
        """
        if not serving.text:
            raise TextUnsupported(
                f"the encoder in use ({serving.spec}) cannot search by text: "
                'set encoder = "auto" or an open_clip model, and pull its weights with `mediad models pull`'
            )
        vectors: npt.NDArray[np.float32] = self._encoder(serving.spec).encode_text([text])[0]
        return vectors

    def serving_or_raise(self) -> EncoderInfo:
        """The encoder that answers queries; EncoderError says why there is none."""
        if self.serving is None:
            raise EncoderError(self.problem or "no encoder is ready yet")
        return self.serving

    def lacking(self) -> list[ContentId]:
        """Assets without a vector in the space that is being filled: a merge of two sorted lists of keys."""
        if self.filling is None:
            return []
        with self._store.read() as tx:
            have = iter(tx.vectors.ids(self.filling.id))
            current = next(have, None)
            missing: list[ContentId] = []
            for content_id in tx.assets.ids():
                while current is not None and current < content_id:
                    current = next(have, None)
                if current != content_id:
                    missing.append(content_id)
        return missing

    def complete(self) -> bool:
        """Let the filled space serve, if it does not yet; call when nothing can be added to it. Whether it changed.

        The space before is kept for a while (`forget_left`): whoever goes back to it, or finds the weights again for
        which this one stands in, need not pay for its vectors twice.
        """
        old, new = self.serving, self.filling
        if old is None or new is None or old.id == new.id:
            return False
        self._serve(new)
        log.info("encoder changed over", now=new.id, before=old.id)
        return True

    def _serve(self, info: EncoderInfo) -> None:
        with self._store.write() as tx:
            tx.meta.put(_SERVING, info.id)
            left = {space.id: time.time() for space in tx.vectors.spaces()} | (tx.meta.get(_LEFT) or {})
            left.pop(info.id, None)
            tx.meta.put(_LEFT, left)
        self.serving = info

    def forget_left(self, retention: float) -> int:
        """Drop spaces that have not served for so many seconds; how many vectors went."""
        used = {info.id for info in (self.serving, self.filling) if info is not None}
        with self._store.read() as tx:
            left: dict[str, float] = tx.meta.get(_LEFT) or {}
        old = [space for space, since in left.items() if space not in used and time.time() - since > retention]
        dropped = 0
        for space in old:
            with self._store.write() as tx:
                dropped += tx.vectors.drop_space(space)
                tx.meta.put(_LEFT, {name: since for name, since in (tx.meta.get(_LEFT) or {}).items() if name != space})
        if old:
            log.info("vectors of former encoders forgotten", spaces=old, vectors=dropped)
        return dropped

    def stop_idle(self, seconds: float) -> None:
        with self._lock:
            idle = [encoder for encoder in self._encoders.values() if encoder.idle_seconds > seconds]
        for encoder in idle:
            encoder.stop()

    def stop(self) -> None:
        with self._lock:
            encoders = list(self._encoders.values())
        for encoder in encoders:
            encoder.stop()
