"""Numbered sequences: the frames of a render among the files of one directory."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from mediad.analysis.framenames import Place, by_likelihood, says_frames

MIN_FRAMES = 3

_MOST_MISSING = 0.5  # share of the numbers in a run that may have no file
_SAME_STEP = 0.8  # share of the steps that must be alike for a run on every n-th frame
_LONGEST_STEP = 100

# Perceptual hash distances (of 64 bits) between neighbours. Unrelated photos lie at 28 to 32 in the median, photos of
# one subject at 12 to 30, frames of the renders seen at 2; a shaky or fast one at 10 to 16.
_STILL = 8
_RELATED = 24
_NEARER = 0.65  # neighbours must be this much nearer than frames far apart: photos of one subject are not
_FEW = 8  # with fewer frames "far apart" means nothing
_NEAR_FEW = 16
_HAND_NUMBERED = 10  # up to here, unpadded numbers on one and the same picture are its versions, not frames
_SAME_SIZE = 0.9
_SAME_SIZE_NAMED = 0.5


class Look(NamedTuple):
    """What a picture looks like: pixels and perceptual hash (16 hex digits, None where it has none)."""

    width: int
    height: int
    phash: str | None


@dataclass(frozen=True, slots=True)
class NumberedRun:
    """Frames in order. `pattern` is printf's (`shot_%04d.exr`, `%%` for a percent sign), as ffmpeg and Nuke take it.

    `before` and `after` are what the names share around the number. `missing` are the numbers between `first` and
    `last`, in steps of `step`, that have no file.
    """

    before: bytes
    after: bytes
    pattern: str
    first: int
    last: int
    step: int
    missing: tuple[int, ...]
    names: tuple[bytes, ...]


class _Family(NamedTuple):
    """What the names of one run share. `width` is 0 for numbers that are not padded."""

    before: bytes
    after: bytes
    width: int


def find_sequences(
    names: Iterable[bytes], evidence: Mapping[bytes, Look] | None = None, min_frames: int = MIN_FRAMES
) -> list[NumberedRun]:
    """Find the numbered sequences of one directory.

    A name may say by itself that it counts frames (`beauty.0001.exr`, `frame_0001.png`). One that does not
    (`image_0001.jpg`) is believed only when the pictures, as far as `evidence` holds them, are of one size and alike
    from frame to frame; without any evidence it is believed.

    Args:
        names: the file names of one directory, in any order.
        evidence: looks by name, for the files that were read. None: judge by names alone.
        min_frames: the least number of files of a sequence, at least 2.

    Returns:
        Runs sorted by pattern and first frame; no file is in two.
    """
    left = by_likelihood(sorted(set(names)))
    runs: list[NumberedRun] = []
    for rank in range(max(map(len, left.values()), default=0)):
        found = list(_runs_at(left, rank, min_frames))
        runs += found
        for run in found:
            for name in run.names:
                del left[name]
    believed = (run for run in runs if evidence is None or _is_believed(run, evidence))
    return sorted(believed, key=lambda run: (run.pattern, run.first))


def _runs_at(left: Mapping[bytes, list[Place]], rank: int, min_frames: int) -> Iterator[NumberedRun]:
    """The runs that the `rank`-th likeliest numbers of the names make."""
    groups: dict[tuple[bytes, bytes], list[tuple[Place, bytes]]] = defaultdict(list)
    for name, found in left.items():
        if rank < len(found):
            groups[found[rank].before, found[rank].after].append((found[rank], name))
    for (before, after), members in groups.items():
        if len(members) >= min_frames:
            for width, frames in _by_width(members).items():
                family = _Family(before, after, width or _common_width(frames))
                yield from _dense(family, frames, min_frames)


def _by_width(members: Sequence[tuple[Place, bytes]]) -> dict[int, dict[int, bytes]]:
    """Frames by the width that their numbers are padded to (0: not padded), then by number.

    A number without a leading zero belongs to the padding of its own width, or of a smaller one that it outgrew.
    """
    widths = sorted({place.width for place, _ in members if place.padded}, reverse=True)
    result: dict[int, dict[int, bytes]] = defaultdict(dict)
    for place, name in members:
        width = place.width if place.padded else next((width for width in widths if width <= place.width), 0)
        result[width][place.number] = name
    return result


def _common_width(frames: Iterable[int]) -> int:
    """The width of all the numbers if they have the same of several digits (1001, 1002, ...), else 0."""
    widths = {len(str(number)) for number in frames}
    return widths.pop() if len(widths) == 1 and min(widths) > 2 else 0


def _dense(family: _Family, frames: Mapping[int, bytes], min_frames: int) -> Iterator[NumberedRun]:
    """Cut `frames` at their widest gaps until every piece is dense; pieces that are too short are dropped."""
    pending = [sorted(frames)]
    while pending:
        numbers = pending.pop()
        if len(numbers) < min_frames:
            continue
        step = _step(numbers)
        expected = (numbers[-1] - numbers[0]) // step + 1
        if 1 - len(numbers) / expected <= _MOST_MISSING:
            yield _run(family, frames, numbers, step)
            continue
        # No dense run has a gap wider than its count, so all of those go at once (one by one would take the square).
        gaps = [after - before for before, after in pairwise(numbers)]
        widest = min(max(gaps), len(numbers) + 1) if step == 1 else max(gaps)
        cuts = [at + 1 for at, gap in enumerate(gaps) if gap >= widest]
        pending += [numbers[start:end] for start, end in pairwise([0, *cuts, len(numbers)])]


def _step(numbers: Sequence[int]) -> int:
    """Every how many numbers there is a frame: 1, or what nearly all neighbours differ by and all by a multiple of."""
    gaps = Counter(after - before for before, after in pairwise(numbers))
    step, count = gaps.most_common(1)[0]
    regular = step <= _LONGEST_STEP and count >= _SAME_STEP * gaps.total() and count >= MIN_FRAMES
    return step if regular and not any(gap % step for gap in gaps) else 1


def _run(family: _Family, frames: Mapping[int, bytes], numbers: Sequence[int], step: int) -> NumberedRun:
    missing = tuple(number for number in range(numbers[0], numbers[-1], step) if number not in frames)
    before, after = (part.decode(errors="replace").replace("%", "%%") for part in (family.before, family.after))
    verb = f"%0{family.width}d" if family.width else "%d"
    names = tuple(frames[number] for number in numbers)
    return NumberedRun(
        family.before, family.after, f"{before}{verb}{after}", numbers[0], numbers[-1], step, missing, names
    )


def _is_believed(run: NumberedRun, evidence: Mapping[bytes, Look]) -> bool:
    """Whether what is known of the pictures fits frames of one render; medians, so that a cut does not refuse it."""
    looks = [evidence.get(name) for name in run.names]
    named = says_frames(run.before, run.after)
    sizes = Counter((look.width, look.height) for look in looks if look is not None)
    same_size = max(sizes.values(), default=0) / max(sizes.total(), 1)
    near = _distances(looks, 1)
    if named:
        unlike = len(near) >= MIN_FRAMES - 1 and same_size < _SAME_SIZE_NAMED and median(near) > _RELATED
        return not unlike
    if same_size < _SAME_SIZE or len(near) < max(MIN_FRAMES - 1, (len(looks) - 1) / 2):
        return False
    if len(looks) < _HAND_NUMBERED and "%d" in run.pattern and median(near) == 0:
        return False
    return _follow(median(near), _distances(looks, len(looks) // 2))


def _follow(near: float, far: Sequence[int]) -> bool:
    """Whether pictures follow each other; `near` is the median distance of neighbours, `far` are wider distances."""
    if near <= _STILL:
        return True
    if len(far) < _FEW // 2:
        return near <= _NEAR_FEW
    return near <= _RELATED and near <= _NEARER * median(far)


def _distances(looks: Sequence[Look | None], apart: int) -> list[int]:
    """Hash distances of the pictures that stand `apart` places from each other, where both are known."""
    hashes = [int(look.phash, 16) if look is not None and look.phash else None for look in looks]
    return [
        (one ^ other).bit_count()
        for one, other in zip(hashes, hashes[apart:], strict=False)
        if one is not None and other is not None
    ]
