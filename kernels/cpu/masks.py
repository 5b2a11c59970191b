"""Functions on binary masks: cleaning, overlap, run-length codes and measures.

A mask is a `(h, w)` uint8 array whose foreground is every value that is not 0, unless a threshold is named.
All of it runs on the CPU, in host memory, and returns new arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from rlemasklib import RLEMask

U8 = NDArray[np.uint8]
MAX_RLE_PIXELS = 4096 * 4096


def clean(mask: U8, *, max_hole: int, max_speck: int) -> U8:
    """Fill small holes and remove small specks.

    `mask`: `(h, w)` uint8; returns `(h, w)` uint8 of 0 and 1. First every 8-connected foreground component of at most
    `max_speck` pixels is removed, except where none is larger; then every 4-connected background component of at most
    `max_hole` pixels that does not touch the border is filled.
    """
    out: U8 = (mask != 0).astype(np.uint8)
    if max_speck > 0:
        count, labels, stats, _ = cv2.connectedComponentsWithStats(out, connectivity=8)
        if count > 2:
            areas = stats[:, cv2.CC_STAT_AREA]
            keep = (areas > max_speck) | (areas == areas[1:].max())
            keep[0] = False
            out = np.take(keep.astype(np.uint8), np.asarray(labels, np.int32))
    if max_hole > 0:
        count, labels, stats, _ = cv2.connectedComponentsWithStats(1 - out, connectivity=4)
        if count > 1:
            left, top = stats[:, cv2.CC_STAT_LEFT], stats[:, cv2.CC_STAT_TOP]
            right, bottom = left + stats[:, cv2.CC_STAT_WIDTH], top + stats[:, cv2.CC_STAT_HEIGHT]
            inside = (left > 0) & (top > 0) & (right < out.shape[1]) & (bottom < out.shape[0])
            fill = inside & (stats[:, cv2.CC_STAT_AREA] <= max_hole)
            fill[0] = False  # label 0 is the foreground here
            out = out | np.take(fill.astype(np.uint8), np.asarray(labels, np.int32))
    return out


def iou(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Intersection over union of every mask of `a` with every mask of `b`.

    `a`: `(n, h, w)` uint8, `b`: `(m, h, w)` uint8; returns `(n, m)` float32 in 0..1, 0 where both are empty. The masks
    are packed to one bit a pixel and counted with popcount.
    """
    if a.shape[1:] != b.shape[1:]:
        raise ValueError(f"masks of {a.shape[1:]} and {b.shape[1:]} cannot be compared")
    bits_a, bits_b = _packed(a), _packed(b)
    area_a = np.bitwise_count(bits_a).sum(1, dtype=np.int64)
    area_b = np.bitwise_count(bits_b).sum(1, dtype=np.int64)
    both = np.empty((len(a), len(b)), np.int64)
    for i, row in enumerate(bits_a):
        both[i] = np.bitwise_count(row & bits_b).sum(1, dtype=np.int64)
    union = area_a[:, None] + area_b[None, :] - both
    overlap: NDArray[np.float32] = np.divide(both, np.maximum(union, 1)).astype(np.float32)
    return overlap


def _packed(masks: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """`(n, h, w)` uint8 → `(n, ceil(h*w/64))` uint64, one bit a pixel."""
    bits = np.packbits(masks.reshape(len(masks), int(np.prod(masks.shape[1:]))) != 0, axis=1)
    spare = -bits.shape[1] % 8
    if spare:
        bits = np.pad(bits, ((0, 0), (0, spare)))
    return np.ascontiguousarray(bits).view(np.uint64)


def rle(window: U8, *, size: tuple[int, int] | None = None, at: tuple[int, int] = (0, 0), threshold: int = 1) -> str:
    """COCO's compressed run-length string of a mask, the same that pycocotools writes.

    `window`: `(h, w)` uint8, foreground where the value is at least `threshold`. With `size` the window is the only
    part of a mask of `size` `(height, width)` that may be set, its top left corner at `at` `(y, x)`; the rest costs
    nothing. Raises `ValueError` where the window does not fit.
    """
    height, width = size or window.shape
    bottom, right = height - at[0] - window.shape[0], width - at[1] - window.shape[1]
    if min(at[0], at[1], bottom, right) < 0:
        raise ValueError(f"a window of {window.shape} at {at} is not inside {(height, width)}")
    if not window.size:
        code = RLEMask.zeros((height, width))
    else:
        code = RLEMask.from_array(np.ascontiguousarray(window), threshold=threshold)
        if (height, width) != window.shape:
            code = code.pad(at[0], bottom, at[1], right)
    return bytes(code.to_dict()["counts"]).decode("ascii")


def rle_decode(size: tuple[int, int], counts: str) -> U8:
    """Read COCO's compressed run-length string.

    `size` is `(height, width)`; returns `(height, width)` uint8 of 0 and 1. Raises `ValueError` where the string is
    malformed, does not cover the size exactly, or the size is above 4096 x 4096; safe for strings from outside.
    """
    height, width = size
    if height < 1 or width < 1 or height * width > MAX_RLE_PIXELS:
        raise ValueError(f"a mask of {height} x {width} cannot be read")
    runs = _runs(counts)
    if sum(runs) != height * width:
        raise ValueError("the runs do not cover the mask")
    code = RLEMask.from_counts(np.asarray(runs, np.uint32), (height, width))
    return np.ascontiguousarray(code.to_array(), dtype=np.uint8)


def _runs(counts: str) -> list[int]:
    """The run lengths of a compressed string: groups of five bits with a continuation bit, sign-extended, each from
    the third on stored as the difference from the one two before."""
    runs: list[int] = []
    value = shift = 0
    for char in counts:
        bits = ord(char) - 48
        if not 0 <= bits < 64 or shift > 30:
            raise ValueError("not a run-length string")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        run = value + (runs[-2] if len(runs) > 2 else 0)
        if not 0 <= run <= MAX_RLE_PIXELS:
            raise ValueError("a run of impossible length")
        runs.append(run)
        value = shift = 0
    if shift:
        raise ValueError("the run-length string ends within a number")
    return runs


@dataclass(frozen=True, slots=True)
class MaskStats:
    """Measures of one mask: `area_px`, half-open `box_xyxy_px` in whole pixels, `centroid_xy_px` of pixel centres."""

    area_px: int
    box_xyxy_px: tuple[int, int, int, int]
    centroid_xy_px: tuple[float, float]


def stats(mask: U8, *, threshold: int = 1) -> MaskStats | None:
    """Area, box and centroid of the pixels of `mask` `(h, w)` uint8 that are at least `threshold`; None where there
    are none."""
    on = mask >= threshold
    per_column = np.count_nonzero(on, axis=0)
    columns = np.flatnonzero(per_column)
    if not len(columns):
        return None
    per_row = np.count_nonzero(on, axis=1)
    rows = np.flatnonzero(per_row)
    area = int(per_column.sum())
    x = float(per_column @ np.arange(len(per_column))) / area + 0.5
    y = float(per_row @ np.arange(len(per_row))) / area + 0.5
    return MaskStats(area, (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1), (x, y))


def box(mask: U8, *, threshold: int = 1) -> tuple[int, int, int, int] | None:
    """The half-open box `(x0, y0, x1, y1)` of the pixels that are at least `threshold`; None where there are none."""
    x, y, width, height = cv2.boundingRect(cv2.threshold(mask, threshold - 1, 1, cv2.THRESH_BINARY)[1])
    return (x, y, x + width, y + height) if width else None
