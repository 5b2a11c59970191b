"""Masks on the CPU: cleaning, overlap and measures, by run-length codes and packed bits.

A mask is a `(h, w)` uint8 array whose foreground is every value that is not 0, unless a threshold is named; packed
masks, statistics and logits are those of `kernels.masks`, whose functions check their arguments before they come here.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from rlemasklib import RLEMask

Bits = NDArray[np.uint32]
Bools = NDArray[np.bool_]
F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
U8 = NDArray[np.uint8]
FLIPPED_ON, FLIPPED_OFF = np.float32(0.1), np.float32(-0.1)


def clean(mask: U8, *, max_hole: int, max_speck: int) -> U8:
    """Remove specks and fill holes of any size.

    `mask`: `(h, w)` uint8; returns `(h, w)` uint8 of 0 and 1. First every 8-connected foreground component of at most
    `max_speck` pixels is removed, except where none is larger; then every 4-connected background component of at most
    `max_hole` pixels that does not touch the border is filled.

    This is not the rule of `clean_masks`, which is SAM 3's own and made for a few pixels: with large limits it would
    remove every part of a mask whose parts are each below half of it, fill a background that belongs outside, and close
    diagonal gaps between things.
    """
    code = _coded(mask)
    if max_speck > 0:
        parts = code.connected_component_stats(connectivity=8)
        if parts is not None:
            code = code.remove_small_components(min(max_speck + 1, int(parts[0].max())), connectivity=8)
    if max_hole > 0 and mask.size:
        around = -(-max_hole // mask.shape[1])  # rows enough outside to be no hole themselves
        code = code.pad(1, 1, around, 1).fill_small_holes(max_hole + 1, connectivity=4)
        code = code.crop([around, 1, mask.shape[0], mask.shape[1]])
    return _decoded(code)


def islands(mask: U8) -> list[U8]:
    """The 8-connected parts of `mask` `(h, w)` uint8 other than its largest, each as a mask of that size of 0 and 1."""
    parts = _coded(mask).connected_components(connectivity=8)
    areas = [int(part.area()) for part in parts]
    largest = areas.index(max(areas, default=0)) if areas else 0
    return [_decoded(part) for part in parts[:largest] + parts[largest + 1 :]]


def depths(mask: U8) -> F32:
    """How far each pixel of `mask` `(h, w)` uint8 is from the nearest that is off, what lies around the mask included.

    Returns `(h, w)` float32 in pixels, 0 where the mask is off; Borgefors' 3x3 chamfer distance, within 5 % of the
    Euclidean one.
    """
    on = cv2.copyMakeBorder((mask != 0).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    return np.ascontiguousarray(cv2.distanceTransform(on, cv2.DIST_L2, 3)[1:-1, 1:-1], np.float32)


def _coded(mask: U8) -> RLEMask:
    """The run-length code of the transposed mask: runs along the rows, as the memory lies."""
    return RLEMask.from_array(np.ascontiguousarray(mask).T)


def _decoded(code: RLEMask) -> U8:
    return np.asarray(code.to_array(order="F"), np.uint8).T


def unpack(bits: Bits, width: int) -> U8:
    """Packed rows `(..., words)` to `(..., width)` uint8 of 0 and 1."""
    return np.unpackbits(bits.view(np.uint8), axis=-1, count=width, bitorder="little")


def clean_masks(
    logits: F32,
    previous: Bits | None,
    count: int,
    bits: Bits,
    stats: I32,
    logits_out: F32 | None,
    max_hole: int,
    max_speck: int,
    hysteresis: float,
    delta: float,
) -> None:
    """K1: the first `count` logits to clean packed masks; see `kernels.masks.clean_masks`."""
    width = logits.shape[2]
    keep_above, high = np.float32(-hysteresis), np.float32(delta)
    for n in range(count):
        values = logits[n]
        on = values > 0
        if previous is not None:
            on |= unpack(previous[n], width).view(np.bool_) & (values > keep_above)
        clean = _without_small(on.view(np.uint8), max_hole, max_speck)
        packed = np.packbits(clean, axis=1, bitorder="little")
        bits[n] = 0  # only now, since it may be `previous`
        bits[n].view(np.uint8)[:, : packed.shape[1]] = packed
        x, y, w, h = cv2.boundingRect(clean)
        stats[n] = (
            np.count_nonzero(on), np.count_nonzero(clean), x, y, x + w, y + h,
            np.count_nonzero(values > high), np.count_nonzero(values > -high),
        )  # fmt: skip
        if logits_out is not None:
            _flip(values, clean.view(np.bool_), logits_out[n])


def _without_small(on: U8, max_hole: int, max_speck: int) -> U8:
    code = _coded(on).fill_small_holes(max_hole + 1, connectivity=8)
    code = code.remove_small_components(min(max_speck, int(code.area()) // 2) + 1, connectivity=8)
    return _decoded(code)


def _flip(values: F32, clean: Bools, out: F32) -> None:
    """Write the logits, with those whose sign disagrees with the clean mask just across 0."""
    out[...] = values
    wrong = np.flatnonzero(clean != (values > 0))
    out.reshape(-1)[wrong] = np.where(clean.reshape(-1)[wrong], FLIPPED_ON, FLIPPED_OFF)


def iou(a: U8, b: U8) -> F32:
    """Intersection over union of every mask of `a` with every mask of `b`.

    `a`: `(n, h, w)` uint8, `b`: `(m, h, w)` uint8; returns `(n, m)` float32 in 0..1, 0 where both are empty. The masks
    are packed to one bit a pixel and counted with popcount.
    """
    if a.shape[1:] != b.shape[1:]:
        raise ValueError(f"masks of {a.shape[1:]} and {b.shape[1:]} cannot be compared")
    bits_a, bits_b = _packed(a), _packed(b)
    out = np.empty((len(a), len(b)), np.float32)
    iou_bits(bits_a, bits_b, _areas(bits_a), _areas(bits_b), len(a), len(b), out)
    return out


def _packed(masks: U8) -> Bits:
    """`(n, h, w)` uint8 to `(n, 1, words)` uint32, all pixels in one row."""
    packed = np.packbits(masks.reshape(len(masks), 1, int(np.prod(masks.shape[1:]))) != 0, axis=2, bitorder="little")
    spare = -packed.shape[2] % 4
    return np.ascontiguousarray(np.pad(packed, ((0, 0), (0, 0), (0, spare))) if spare else packed).view(np.uint32)


def _areas(bits: Bits) -> I32:
    """Statistics of which only the area and a box around everything are filled."""
    stats = np.zeros((len(bits), 8), np.int32)
    stats[:, 1] = np.bitwise_count(bits).sum((1, 2))
    stats[:, 4:6] = bits.shape[2] * 32, bits.shape[1]
    return stats


def iou_bits(a: Bits, b: Bits, stats_a: I32, stats_b: I32, count_a: int, count_b: int, out: F32) -> None:
    """K3: overlap of packed masks; see `kernels.masks.iou`. Only words where both boxes are get counted."""
    boxes = stats_b[:count_b, 2:6]
    area_b = stats_b[:count_b, 1]
    for i in range(count_a):
        x0, y0, x1, y1 = stats_a[i, 2:6].tolist()
        touched = (boxes[:, 0] < x1) & (boxes[:, 2] > x0) & (boxes[:, 1] < y1) & (boxes[:, 3] > y0)
        near = np.flatnonzero(touched)
        both = np.zeros(count_b, np.int64)
        if len(near):
            rows, words = slice(y0, y1), slice(x0 // 32, -(-x1 // 32))
            both[near] = np.bitwise_count(a[i, rows, words] & b[near, rows, words]).sum((1, 2), dtype=np.int64)
        union = np.maximum(stats_a[i, 1] + area_b - both, 1)
        out[i, :count_b] = both.astype(np.float32) / union.astype(np.float32)


def score_order(scores: F32) -> I32:
    """Indices by falling score; see `kernels.masks.score_order`."""
    return np.argsort(-scores, kind="stable").astype(np.int32)


def nms(overlap: F32, scores: F32, count: int, threshold: float, keep: U8) -> None:
    """Greedy suppression; see `kernels.masks.nms`."""
    suppressed = np.zeros(count, np.bool_)
    keep[:count] = 0
    for i in score_order(scores[:count]).tolist():
        if not suppressed[i]:
            keep[i] = 1
            suppressed |= overlap[i, :count] > np.float32(threshold)


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
