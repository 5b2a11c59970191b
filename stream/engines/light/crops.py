"""Square crops of a picture around an object, and the way between a crop and the mask grid."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from stream.engines.grid import F32, U8, Grid, Patch
from stream.types import BoxXyxyPx

LEAST_SIDE = 24.0
MASK_STEP = 4
"""Pixels of a crop to a pixel of a mask on it."""
BORDER_BGR = (104, 116, 124)
"""The mean of what the networks were trained on: nothing to see beyond the edge of the picture."""
LOGIT_LIMIT = 8.0
LOGIT_SLOPE = 40.0
"""Soft masks are 127.5 + slope x logit: the edge stays sharp, yet sub-pixel."""


@dataclass(frozen=True, slots=True)
class Crop:
    """A square of `side` pixels of the mask grid with its corner at `(left, top)`, looked at with `pixels` a side."""

    left: float
    top: float
    side: float
    pixels: int

    @staticmethod
    def around(box: BoxXyxyPx, pad: float, pixels: int) -> Crop:
        """The crop whose side is `pad` times the longer side of `box` (mask grid)."""
        side = max(LEAST_SIDE, pad * max(box[2] - box[0], box[3] - box[1]))
        return Crop((box[0] + box[2] - side) / 2, (box[1] + box[3] - side) / 2, side, pixels)

    @staticmethod
    def whole(grid: Grid, pixels: int) -> Crop:
        width, height = grid.mask
        return Crop.around((0, 0, width, height), 1.0, pixels)

    @property
    def scale(self) -> float:
        """Pixels of the crop to one of the mask grid."""
        return self.pixels / self.side

    def point_in(self, x: float, y: float) -> tuple[float, float]:
        """A place on the mask grid in pixels of the crop."""
        return (x - self.left) * self.scale, (y - self.top) * self.scale

    def box_in(self, box: BoxXyxyPx) -> BoxXyxyPx:
        return *self.point_in(box[0], box[1]), *self.point_in(box[2], box[3])

    def covers(self, box: BoxXyxyPx) -> bool:
        """Whether `box` lies wholly inside."""
        right, bottom = self.left + self.side, self.top + self.side
        return box[0] > self.left and box[1] > self.top and box[2] < right and box[3] < bottom

    def flow_window(self, grid: Grid) -> tuple[int, int, int, int]:
        """What of the flow grid it shows, half-open and never empty."""
        sx, sy = grid.mask_per_flow
        width, height = grid.flow
        x0, y0 = min(width - 1, max(0, int(self.left / sx))), min(height - 1, max(0, int(self.top / sy)))
        right, bottom = int((self.left + self.side) / sx) + 1, int((self.top + self.side) / sy) + 1
        return x0, y0, max(x0 + 1, min(width, right)), max(y0 + 1, min(height, bottom))

    def image(self, picture: U8, grid: Grid) -> U8:
        """Cut it out of `picture` `(h, w, 3)` uint8, any size, the grid's aspect: `(pixels, pixels, 3)` uint8."""
        source = picture
        kx, ky = self.scale * grid.mask[0] / source.shape[1], self.scale * grid.mask[1] / source.shape[0]
        if max(kx, ky) < 0.6:  # shrink first, or the warp would skip pixels
            size = (max(1, round(source.shape[1] * kx / 0.75)), max(1, round(source.shape[0] * ky / 0.75)))
            source = np.asarray(cv2.resize(source, size, interpolation=cv2.INTER_AREA), np.uint8)
            kx, ky = self.scale * grid.mask[0] / source.shape[1], self.scale * grid.mask[1] / source.shape[0]
        affine = np.array([
            [kx, 0, 0.5 * kx - 0.5 - self.left * self.scale],
            [0, ky, 0.5 * ky - 0.5 - self.top * self.scale],
        ], np.float32)  # fmt: skip
        size = (self.pixels, self.pixels)
        cut = cv2.warpAffine(source, affine, size, flags=cv2.INTER_LINEAR, borderValue=BORDER_BGR)
        return np.asarray(cut, np.uint8)

    def mask_in(self, patch: Patch) -> U8:
        """The soft mask on the crop's mask grid, `(pixels/4, pixels/4)` uint8."""
        size = self.pixels // MASK_STEP
        if not patch.data.size:
            return np.zeros((size, size), np.uint8)
        k = self.scale / MASK_STEP
        data = patch.data
        if k < 0.5:
            shape = (max(1, round(data.shape[1] * k)), max(1, round(data.shape[0] * k)))
            data = np.asarray(cv2.resize(data, shape, interpolation=cv2.INTER_AREA), np.uint8)
        kx, ky = k * patch.data.shape[1] / data.shape[1], k * patch.data.shape[0] / data.shape[0]
        affine = np.array([
            [kx, 0, 0.5 * kx - 0.5 + (patch.x0 - self.left) * k],
            [0, ky, 0.5 * ky - 0.5 + (patch.y0 - self.top) * k],
        ], np.float32)  # fmt: skip
        return np.asarray(cv2.warpAffine(data, affine, (size, size), flags=cv2.INTER_LINEAR), np.uint8)

    def mask_out(self, logits: F32, grid: Grid) -> Patch:
        """Logits on the crop's mask grid as a soft mask of the mask grid."""
        width, height = grid.mask
        x0, y0 = max(0, int(self.left)), max(0, int(self.top))
        x1, y1 = min(width, int(self.left + self.side) + 1), min(height, int(self.top + self.side) + 1)
        if x1 <= x0 or y1 <= y0:
            return Patch(0, 0, np.zeros((0, 0), np.uint8))
        k = self.scale / MASK_STEP
        inverse = np.array([
            [k, 0, (x0 + 0.5 - self.left) * k - 0.5],
            [0, k, (y0 + 0.5 - self.top) * k - 0.5],
        ], np.float32)  # fmt: skip
        spread = cv2.warpAffine(
            np.clip(logits, -LOGIT_LIMIT, LOGIT_LIMIT), inverse, (x1 - x0, y1 - y0),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_CONSTANT, borderValue=-LOGIT_LIMIT,
        )  # fmt: skip
        soft = np.clip(127.5 + spread * LOGIT_SLOPE, 0, 255).astype(np.uint8)
        return Patch(x0, y0, soft).tight()
