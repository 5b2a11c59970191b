"""The three sizes at which one picture is looked at, and soft masks kept as windows of the middle one.

- the picture: BGR, the decoded frame itself or shrunk to a long side of 1280; crops for SAM are cut from it
- the mask grid: long side at most 640; masks, boxes and all state of an object live here
- the flow grid: long side at most 320, both sides even; motion and colours are measured here
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from kernels import cpu
from stream.types import BoxXyxyPx, Frame

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
PICTURE_LONG = 1280
MASK_LONG = 640
FLOW_LONG = 320
FLOW_LEAST = 32  # DIS needs a few of its 8 px patches on each axis
ON = 128
"""A soft mask (uint8) is on where it is at least this."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Sizes in pixels, `(width, height)`."""

    frame: tuple[int, int]
    mask: tuple[int, int]
    flow: tuple[int, int]

    @staticmethod
    def of(width: int, height: int, detail: float = 1.0) -> Grid:
        """For frames of this size; `detail` shrinks the mask and flow grids' longest sides."""
        longest = max(width, height)
        mask = min(1.0, detail * MASK_LONG / longest)
        flow = min(detail * FLOW_LONG, max(2 * FLOW_LEAST, longest)) / longest
        return Grid(
            (width, height),
            (max(1, round(width * mask)), max(1, round(height * mask))),
            (max(FLOW_LEAST, 2 * round(width * flow / 2)), max(FLOW_LEAST, 2 * round(height * flow / 2))),
        )

    @property
    def frame_per_mask(self) -> tuple[float, float]:
        return self.frame[0] / self.mask[0], self.frame[1] / self.mask[1]

    @property
    def mask_per_flow(self) -> tuple[float, float]:
        return self.mask[0] / self.flow[0], self.mask[1] / self.flow[1]

    def flow_xy(self) -> F32:
        """`(h, w, 2)` float32, not writable: the coordinates `(x, y)` of the flow grid's pixels."""
        return _coordinates(*self.flow)

    def box_to_frame(self, box: BoxXyxyPx) -> BoxXyxyPx:
        """A box of the mask grid in pixels of the frame, cut to the picture."""
        sx, sy = self.frame_per_mask
        width, height = self.frame
        x0, x1 = (min(max(v * sx, 0.0), width) for v in (box[0], box[2]))
        y0, y1 = (min(max(v * sy, 0.0), height) for v in (box[1], box[3]))
        return x0, y0, x1, y1

    def box_from_frame(self, box: BoxXyxyPx) -> BoxXyxyPx:
        """A box in pixels of the frame on the mask grid, cut to it."""
        sx, sy = self.frame_per_mask
        width, height = self.mask
        x0, x1 = (min(max(v / sx, 0.0), width) for v in (box[0], box[2]))
        y0, y1 = (min(max(v / sy, 0.0), height) for v in (box[1], box[3]))
        return x0, y0, x1, y1

    def same_shape(self, other: Grid) -> bool:
        """Whether both have the same aspect, within what rounding and cropping to macroblocks do."""
        a, b = self.frame[0] / self.frame[1], other.frame[0] / other.frame[1]
        return abs(a - b) < 0.02 * max(a, b)


@lru_cache(maxsize=8)
def _coordinates(width: int, height: int) -> F32:
    xy = np.dstack(np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)))
    xy.flags.writeable = False
    return xy


