from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import orjson
import pytest
import torch
from tests.encoders.conftest import pictures

from mediad.encoders.precision import Measured, candidates, fastest
from mediad.encoders.tower import Format, Tower

CPU = torch.device("cpu")


class Fake(torch.nn.Module):
    """Slow in float32; in bfloat16 fast, and as wrong as asked."""

    def __init__(self, error: float) -> None:
        super().__init__()
        self.mix = torch.nn.Linear(3 * 8 * 8, 16)
        self.error = error

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        rows = torch.nn.functional.linear(
            pixels.float().reshape(len(pixels), -1), self.mix.weight.float(), self.mix.bias.float()
        )
        if pixels.dtype is torch.float32:
            time.sleep(0.02)
            return rows
        wrong: torch.Tensor = rows + self.error * rows.norm(dim=1, keepdim=True) * torch.eye(16)[0]
        return wrong


def tower(error: float) -> Tower:
    torch.manual_seed(0)
    return Tower(Fake(error).eval(), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), 8, Format(CPU))


@pytest.mark.parametrize(("error", "kept"), [(0.0, True), (0.2, False), (float("nan"), False)])
def test_a_fast_format_is_kept_only_if_it_agrees(error: float, kept: bool) -> None:
    chosen, report = fastest(tower(error), pictures(16, 8))
    assert (chosen.format.dtype is torch.bfloat16) is kept
    assert report["cpu-bf16"]["per_second"] > report["cpu-fp32"]["per_second"]
    assert (report["cpu-bf16"]["least_cosine"] >= 0.999) is kept


def test_measured_on_the_first_16_real_pictures_and_remembered(tmp_path: Path) -> None:
    state = tmp_path / "precision.json"
    first = Measured(tower(0.0), "model:1", state)
    for i in range(15):
        first.encode(pictures(1, 8, seed=i))
    assert not state.exists()
    assert first.backend == "cpu-fp32"
    first.encode(pictures(1, 8, seed=15))
    assert first.backend == "cpu-bf16"
    written = state.read_bytes()
    again = Measured(tower(0.0), "model:1", state)
    assert again.backend == "cpu-bf16", "known before the first picture"
    again.encode(pictures(16, 8))
    assert state.read_bytes() == written
    assert Measured(tower(0.0), "model:2", state).backend == "cpu-fp32", "another model is measured for itself"


def test_a_damaged_state_file_is_measured_again(tmp_path: Path) -> None:
    state = tmp_path / "precision.json"
    state.write_bytes(b"{ half")
    Measured(tower(0.0), "model:1", state).encode(pictures(16, 8))
    assert [row["format"] for row in orjson.loads(state.read_bytes()).values()] == ["cpu-bf16"]


def test_larger_pictures_are_cut_to_their_middle() -> None:
    large = pictures(2, 12)
    assert np.allclose(tower(0.0).encode(large), tower(0.0).encode(large[:, 2:10, 2:10]))


def test_the_reference_comes_first() -> None:
    assert candidates(CPU)[0] == Format(CPU)
    assert candidates(torch.device("cuda"))[0].dtype is torch.float32
