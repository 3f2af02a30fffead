"""An image tower: a torch module and how it wants its pixels normalised. For encoder processes only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Format:
    """How a module computes: on which device and in which type."""

    device: torch.device
    dtype: torch.dtype = torch.float32

    @property
    def name(self) -> str:
        """For people and state files: "cpu-fp32", "cpu-bf16", "cuda-fp16"."""
        dtype = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}[self.dtype]
        return f"{self.device.type}-{dtype}"

    @property
    def layout(self) -> torch.memory_format:
        """What oneDNN and cuDNN compute in: twice as fast for MobileNetV2, no slower for a vision transformer."""
        return torch.contiguous_format if self.device.type == "mps" else torch.channels_last

    def convert(self, module: torch.nn.Module) -> torch.nn.Module:
        """The module itself, changed to compute like this."""
        return module.to(device=self.device, dtype=self.dtype).to(memory_format=self.layout)


@dataclass(slots=True)
class Tower:
    """`module` maps (n, 3, size, size) to (n, d). `mean` and `std` are of channels in 0..1.

    `size` is what the module sees: the middle of the picture, where the picture comes larger.
    """

    module: torch.nn.Module
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int
    format: Format

    def encode(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Unit vectors, float32 (n, d), of pictures, uint8 (n, h, w, 3)."""
        with torch.inference_mode():
            return unit(self.module(self._prepared(pictures)))

    def _prepared(self, pictures: NDArray[np.uint8]) -> torch.Tensor:
        top, left = ((side - self.size) // 2 for side in pictures.shape[1:3])
        middle = pictures[:, top : top + self.size, left : left + self.size]
        pixels = torch.from_numpy(np.ascontiguousarray(middle)).to(self.format.device).permute(0, 3, 1, 2).float()
        mean, std = (255 * torch.tensor(x, device=self.format.device).view(3, 1, 1) for x in (self.mean, self.std))
        return ((pixels - mean) / std).to(self.format.dtype).contiguous(memory_format=self.format.layout)


def unit(vectors: torch.Tensor) -> NDArray[np.float32]:
    """Rows of length 1, as float32 in main memory."""
    rows: NDArray[np.float32] = torch.nn.functional.normalize(vectors.float(), dim=-1).cpu().numpy()
    return rows
