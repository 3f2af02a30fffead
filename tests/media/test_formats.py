from __future__ import annotations

import subprocess
import sys

import pytest

from mediad.media.formats import extra_for, how_to_get, kind_of
from mediad.model import Kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (b"a.jpg", Kind.IMAGE),
        (b"/x.mp4/b.JPEG", Kind.IMAGE),
        (b"shot.0001.exr", Kind.IMAGE),
        (b"a.HEIC", Kind.IMAGE),
        (b"a.cr3", Kind.IMAGE),
        (b"\xff\xfe.png", Kind.IMAGE),
        (b"clip.MOV", Kind.VIDEO),
        (b"a.m2ts", Kind.VIDEO),
        (b".jpg", None),
        (b"jpg", None),
        (b"dir.jpg/file", None),
        (b"a.jp\xe9g", None),
        (b"a.txt", None),
        (b"", None),
    ],
)
def test_kind_by_suffix(name: bytes, kind: Kind | None) -> None:
    assert kind_of(name) is kind


def test_extras_say_how_to_get_them() -> None:
    assert extra_for(b"a.heif") == "heic"
    assert extra_for(b"a.NEF") == "raw"
    assert extra_for(b"a.jpg") is None
    assert "pip install 'mediad[raw]'" in how_to_get("raw")


def test_the_daemons_side_imports_no_decoder() -> None:
    code = (
        "import sys, mediad.media.decoder, mediad.media.formats, mediad.media.sidecar\n"
        "print([m for m in ('PIL', 'av', 'cv2', 'scipy', 'imagehash', 'torch') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
