"""Which pixels of an owner map lie along edges, and what shows in them: the soft part of `composite` on the CPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from kernels.look import Look

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
Bool = NDArray[np.bool_]
Index = NDArray[np.int64]
ONE, HALF = np.float32(1), np.float32(0.5)


@dataclass(frozen=True, slots=True)
class EdgePixels:
    """n pixels, by fours where they are in quads: the four of a sample of chroma, row by row, with those beyond the
    picture's edge replaced by their neighbours at `weight` 0.

    `own`: whether an object owns the pixel. `shown`: the object whose edge it belongs to, 0 for none. `inside`: how far
    it is inside, 0 to 1. `line`: how much of it is outline, 0 to 1.
    """

    ys: Index
    xs: Index
    weight: F32
    own: Bool
    shown: Index
    inside: F32
    line: F32


def edge_pixels(owner: NDArray[Any], logits: F32 | None, look: Look, *, in_quads: bool) -> EdgePixels | None:
    """The pixels whose value is not simply their object's or the background's; None where there are none.

    `owner` u8|u16 `[H, W]`, `logits` `[N, h, w]` or None. Without logits or outline only quads of several owners do.
    """
    around = _Around(owner, logits is not None and len(logits) > 0, look)
    ys, xs, weight = _quads(around, owner) if in_quads else _pixels(around.band())
    if not len(ys):
        return None
    at = ys * owner.shape[1] + xs
    own = _taken(owner, at).astype(np.int64)
    held = own > 0
    background, objects = _taken(around.background, at), _taken(around.objects, at)
    if logits is None or not len(logits):
        return EdgePixels(ys, xs, weight, held, own, held.astype(np.float32), (background | objects).astype(np.float32))
    shown = np.where(held, own, _taken(around.largest, at))
    there = shown > 0
    distance = _distance(logits, np.maximum(shown, 1) - 1, ys, xs, owner.shape)
    edge = np.clip(distance + HALF, 0, ONE)
    inside = edge
    if look.softness_px > 1:
        inside = np.clip((distance + HALF) / np.float32(look.softness_px), 0, ONE)
    inside = np.where(held & ~_taken(around.soft, at), ONE, inside) * there
    line = np.zeros_like(inside)
    if look.outline_px > 0:
        band = edge * np.clip(np.float32(look.outline_px) + HALF - distance, 0, ONE)
        line = np.where(held, np.where(objects, ONE, band * background), edge) * there
    return EdgePixels(ys, xs, weight, held, shown, inside, line)


class _Around:
    """Maps of what lies around the pixels that objects own, along the axes, `[H, W]`; None where it is not wanted.

    `soft`: anything else within the feather's reach; `background` and `objects`: background, or another object, within
    the outline's reach; `largest`: the largest owner among the four neighbours and the pixel itself.
    """

    soft: Bool | None = None
    background: Bool | None = None
    objects: Bool | None = None
    largest: NDArray[Any] | None = None

    def __init__(self, owner: NDArray[Any], with_logits: bool, look: Look) -> None:
        self._held: Bool = owner > 0
        if with_logits:
            reach = int(1.5 * look.softness_px) + 1
            self.soft = self._held & (_dilated(owner, reach) != _eroded(owner, reach))
            self.largest = _dilated(owner, 1)
        if look.outline_px > 0:
            seam = int(np.ceil(look.outline_px))
            reach = int(1.5 * look.outline_px) + 1 if with_logits else seam
            self.background = self._held & (_eroded(owner, reach) == 0)
            self.objects = self._held & _other_object(owner, seam)

    def band(self) -> Bool:
        """Where a pixel lies along an edge."""
        band = np.zeros_like(self._held) if self.largest is None else (self.largest > 0) & ~self._held
        for part in (self.soft, self.background, self.objects):
            if part is not None:
                band |= part
        return band


def _taken(plane: NDArray[Any] | None, at: Index) -> NDArray[Any]:
    return np.zeros(len(at), bool) if plane is None else plane.reshape(-1)[at]


def _other_object(owner: NDArray[Any], reach: int) -> Bool:
    without_background = owner - owner.dtype.type(1)  # turns 0 into the largest value
    return np.asarray((_eroded(without_background, reach) < without_background) | (_dilated(owner, reach) > owner))


def _dilated(owner: NDArray[Any], reach: int) -> NDArray[Any]:
    return np.asarray(cv2.dilate(owner, _cross(reach)))


def _eroded(owner: NDArray[Any], reach: int) -> NDArray[Any]:
    return np.asarray(cv2.erode(owner, _cross(reach)))


def _cross(reach: int) -> U8:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_CROSS, (2 * reach + 1, 2 * reach + 1)), np.uint8)


def _pixels(band: Bool) -> tuple[Index, Index, F32]:
    ys, xs = np.divmod(np.flatnonzero(band), band.shape[1])
    return ys, xs, np.ones(len(ys), np.float32)


def _quads(around: _Around, owner: NDArray[Any]) -> tuple[Index, Index, F32]:
    """The pixels of all quads along an edge and of those that several own."""
    height, width = owner.shape
    band = around.band()
    chosen = np.ascontiguousarray(band[::2, ::2])
    first = np.ascontiguousarray(owner[::2, ::2])
    for dy, dx in ((0, 1), (1, 0), (1, 1)):
        other = owner[dy::2, dx::2]
        part = np.s_[: other.shape[0], : other.shape[1]]
        chosen[part] |= band[dy::2, dx::2] | (other != first[part])
    qy, qx = np.divmod(np.flatnonzero(chosen), chosen.shape[1])
    ys = (qy[:, None] * 2 + np.array([0, 0, 1, 1])).ravel()
    xs = (qx[:, None] * 2 + np.array([0, 1, 0, 1])).ravel()
    weight = ((ys < height) & (xs < width)).astype(np.float32)
    return np.minimum(ys, height - 1), np.minimum(xs, width - 1), weight


def _distance(logits: F32, which: Index, ys: Index, xs: Index, size: tuple[int, ...]) -> F32:
    """Pixels from the zero line of an object's logits, positive inside: value over gradient, both bilinear."""
    _, h, w = logits.shape
    sy, sx = np.float32(h / size[0]), np.float32(w / size[1])
    y0, down, ly = _taps(sy, ys, h)
    x0, right, lx = _taps(sx, xs, w)
    flat, at = logits.reshape(-1), (which * h + y0) * w + x0
    a, b = flat[at], flat[at + right]
    at += down * w
    c, d = flat[at], flat[at + right]
    ab, cd = b - a, d - c
    upper, lower = a + lx * ab, c + lx * cd
    gx = sx * (ab + ly * (cd - ab))
    gy = sy * (lower - upper)
    steepness = np.maximum(np.sqrt(gx * gx + gy * gy), np.float32(1e-6))
    distance: F32 = (upper + ly * (lower - upper)) / steepness
    return distance


def _taps(scale: np.float32, at: Index, limit: int) -> tuple[Index, Index, F32]:
    """The first neighbour, whether there is a second, and the second's weight."""
    place = np.maximum(scale * (at.astype(np.float32) + HALF) - HALF, np.float32(0))
    first = np.minimum(place.astype(np.int64), limit - 1)
    return first, (first < limit - 1).astype(np.int64), place - first.astype(np.float32)
