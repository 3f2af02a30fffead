"""The stages of ingest, in order, once. Each takes a job and fills in more of it; who runs them is `pipeline`.

A stage ends a job early by raising `Ended`: the file is gone, must be tried again later, or is quarantined.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import structlog

from mediad.channel import ChildError
from mediad.ingest.job import Ended, Job
from mediad.ingest.previews import Previews
from mediad.ingest.record import record
from mediad.ingest.scan import compare
from mediad.media.decoder import DECODER_BUILD, DECODER_VERSION, Decoded, Decoder, DecodeSpec, FileChanged, Undecodable
from mediad.model import Asset, EncoderInfo, Frame, InputSpec, VolumeId
from mediad.store import Store
from mediad.store.work import Attempt

log = structlog.get_logger()

_FIRST_RETRY = 2.0
_LAST_RETRY = 3600.0
_LAST_CHANGED_RETRY = 60.0


@dataclass(frozen=True)
class Context:
    """What the stages need of their surroundings.

    `root_of` gives a volume's root while it is online, None while it is away; `encoder` the encoder that is being
    filled, or None while none works; `spec` how to decode for an encoder's input (None: for no encoder); `follows`
    whether symbolic links of a volume are followed; `proven` whether a volume is healthy at this moment; `held`
    whether nothing may be begun now, for want of room; `refused` is told what of our own could not be written.
    """

    store: Store
    previews: Previews
    root_of: Callable[[VolumeId], bytes | None]
    encoder: Callable[[], EncoderInfo | None]
    spec: Callable[[InputSpec | None], DecodeSpec]
    follows: Callable[[VolumeId], bool]
    proven: Callable[[VolumeId], bool]
    held: Callable[[], bool]
    refused: Callable[[OSError], None]
    max_attempts: int = 2


def read(context: Context, job: Job, decoder: Decoder) -> None:
    """Hash the file: its content id, and proof (the stat before and after) that the hash is of one state."""
    if job.item is None:
        return  # a known asset that only lacks its vector
    assert job.file is not None
    try:
        result = decoder.read(job.path, follow=context.follows(job.file.volume), size=job.file.stat.size)
    except FileChanged:
        raise _changed(job) from None
    except (FileNotFoundError, NotADirectoryError):
        raise Ended("it is gone") from None
    except OSError as error:
        text = error.strerror or str(error)
        raise Ended(text, retry_after=_back_off(job), errno=error.errno) from error
    except ChildError as error:
        raise Ended(f"reading it failed: {error}", retry_after=_back_off(job)) from error
    job.content_id, job.stat = result.content_id, result.stat


def preview(context: Context, job: Job, decoder: Decoder) -> None:
    """Decode, once for each content: metadata, hashes, scores, the encoder's input and the previews, kept durably."""
    content_id = job.content_id
    assert content_id is not None
    job.encoder = context.encoder()
    with context.store.read() as tx:
        known = tx.assets.get(content_id)
        attempt = tx.attempts.get(content_id, DECODER_BUILD)
        embedded = job.encoder is not None and tx.vectors.has(job.encoder.id, content_id)
    if known is not None and known.decoder == DECODER_VERSION and (known.preview is None or _whole(context, known)):
        job.asset = known
        if embedded or _inputs_from_previews(context, job, decoder):
            return
    if job.item is None:
        raise Ended("its previews are lost; it must be decoded again", retry_after=0.0)
    if 0 < attempt.count < context.max_attempts and not job.item.tries:
        why = attempt.reason or "decoding it was begun before, and did not end"
        raise Ended(why, retry_after=0.0)  # a copy of what failed, or what we were killed over: behind all others
    _count_attempt(context, attempt)
    decoded = _decode(context, job, decoder, attempt)
    try:
        job.asset = _keep_previews(context.previews, decoded)
    except OSError as error:  # our own disk is full, or fails
        context.refused(error)
        attempt.count -= 1
        text = f"its previews cannot be written: {error.strerror}"
        raise Ended(text, retry_after=_FIRST_RETRY, uncounted=attempt) from error
    job.inputs = decoded.inputs[:0] if embedded else decoded.inputs
    job.gif_seconds = decoded.gif_seconds
    job.decoded_now = True


def _whole(context: Context, asset: Asset) -> bool:
    names = [asset.preview, asset.preview_gif, *(frame.preview for frame in asset.frames)]
    return all(context.previews.exists(name) for name in names if name)


