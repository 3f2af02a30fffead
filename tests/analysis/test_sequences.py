"""Numbered sequences: renders found, camera rolls apart, pictures as evidence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import imagehash
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from mediad.analysis.sequences import Look, NumberedRun, find_sequences

Summary = tuple[str, int, int, int]


def numbered(pattern: str, numbers: range | list[int]) -> list[bytes]:
    return [(pattern % number).encode() for number in numbers]


def summaries(runs: list[NumberedRun]) -> list[Summary]:
    return [(run.pattern, run.first, run.last, len(run.names)) for run in runs]


def look(picture: Image.Image) -> Look:
    return Look(*picture.size, str(imagehash.phash(picture.convert("RGB"))))


def looks_of(folder: Path) -> dict[bytes, Look]:
    result = {}
    for path in folder.iterdir():
        with Image.open(path) as picture:
            result[path.name.encode()] = look(picture)
    return result


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (numbered("beauty.%04d.exr", range(1001, 1011)), [("beauty.%04d.exr", 1001, 1010, 10)]),
        (numbered("%05d.jpg", range(90)), [("%05d.jpg", 0, 89, 90)]),
        (numbered("%d.png", range(1, 1200)), [("%d.png", 1, 1199, 1199)]),
        (numbered("a_100_%d.png", range(1, 150)), [("a_100_%d.png", 1, 149, 149)]),
        (numbered("f_%03d.png", range(95, 1010)), [("f_%03d.png", 95, 1009, 915)]),
        (numbered("shot-%04d.exr", range(1, 5)), [("shot-%04d.exr", 1, 4, 4)]),
        (numbered("b.%04d.exr", range(1, 100, 10)), [("b.%04d.exr", 1, 91, 10)]),
        (
            numbered("shot_010_f%04d.exr", range(1, 6)) + numbered("shot_020_f%04d.exr", range(3, 6)),
            [("shot_010_f%04d.exr", 1, 5, 5), ("shot_020_f%04d.exr", 3, 5, 3)],
        ),
        (
            numbered("shot_v001.%04d.exr", range(1, 4)) + numbered("shot_v002.%04d.exr", range(1, 4)),
            [("shot_v001.%04d.exr", 1, 3, 3), ("shot_v002.%04d.exr", 1, 3, 3)],
        ),
        (
            [f"f{frame:04d}_L{layer}.png".encode() for frame in range(4) for layer in (1, 2, 3)],
            [("f%04d_L1.png", 0, 3, 4), ("f%04d_L2.png", 0, 3, 4), ("f%04d_L3.png", 0, 3, 4)],
        ),
        (
            numbered("b.%04d.exr", range(1, 11)) + numbered("b.%04d.exr", range(1001, 1011)),
            [("b.%04d.exr", 1, 10, 10), ("b.%04d.exr", 1001, 1010, 10)],
        ),
        ([b"x.-0002.exr", b"x.-0001.exr", b"x.0000.exr", b"x.0001.exr"], [("x.%04d.exr", -2, 1, 4)]),
        (numbered("100%%_%03d.png", range(1, 4)), [("100%%_%03d.png", 1, 3, 3)]),
        (numbered("FRM_%04d.JPG", range(9)), [("FRM_%04d.JPG", 0, 8, 9)]),
        (numbered("render_20210304_%04d.png", range(9)), [("render_20210304_%04d.png", 0, 8, 9)]),
        (numbered("f.%04d.exr", range(2)), []),
        ([b"a1.png", b"a500.png", b"a9000.png"], []),
        ([b"frame_001.png", b"frame_002.jpg", b"frame_003.gif"], []),
    ],
)
def test_what_names_say(names: list[bytes], expected: list[Summary]) -> None:
    assert summaries(find_sequences(reversed(names))) == expected


def test_gaps_are_reported() -> None:
    (run,) = find_sequences(numbered("s_%03d.png", [1, 2, 4, 7, 8]))
    assert (run.first, run.last, run.missing) == (1, 8, (3, 5, 6))
    assert run.names == tuple(numbered("s_%03d.png", [1, 2, 4, 7, 8]))
    (run,) = find_sequences(numbered("s.%04d.exr", [1, 11, 21, 31, 51, 61, 71]))
    assert (run.step, run.missing) == (10, (41,))


@pytest.mark.parametrize(
    "pattern",
    """DSC%05d.JPG|IMG_%04d.JPG|img_%04d.jpg|IMG_%04d.PNG|IMG_%d.HEIC|IMG_%04d-edited.jpg|DSCN%04d.JPG|P101%04d.JPG
    _MG_%04d.CR2|100_%04d.JPG|ABC_%04d.JPG|DJI_%04d.JPG|GOPR%04d.JPG|G001%04d.JPG|CAM%05d.jpg|MVI_%04d.MOV
    PXL_20210304_1213%02d123.jpg|IMG-20210304-WA%04d.jpg|IMG_20210304_1213%02d_HDR.jpg|20210304_1213%02d.jpg
    20210304_%04d.jpg|2021-03-04 12.13.%02d.jpg|WhatsApp Image 2021-03-04 at 12.13.%02d.jpeg|Scan %d.jpg|scan_%03d.png
    Screenshot_20210304-1213%02d.png|Screenshot 2021-03-04 at 12.13.%02d.png|image (%d).jpg|photo %d.jpg|Bild %d.jpg
    202103%02d.png|comp_v%d.png|shot_v%03d.exr|1614860000%03d.jpg""".replace("\n    ", "|").split("|"),
)
def test_camera_rolls_and_versions_stay_apart(pattern: str) -> None:
    assert find_sequences(numbered(pattern, range(10, 31))) == []


@given(
    start=st.integers(0, 2000),
    count=st.integers(3, 40),
    width=st.integers(1, 6),
    before=st.sampled_from(["frame_", "a.b.", "", "sh010_v002_", "été_", "%s "]),
    after=st.sampled_from([".png", ".exr", "_left.jpg", ""]),
    gaps=st.sets(st.integers(1, 38), max_size=3),
)
def test_any_render_is_found_whole(start: int, count: int, width: int, before: str, after: str, gaps: set[int]) -> None:
    numbers = [start + at for at in range(count) if at not in gaps or at == count - 1]
    if 2 * len(numbers) < count or len(numbers) < 5:
        numbers = list(range(start, start + count))
    names = [f"{before}{number:0{width}d}{after}".encode() for number in numbers]
    (run,) = find_sequences(names)
    assert run.names == tuple(names)
    assert [run.pattern % number for number in numbers] == [name.decode() for name in names]
    assert sorted([*numbers, *run.missing]) == list(range(run.first, run.last + 1, run.step))


@given(st.lists(st.from_regex(rb"\A[aI_.\-]{0,3}[0-9]{1,4}[_v.]{0,2}[0-9]{0,3}\.(png|exr|JPG)\Z"), max_size=40))
def test_no_file_is_in_two_runs_and_order_does_not_matter(names: list[bytes]) -> None:
    runs = find_sequences(names)
    members = [name for run in runs for name in run.names]
    assert len(members) == len(set(members))
    assert set(members) <= set(names)
    assert find_sequences(reversed(names)) == runs
    for run in runs:
        assert len(run.names) >= 3
        assert len(run.missing) <= len(run.names)


def _square(at: int) -> Image.Image:
    picture = Image.new("RGB", (160, 90), (30, 60, 90))
    ImageDraw.Draw(picture).rectangle((5 * at, 20, 5 * at + 30, 60), fill=(250, 200, 20))
    return picture


def _noise(at: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(at).integers(0, 256, (90, 160, 3), dtype=np.uint8))


def _cut(at: int) -> Image.Image:
    return _square(at) if at < 12 else _square(at).rotate(90).resize((160, 90))


@pytest.mark.parametrize(
    ("draw", "believed"),
    [(_square, True), (_cut, True), (lambda at: _square(3), True), (_noise, False)],
    ids=["moving", "with a cut", "still", "unrelated"],
)
def test_pictures_are_evidence_for_names_that_say_nothing(draw: Callable[[int], Image.Image], believed: bool) -> None:
    evidence = {b"out%04d.png" % at: look(draw(at)) for at in range(24)}
    assert bool(find_sequences(evidence, evidence)) is believed
    assert find_sequences(evidence), "without evidence the name is believed"


def test_a_name_that_says_frames_needs_no_proof() -> None:
    evidence = {b"frame_%04d.png" % at: look(_noise(at)) for at in range(6)}
    assert len(find_sequences(evidence, evidence)) == 1


def test_a_doubtful_name_waits_until_enough_was_read() -> None:
    names = numbered("out%04d.png", range(24))
    evidence = {name: look(_square(at)) for at, name in enumerate(names)}
    assert find_sequences(names, dict(list(evidence.items())[:5])) == []
    assert len(find_sequences(names, dict(list(evidence.items())[:20]))) == 1


def test_sizes_that_differ_refuse_a_doubtful_name() -> None:
    evidence = {b"out%04d.png" % at: look(_square(3).resize((160 + at, 90))) for at in range(24)}
    assert find_sequences(evidence, evidence) == []


def test_versions_of_one_picture_are_no_sequence() -> None:
    evidence = {b"Landscape_%d.jpg" % at: look(_square(3)) for at in range(9)}
    assert find_sequences(evidence, evidence) == []


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("beachball", ("singlepart.%04d.exr", 1, 3, 3)),
        ("bedroom", ("%05d.jpg", 0, 89, 90)),
        ("sintel", ("frame_%04d.png", 16, 25, 10)),
    ],
)
def test_real_renders_are_found(shared: Path, folder: str, expected: Summary) -> None:
    path = shared / "media" / "sequence" / folder
    names = [file.name.encode() for file in path.iterdir()]
    evidence = looks_of(path) if folder != "beachball" else {}
    assert summaries(find_sequences(names, evidence)) == [expected]


def test_no_folder_of_photos_is_a_render(shared: Path) -> None:
    folders = sorted((shared / "media" / "labelled").iterdir())
    assert folders
    for folder in folders:
        evidence = looks_of(folder)
        assert find_sequences(evidence), "the names alone look like frames"
        assert find_sequences(evidence, evidence) == [], folder.name
