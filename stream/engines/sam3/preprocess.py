"""Decoded frames as the model's input: the whole picture squashed to a square, RGB, -1..1 (mean = std = 0.5)."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import torch
from torch import Tensor

from kernels.colour import Nv12
from kernels.images import nv12_to_model
from stream.types import Frame


class Preprocessor:
    """For frames in host memory. On a GPU the planes are uploaded and one kernel makes the picture; without CuPy, which
    launches it, the host makes the picture and it is uploaded."""

    def __init__(self, side: int, *, device: torch.device, dtype: torch.dtype) -> None:
        self._side = side
        self._device = device
        self._dtype = dtype
        self._kernel = device.type == "cuda" and importlib.util.find_spec("cupy") is not None

    def __call__(self, frames: Sequence[Frame]) -> Tensor:
        """`(B, 3, side, side)` on the device in the model's dtype, bilinear. Does not wait for the device."""
        return torch.stack([self._picture(frame) for frame in frames])

    def _picture(self, frame: Frame) -> Tensor:
        colour = frame.colour
        if self._kernel:
            y, uv = (self._upload(torch.from_numpy(plane)) for plane in (frame.y, frame.uv))
            made: Tensor = nv12_to_model(Nv12(y, uv, colour.matrix, colour.full_range), side=self._side)
            return made.to(self._dtype)
        picture = nv12_to_model(Nv12(frame.y, frame.uv, colour.matrix, colour.full_range), side=self._side)
        return self._upload(torch.from_numpy(picture).to(self._dtype))

    def _upload(self, host: Tensor) -> Tensor:
        if self._device.type != "cuda":
            return host.to(self._device)
        return host.pin_memory().to(self._device, non_blocking=True)