def picture_of(frame: Frame) -> U8:
    """The frame as BGR, `(h, w, 3)` uint8. Planes of large frames are shrunk before the conversion, which costs less
    than after."""
    longest = max(frame.width, frame.height)
    if longest <= PICTURE_LONG:
        return frame.to_bgr()
    scale = PICTURE_LONG / longest
    width, height = (max(2, round(side * scale / 2) * 2) for side in (frame.width, frame.height))
    y = cv2.resize(frame.y, (width, height), interpolation=cv2.INTER_AREA)
    uv = cv2.resize(frame.uv, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    colour = frame.colour
    return cpu.nv12_to_bgr(np.asarray(y, np.uint8), np.asarray(uv, np.uint8), matrix=colour.matrix,
                           full_range=colour.full_range)  # fmt: skip


def shrink(image: U8, size: tuple[int, int]) -> U8:
    """`image` at `size` `(width, height)`, averaged where it gets smaller."""
    smaller = size[0] <= image.shape[1] and size[1] <= image.shape[0]
    return np.asarray(
        cv2.resize(image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR), dtype=np.uint8
    )


@dataclass(frozen=True, slots=True)
class Patch:
    """A soft mask on the mask grid: `data` `(h, w)` uint8 at `(x0, y0)`, 0 everywhere else."""

    x0: int
    y0: int
    data: U8

    @property
    def window(self) -> tuple[int, int, int, int]:
        return self.x0, self.y0, self.x0 + self.data.shape[1], self.y0 + self.data.shape[0]

    def box(self) -> tuple[int, int, int, int] | None:
        """Half-open box of what is on, on the mask grid."""
        if not self.data.size:
            return None
        b = cpu.box(self.data, threshold=ON)
        return (b[0] + self.x0, b[1] + self.y0, b[2] + self.x0, b[3] + self.y0) if b else None

    def area(self) -> int:
        return int(np.count_nonzero(self.data >= ON))

    def tight(self, margin: int = 4) -> Patch:
        """The same mask in the smallest window around what is not 0, with a margin of zeros where there is room."""
        b = cpu.box(self.data) if self.data.size else None
        if b is None:
            return Patch(self.x0, self.y0, self.data[:0, :0])
        h, w = self.data.shape
        x0, y0, x1, y1 = max(0, b[0] - margin), max(0, b[1] - margin), min(w, b[2] + margin), min(h, b[3] + margin)
        return Patch(self.x0 + x0, self.y0 + y0, self.data[y0:y1, x0:x1].copy())

    def cut(self, window: tuple[int, int, int, int]) -> U8:
        """The values in `window` of the mask grid, 0 where the patch does not reach."""
        x0, y0, x1, y1 = window
        out = np.zeros((max(0, y1 - y0), max(0, x1 - x0)), np.uint8)
        a0, b0, a1, b1 = self.window
        left, top, right, bottom = max(x0, a0), max(y0, b0), min(x1, a1), min(y1, b1)
        if right > left and bottom > top:
            out[top - y0 : bottom - y0, left - x0 : right - x0] = self.data[
                top - b0 : bottom - b0, left - a0 : right - a0
            ]
        return out

    def whole(self, size: tuple[int, int]) -> U8:
        """`(height, width)` uint8 of the whole mask grid of `size` `(width, height)`."""
        return self.cut((0, 0, *size))

    def small(self, grid: Grid) -> U8:
        """The mask on the flow grid, `(h, w)` uint8."""
        width, height = grid.flow
        if grid.mask != (2 * width, 2 * height) or not self.data.size:
            return shrink(self.whole(grid.mask), grid.flow)
        # at exactly half of the size only the patch itself must be averaged
        x0, y0 = max(0, self.x0 // 2), max(0, self.y0 // 2)
        x1, y1 = min(width, (self.window[2] + 1) // 2), min(height, (self.window[3] + 1) // 2)
        out = np.zeros((height, width), np.uint8)
        if x1 > x0 and y1 > y0:
            out[y0:y1, x0:x1] = shrink(self.cut((2 * x0, 2 * y0, 2 * x1, 2 * y1)), (x1 - x0, y1 - y0))
        return out

    def scaled(self, before: Grid, after: Grid) -> Patch:
        """The same mask on another mask grid."""
        whole = cv2.resize(self.whole(before.mask), after.mask, interpolation=cv2.INTER_LINEAR)
        return Patch(0, 0, np.asarray(whole, np.uint8)).tight()


def patch_iou(a: Patch, b: Patch) -> float:
    """Intersection over union of two soft masks, on where at least `ON`."""
    windows = a.window, b.window
    x0, y0 = (min(w[i] for w in windows) for i in (0, 1))
    x1, y1 = (max(w[i] for w in windows) for i in (2, 3))
    on = [(p.cut((x0, y0, x1, y1)) >= ON).astype(np.uint8)[None] for p in (a, b)]
    return float(cpu.iou(on[0], on[1])[0, 0]) if on[0].size else 0.0


def box_iou(a: BoxXyxyPx, b: BoxXyxyPx) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    return both / union if union > 0 else 0.0


def minus(a: BoxXyxyPx, b: BoxXyxyPx) -> BoxXyxyPx:
    """Side by side, what to add to `b` to get `a`."""
    return a[0] - b[0], a[1] - b[1], a[2] - b[2], a[3] - b[3]


def plus(a: BoxXyxyPx, b: BoxXyxyPx) -> BoxXyxyPx:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]


def centre_of(box: BoxXyxyPx) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
