"""What all tests share: the folder of real media and the small real model, where they are at hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real test data beside the checkout; the test is skipped where there is none."""
    if not (SHARED / "media" / "MANIFEST.tsv").exists():
        pytest.skip("needs the folder of real test data beside the checkout (../shared)")
    return SHARED


@pytest.fixture(scope="session")
def mini_clip(shared: Path) -> str:
    """The encoder setting of the small real open_clip model."""
    model = shared / "models"
    return f"open_clip:{model / 'mini-clip.json'}:{model / 'mini-clip.pt'}"


@pytest.fixture(autouse=True)
def _log_of_its_own() -> Iterator[None]:
    """A test that configures the log leaves it to no other: its stream is closed by then."""
    yield
    structlog.reset_defaults()
