"""The kernels on pictures with OpenCV. Whole areas go through lookup tables and masked copies; only the pixels along
edges, which outlines and feathers mix from several sources, are computed one by one.

Arguments are checked by `kernels.images`. Results are within one level of 255 of the twins', two for the blurred
background and for inputs of models, whose pixels are rounded on the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kernels.colour import Nv12, Picture, nv12_to_bgr, rgb_to_yuv, size_of
from kernels.cpu.edges import Edges
from kernels.look import BLUR_TAPS, FILL, PIXELATE, Look

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
HALF = np.float32(0.5)


@dataclass(frozen=True, slots=True)
class _Plane:
    """Interleaved channels `(h, w, c)` and how many pixels a sample spans in each direction."""

    data: U8
    step: int
    first_channel: int

    @property
    def channels(self) -> slice:
        return slice(self.first_channel, self.first_channel + self.data.shape[2])


def _planes(picture: Picture) -> list[_Plane]:
    if isinstance(picture, Nv12):
        return [_Plane(picture.y[..., None], 1, 0), _Plane(picture.uv, 2, 1)]
    return [_Plane(picture, 1, 0)]


def composite(
    frame: Picture, owner: NDArray[Any], logits: F32 | None, palette: U8, n_valid: int, look: Look, out: Picture, *,
    behind: Picture | None = None,
) -> None:  # fmt: skip
    """As `kernels.images.composite`, into `out`."""
    owner = cv2.threshold(owner, min(n_valid, len(palette) - 1), 0, cv2.THRESH_TOZERO_INV)[1]
    colours = _colours(palette, frame)
    planes, targets = _planes(frame), _planes(out)
    backs = [_back(plane, colours[0, plane.channels], palette[0, 3], look, i, behind) for i, plane in enumerate(planes)]
    insides = [_mosaic(plane, look.pixelate_px) if look.mode & PIXELATE else plane.data for plane in planes]
    areas = list(_areas(owner, colours, palette, look)) if look.mode & ~FILL or look.fill else []
    for plane, back, inside, target in zip(planes, backs, insides, targets, strict=True):
        np.copyto(target.data, back)
        if inside is back and not look.fill:
            continue
        for area in areas:
            _fill(target, inside, plane, area)
    edges = Edges(owner, logits, look)
    for ys, xs in edges.quads(step=planes[-1].step):
        sources = [[_at(planes, data, ys, xs) for data in (backs, insides)], colours, palette]
        _mix_edges(targets, planes, edges, ys, xs, sources, look)


def _colours(palette: U8, frame: Picture) -> F32:
    """Palette `[N + 1, 3]` in the picture's own channels."""
    rgb = palette[:, :3].astype(np.float32)
    if not isinstance(frame, Nv12):
        return rgb
    k = rgb_to_yuv(frame.matrix, frame.full_range)
    luma = rgb @ np.array([k.k_r, k.k_g, k.k_b], np.float32)
    u, v = (rgb[:, 2] - luma) * k.u_b + 128, (rgb[:, 0] - luma) * k.v_r + 128
    return np.stack([luma * k.gain + k.offset, u, v], axis=1).astype(np.float32)
