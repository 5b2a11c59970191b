"""Hiding parts of a picture so that nothing of them can be had back. Pure functions on NV12 planes.

A part is replaced by the means of a few cells, at most `CELLS` along its longer side however large it is: what is left
is too little to tell a face, and nothing that was there before is encoded.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from kernels import cpu
from stream.privacy.settings import XY, Style
from stream.types import U8, Frame, Rle

CELLS = 5
LEAST_CELL_PX = 8
MARGIN_PX = 8
"""By which masks and boxes are grown."""
BOX_MARGIN = 0.08
"""Of its longer side, by which a detector's box is grown beyond that: hands and feet are often outside."""
GREY = 128


@dataclass(frozen=True, slots=True)
class Part:
    """What to hide. `on` `(h, w)` uint8, 0 or 1, has its corner at `(x0, y0)` of the picture, both even; both sides are
    even and may reach beyond the picture by one pixel."""

    x0: int
    y0: int
    on: U8


def box_part(box_xyxy: Sequence[float], width: int, height: int) -> Part | None:
    """A detector's box in [0, 1], grown; None where it is outside of the picture."""
    x0, y0, x1, y1 = box_xyxy[0] * width, box_xyxy[1] * height, box_xyxy[2] * width, box_xyxy[3] * height
    margin = MARGIN_PX + BOX_MARGIN * max(x1 - x0, y1 - y0)
    window = _window(x0 - margin, y0 - margin, x1 + margin, y1 + margin, width, height)
    return None if window is None else Part(window[0], window[1], _ones(window))


def mask_part(mask: Rle, width: int, height: int) -> Part | None:
    """A mask that is stretched over the picture, grown by `MARGIN_PX`; None where it is empty."""
    on = cpu.rle_decode(mask.size, mask.counts)
    tight = cpu.box(on)
    if tight is None:
        return None
    sx, sy = width / on.shape[1], height / on.shape[0]
    margin = MARGIN_PX + 1
    window = _window(
        tight[0] * sx - margin, tight[1] * sy - margin, tight[2] * sx + margin, tight[3] * sy + margin, width, height
    )
    if window is None:
        return None
    x0, y0, x1, y1 = window
    columns = np.minimum((np.arange(x0, x1) + 0.5) / sx, on.shape[1] - 1).astype(int)
    rows = np.minimum((np.arange(y0, y1) + 0.5) / sy, on.shape[0] - 1).astype(int)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    return Part(x0, y0, np.asarray(cv2.dilate(on[np.ix_(rows, columns)], kernel), np.uint8))


def zone_part(points: Sequence[XY], width: int, height: int) -> Part | None:
    """A polygon in [0, 1] with its border, grown by `MARGIN_PX`."""
    corners = np.array([(x * width, y * height) for x, y in points])
    low, high = corners.min(axis=0) - MARGIN_PX, corners.max(axis=0) + MARGIN_PX
    window = _window(low[0], low[1], high[0], high[1], width, height)
    if window is None:
        return None
    on = np.zeros((window[3] - window[1], window[2] - window[0]), np.uint8)
    shape = np.round(corners - window[:2]).astype(np.int32)
    cv2.fillPoly(on, [shape], (1,))
    cv2.polylines(on, [shape], True, (1,), 2 * MARGIN_PX)
    return Part(window[0], window[1], on)


def whole_part(width: int, height: int) -> Part:
    return Part(0, 0, np.ones((height + height % 2, width + width % 2), np.uint8))


def hidden(frame: Frame, parts: Iterable[Part], style: Style) -> Frame:
    """`frame` with `parts` hidden, in planes of its own. Where parts overlap, the coarser one counts."""
    raw_y, raw_uv = frame.y, frame.uv
    y, uv = raw_y.copy(), raw_uv.copy()
    for part in sorted(parts, key=lambda part: max(part.on.shape)):
        height, width = part.on.shape
        cells = _cells(height, width)
        _put(y, raw_y, part.x0, part.y0, part.on, cells, style)
        colour = part.on.reshape(height // 2, 2, width // 2, 2).max(axis=(1, 3))
        _put(uv, raw_uv, part.x0 // 2, part.y0 // 2, colour, cells, style)
    y.flags.writeable = uv.flags.writeable = False
    # Not a copy of the frame with other planes: one on a device would bring its own along.
    return Frame(
        frame.index, frame.epoch, frame.pts, frame.rtp, frame.captured_unix_us, frame.received_s, frame.decoded_s,
        y, uv, frame.colour,
    )  # fmt: skip


def _cells(height: int, width: int) -> tuple[int, int]:
    """`(across, down)`: so few cells that none is smaller than `LEAST_CELL_PX`."""
    side = max(LEAST_CELL_PX, math.ceil(max(height, width) / CELLS))
    return max(1, width // side), max(1, height // side)


def _put(out: U8, raw: U8, x0: int, y0: int, on: U8, cells: tuple[int, int], style: Style) -> None:
    """Write the means of `raw` into `out` where `on`."""
    here = out[y0 : y0 + on.shape[0], x0 : x0 + on.shape[1]]
    rows, columns = here.shape[:2]
    if not rows or not columns:
        return
    if style is Style.FILL:
        means: U8 = np.full((rows, columns, *here.shape[2:]), GREY, np.uint8)
    else:
        small = cv2.resize(raw[y0 : y0 + rows, x0 : x0 + columns], cells, interpolation=cv2.INTER_AREA)
        smooth = cv2.INTER_LINEAR if style is Style.BLUR else cv2.INTER_NEAREST
        means = np.asarray(cv2.resize(small, (columns, rows), interpolation=smooth), np.uint8)
    covered = on[:rows, :columns].astype(bool)
    here[covered] = means.reshape(here.shape)[covered]


def _window(x0: float, y0: float, x1: float, y1: float, width: int, height: int) -> tuple[int, int, int, int] | None:
    """The even window around a box, within the picture; None where there is none of it."""
    left, top = max(0, math.floor(x0)) & ~1, max(0, math.floor(y0)) & ~1
    right, bottom = (min(math.ceil(high), size) for high, size in ((x1, width), (y1, height)))
    right, bottom = right + right % 2, bottom + bottom % 2
    return (left, top, right, bottom) if right > left and bottom > top else None


def _ones(window: tuple[int, int, int, int]) -> U8:
    return np.ones((window[3] - window[1], window[2] - window[0]), np.uint8)