def _inputs_from_previews(context: Context, job: Job, decoder: Decoder) -> bool:
    """The encoder's input from what is kept of an asset, with no look at the original; whether that worked."""
    if job.encoder is None or job.asset is None:
        return True
    names = [frame.preview for frame in job.asset.frames] or [job.asset.preview]
    pictures = [context.previews.get(name) for name in names if name]
    if not pictures or any(picture is None for picture in pictures):
        return False
    try:
        spec = job.encoder.input
        job.inputs = np.concatenate([decoder.inputs_from_preview(data, spec) for data in pictures if data])
    except (Undecodable, ChildError) as error:
        if isinstance(error, ChildError) and error.ours:
            raise Ended(str(error), retry_after=_FIRST_RETRY) from error
        log.warning("preview is damaged", asset=job.asset.content_id.hex(), reason=str(error))
        return False
    return True


def _count_attempt(context: Context, attempt: Attempt) -> None:
    """Before the try: whatever kills us, the next start knows that this was tried."""
    if attempt.quarantined:
        raise Ended(attempt.reason or "quarantined")
    if attempt.count >= context.max_attempts:
        _quarantine(context, attempt, attempt.reason or "the whole daemon ended while it was decoded")
    attempt.count += 1
    with context.store.write() as tx:
        tx.attempts.put(attempt)


def _decode(context: Context, job: Job, decoder: Decoder, attempt: Attempt) -> Decoded:
    try:
        return decoder.decode(context.spec(job.encoder.input if job.encoder else None))
    except FileChanged:
        _give_back(context, attempt)
        raise _changed(job) from None
    except Undecodable as error:
        _quarantine(context, attempt, str(error))
    except OSError as error:
        _give_back(context, attempt)  # the drive failed, not the file
        text = error.strerror or str(error)
        raise Ended(text, retry_after=_back_off(job), errno=error.errno) from error
    except ChildError as error:
        if error.ours:
            _give_back(context, attempt)
            raise Ended(str(error), retry_after=_back_off(job)) from error
        if attempt.count >= context.max_attempts:
            _quarantine(context, attempt, str(error))
        attempt.reason = str(error)
        with context.store.write() as tx:
            tx.attempts.put(attempt)
        raise Ended(str(error), retry_after=_FIRST_RETRY) from error
    raise AssertionError("unreachable")


def _give_back(context: Context, attempt: Attempt) -> None:
    """The try ended for reasons that are not the content's: it does not count."""
    attempt.count -= 1
    with context.store.write() as tx:
        tx.attempts.put(attempt)


def _quarantine(context: Context, attempt: Attempt, why: str) -> None:
    attempt.quarantined, attempt.reason = True, why
    with context.store.write() as tx:
        tx.attempts.put(attempt)
    raise Ended(why)


def _keep_previews(previews: Previews, decoded: Decoded) -> Asset:
    asset = decoded.asset
    version, content_id = DECODER_VERSION, asset.content_id
    if decoded.preview is not None:
        name = previews.name(content_id, version, decoded.preview_suffix)
        asset.preview = previews.put(name, decoded.preview)
    if decoded.gif is not None:
        asset.preview_gif = previews.put(previews.name(content_id, version, ".gif"), decoded.gif)
    asset.frames = tuple(
        Frame(
            frame.seconds,
            previews.put(previews.name(content_id, version, f"-k{number}{decoded.preview_suffix}"), frame.preview),
        )
        for number, frame in enumerate(decoded.frames)
    )
    return asset


def embed(jobs: list[Job], encode: Callable[[EncoderInfo, npt.NDArray[np.uint8]], npt.NDArray[np.float32]]) -> None:
    """Encode a batch formed across files for one encoder. A video's own is the normalized mean of its keyframes'."""
    counts = [len(job.inputs) for job in jobs]
    encoder = jobs[0].encoder
    assert encoder is not None
    vectors = encode(encoder, np.concatenate([job.inputs for job in jobs]))
    for job, own in zip(jobs, np.split(vectors, np.cumsum(counts)[:-1]), strict=True):
        mean = own.mean(axis=0, keepdims=True)
        mean /= max(float(np.linalg.norm(mean)), 1e-12)
        is_video = job.asset is not None and bool(job.asset.frames)
        job.vectors = np.concatenate([mean, own]) if is_video else mean
        job.inputs = np.empty((0, 0, 0, 3), np.uint8)


def _changed(job: Job) -> Ended:
    return Ended("it changed while it was read", retry_after=min(_back_off(job), _LAST_CHANGED_RETRY))


def _back_off(job: Job) -> float:
    tries = job.item.tries if job.item else 0
    return min(_FIRST_RETRY * 2.0**tries, _LAST_RETRY)


@dataclass(frozen=True)
class Stage:
    """A step of ingest. `runs_in`: the volume's own loop, a reader thread, the embedder or the recorder."""

    name: str
    runs_in: str
    run: Callable[..., object]


STAGES = (
    Stage("scan", "volume", compare),
    Stage("read", "reader", read),
    Stage("preview", "reader", preview),
    Stage("embed", "embedder", embed),
    Stage("record", "recorder", record),
)
