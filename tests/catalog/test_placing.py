"""Every image in exactly one place, whatever the groups say: they may be older than the files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Shelf = Any  # of conftest.py

FILES = 12
contents = st.integers(0, 7).map(lambda number: b"content %d" % number)
places = st.tuples(st.sampled_from([b"", b"a/", b"b/"]), st.integers(0, FILES - 1)).map(lambda p: b"%b%d" % p)
files = st.dictionaries(places, contents, max_size=FILES)
groups = st.lists(st.lists(contents, min_size=1, max_size=6, unique=True), max_size=4)
runs = st.lists(st.lists(st.integers(0, FILES - 1), min_size=1, max_size=5, unique=True), max_size=3)


@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=files,
    clusters=groups,
    sequences=runs,
    standing=contents,
    gone=st.sets(st.integers(0, FILES - 1), max_size=4),
    videos=st.sets(contents, max_size=2),
)
def test_every_image_stands_exactly_once(
    new_shelf: Callable[..., Shelf],
    video: dict[str, Any],
    cid: Callable[[bytes], bytes],
    files: dict[bytes, bytes],
    clusters: list[list[bytes]],
    sequences: list[list[int]],
    standing: bytes,
    gone: set[int],
    videos: set[bytes],
) -> None:
    shelf = new_shelf()
    put = [shelf.put(path, content, **(video if content in videos else {})) for path, content in files.items()]
    for number, members in enumerate(clusters):
        shelf.cluster(f"k{number}", *members)
    for number, run in enumerate(sequences):
        chosen = [put[at] for at in run if at < len(put)]
        if chosen:
            shelf.sequence(f"s{number}", chosen, representative=cid(standing))
    left = [file for at, file in enumerate(put) if at not in gone]
    for file in put:
        if file not in left:
            shelf.change(file, missing_since=1.0)
    document = shelf.read()  # with all checks of conftest.py
    listed = [file for group in document["sequences"] + document["clusters"] for file in group["files"]]
    listed += document["unclustered"] + [one["metadata"] for one in document["videos"]]
    assert {file["id"] for file in listed} == {file.id for file in left}
    copies: dict[bytes, set[str]] = {}
    for file in left:
        copies.setdefault(file.content_id, set()).add(file.id)
    groups = [{one["id"] for one in group["files"]} for group in document["duplicates"]]
    assert sorted(map(sorted, groups)) == sorted(sorted(ids) for ids in copies.values() if len(ids) > 1)
    shelf.store.close()
