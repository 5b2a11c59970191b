"""Decoded frames as the model's input: the whole picture squashed to a square, RGB, -1..1 (mean = std = 0.5), or shrunk
for what is worked out on the host."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from kernels.colour import Nv12
from kernels.images import nv12_to_model
from stream.surfaces import DeviceFrame, Planes
from stream.types import Frame


class Preprocessor:
    """On a GPU one kernel makes the picture, from where the frame is or else from planes that are uploaded; without
    CuPy, which launches it, the host makes the picture and it is uploaded."""

    def __init__(self, side: int, *, device: torch.device, dtype: torch.dtype) -> None:
        self._side = side
        self._device = device
        self._dtype = dtype
        self._kernel = device.type == "cuda" and importlib.util.find_spec("cupy") is not None

    def __call__(self, frames: Sequence[Frame]) -> Tensor:
        """`(B, 3, side, side)` on the device in the model's dtype, bilinear. Does not wait for the device."""
        return torch.stack([self._picture(frame) for frame in frames])

    def _picture(self, frame: Frame) -> Tensor:
        if isinstance(frame, DeviceFrame) and (self._kernel or self._device.type != "cuda"):
            with frame.surface.reading() as planes:
                return self._made(planes, frame)
        if self._kernel:
            return self._made(Planes(*(self._upload(torch.from_numpy(plane)) for plane in (frame.y, frame.uv))), frame)
        return self._upload(self._made(Planes(frame.y, frame.uv), frame))

    def _made(self, planes: Planes, frame: Frame) -> Tensor:
        colour = frame.colour
        made = nv12_to_model(Nv12(planes.y, planes.uv, colour.matrix, colour.full_range), side=self._side)
        return torch.as_tensor(made).to(self._dtype)

    def _upload(self, host: Tensor) -> Tensor:
        if self._device.type != "cuda":
            return host.to(self._device)
        return host.pin_memory().to(self._device, non_blocking=True)


def shrunk(frame: DeviceFrame, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The planes at `size` `(width, height)`, both even, averaged, where the frame is: uint8 `(h, w)` and
    `(h / 2, w / 2, 2)`. Does not wait for the device."""
    width, height = size
    with frame.surface.reading() as planes:
        y = torch.as_tensor(planes.y)[None, None].float()
        uv = torch.as_tensor(planes.uv).permute(2, 0, 1)[None].float()
        small_y = functional.interpolate(y, (height, width), mode="area")
        small_uv = functional.interpolate(uv, (height // 2, width // 2), mode="area")
    return small_y[0, 0].round().byte(), small_uv[0].permute(1, 2, 0).round().byte().contiguous()
