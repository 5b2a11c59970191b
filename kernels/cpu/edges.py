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
Index = NDArray[np.int64]


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
    own: NDArray[np.bool_]
    shown: Index
    inside: F32
    line: F32


def edge_pixels(owner: NDArray[Any], logits: F32 | None, look: Look, *, in_quads: bool) -> EdgePixels | None:
    """The pixels whose value is not simply their object's or the background's; None where there are none.

    `owner` u8|u16 `[H, W]`, `logits` `[N, h, w]` or None. Without logits or outline only quads of several owners do.
    """
    around = _Around(owner, logits is not None, look)
    band = around.band()
    if in_quads:
        band = np.asarray(cv2.bitwise_or(band, _mixed_quads(owner)), np.uint8)
    if not cv2.countNonZero(band):
        return None
    ys, xs, weight = _quads(band) if in_quads else _pixels(band)
    own = owner[ys, xs].astype(np.int64)
    if logits is None or not len(logits):
        line = (around.background[ys, xs] | around.objects[ys, xs]).astype(np.float32) * (look.outline_px > 0)
        inside = (own > 0).astype(np.float32)
        return EdgePixels(ys, xs, weight, own > 0, own, inside, line * inside)
    shown = np.where(own > 0, own, around.largest[ys, xs])
    distance = _distance(logits, np.maximum(shown, 1) - 1, ys, xs, owner.shape)
    there, held = shown > 0, own > 0
    edge = np.clip(distance + np.float32(0.5), 0, 1)
    inside = np.clip((distance + np.float32(0.5)) / np.float32(look.softness_px), 0, 1)
    inside = np.where(held & ~around.soft[ys, xs], np.float32(1), inside) * there
    line = np.zeros_like(inside)
    if look.outline_px > 0:
        band_line = edge * np.clip(np.float32(look.outline_px + 0.5) - distance, 0, 1)
        within = np.where(around.objects[ys, xs], np.float32(1), band_line * around.background[ys, xs])
        line = np.where(held, within, edge) * there
    return EdgePixels(ys, xs, weight, held, shown, inside.astype(np.float32), line.astype(np.float32))


class _Around:
    """Maps of what lies around each pixel along the axes, all `[H, W]`.

    `soft`: anything else within the feather's reach; `background` and `objects`: background, or another object, within
    the outline's reach; `largest`: the largest owner among the four neighbours and the pixel itself.
    """

    def __init__(self, owner: NDArray[Any], with_logits: bool, look: Look) -> None:
        self._owner = owner
        self._edges_wanted = with_logits or look.outline_px > 0
        self._with_logits = with_logits
        nothing = np.zeros(owner.shape, bool)
        self.soft = self.background = self.objects = nothing
        self.largest: Index = owner.astype(np.int64)
        seam = int(np.ceil(look.outline_px))
        if with_logits:
            self.soft = self._differs(int(1.5 * look.softness_px) + 1)
            self.largest = _dilated(owner, 1).astype(np.int64)
        if look.outline_px > 0:
            self.background = _eroded(owner, int(1.5 * look.outline_px) + 1 if with_logits else seam) == 0
            self.objects = self._other_object(seam)

    def band(self) -> U8:
        """255 where a pixel lies along an edge."""
        if not self._edges_wanted:
            return np.zeros(self._owner.shape, np.uint8)
        held = self._owner > 0
        band = held & (self.soft | self.background | self.objects)
        if self._with_logits:
            band |= ~held & (self.largest > 0)
        return band.astype(np.uint8) * np.uint8(255)

    def _differs(self, reach: int) -> NDArray[np.bool_]:
        return np.asarray(_dilated(self._owner, reach) != _eroded(self._owner, reach))

    def _other_object(self, reach: int) -> NDArray[np.bool_]:
        most = np.iinfo(self._owner.dtype).max
        without = np.where(self._owner == 0, most, self._owner).astype(self._owner.dtype)
        smaller = _eroded(without, reach) < self._owner
        return np.asarray(smaller | (_dilated(self._owner, reach) > self._owner)) & (self._owner > 0)


def _cross(reach: int) -> U8:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_CROSS, (2 * reach + 1, 2 * reach + 1)), np.uint8)


def _dilated(owner: NDArray[Any], reach: int) -> NDArray[Any]:
    return np.asarray(cv2.dilate(owner, _cross(reach)))


def _eroded(owner: NDArray[Any], reach: int) -> NDArray[Any]:
    return np.asarray(cv2.erode(owner, _cross(reach)))


def _mixed_quads(owner: NDArray[Any]) -> U8:
    """255 at the first pixel of quads that several own."""
    mixed = np.zeros(owner.shape, np.uint8)
    first = owner[::2, ::2]
    for dy, dx in ((0, 1), (1, 0), (1, 1)):
        other = owner[dy::2, dx::2]
        height, width = other.shape
        mixed[::2, ::2][:height, :width] |= (other != first[:height, :width]).astype(np.uint8) * np.uint8(255)
    return mixed


def _pixels(band: U8) -> tuple[Index, Index, F32]:
    ys, xs = np.nonzero(band)
    return ys, xs, np.ones(len(ys), np.float32)


def _quads(band: U8) -> tuple[Index, Index, F32]:
    height, width = band.shape
    whole = cv2.copyMakeBorder(band, 0, height % 2, 0, width % 2, cv2.BORDER_CONSTANT, value=0)
    rows = np.asarray(whole, np.uint8).reshape((height + 1) // 2, 2, -1).max(1)
    qy, qx = np.nonzero(rows.reshape(rows.shape[0], -1, 2).max(2))
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
    place = np.maximum(scale * (at.astype(np.float32) + np.float32(0.5)) - np.float32(0.5), np.float32(0))
    first = np.minimum(place.astype(np.int64), limit - 1)
    return first, (first < limit - 1).astype(np.int64), place - first.astype(np.float32)
