"""Low-resolution logits straight to an owner map of the picture, on the CPU."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
CHUNK_PX = 32768  # interpolated at a time: the floats stay in the second-level cache
X_BITS = [np.uint64(sum(1 << k for k in range(64) if k >> j & 1)) for j in range(6)]


class Taps(NamedTuple):
    """Half-pixel bilinear interpolation along one axis: `near * first + far * second`, each of the length of the
    picture's axis."""

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    near: F32
    far: F32


class Window(NamedTuple):
    """A half-open rectangle of the picture."""

    y0: int
    y1: int
    x0: int
    x1: int


@lru_cache(maxsize=16)
def taps(low: int, high: int) -> Taps:
    """Between which of `low` samples each of `high` pixels lies. The position is a float32 multiply-add, rounded once:
    float64 holds its exact value."""
    scale = float(np.float32(low) / np.float32(high))
    at = np.maximum((scale * (np.arange(high) + 0.5) - 0.5).astype(np.float32), np.float32(0))
    first = np.minimum(at.astype(np.intp), low - 1)
    far = at - first.astype(np.float32)
    return Taps(first, np.minimum(first + 1, low - 1), np.float32(1) - far, far)


def upsample_owner(
    logits: F32,
    low: NDArray[np.int32],
    order: NDArray[np.int32],
    group: NDArray[np.int32] | None,
    count: int,
    owner: NDArray[np.uint8] | NDArray[np.uint16],
    bits: NDArray[np.uint32] | None,
    stats: NDArray[np.int32],
    moments: NDArray[np.uint64],
) -> None:
    """K2: who owns which pixel of the picture; see `kernels.masks.upsample_owner`."""
    height, width = owner.shape[1:]
    across, down = taps(logits.shape[2], width), taps(logits.shape[1], height)
    owner.fill(0)
    stats[:count] = 0
    moments[:count] = 0
    if bits is not None:
        bits[:count] = 0
    for n in order[:count][::-1].tolist():  # the first in the order is painted last
        window = _reach(low[n], across, down) if 0 <= n < count else None
        if window is None:
            continue
        on = _interpolated(logits[n], across, down, window)
        map_of = 0 if group is None else int(group[n])
        if 0 <= map_of < len(owner):
            part = owner[map_of, window.y0 : window.y1, window.x0 : window.x1]
            cv2.copyTo(np.full(on.shape, n + 1, owner.dtype), on, part)
        packed = np.packbits(on, axis=1, bitorder="little")
        _measure(packed, window, stats[n], moments[n])
        if bits is not None:
            bits[n].view(np.uint8)[window.y0 : window.y1, window.x0 // 8 : window.x0 // 8 + packed.shape[1]] = packed


def _reach(low: NDArray[np.int32], across: Taps, down: Taps) -> Window | None:
    """The pixels of the picture that take from the box of a low-resolution mask; None without any. It begins at a
    multiple of 32 pixels, so that it can be packed in place."""
    x0, y0, x1, y1 = low[2:6].tolist()
    if x1 <= x0 or y1 <= y0:
        return None
    left, right = np.searchsorted(across.second, x0), np.searchsorted(across.first, x1)
    top, bottom = np.searchsorted(down.second, y0), np.searchsorted(down.first, y1)
    return Window(int(top), int(bottom), int(left) // 32 * 32, int(right)) if right > left and bottom > top else None


def _interpolated(logits: F32, across: Taps, down: Taps, window: Window) -> U8:
    """Where the interpolated logits are positive, 255, else 0.

    First along x, then along y, each product and sum rounded to float32. A sum of two floats has the sign of the exact
    sum, so that `near * a + far * b > 0` is the same as `near * a > -far * b`.
    """
    rows = slice(window.y0, window.y1)
    columns = slice(window.x0, window.x1)
    first, second = down.first[rows], down.second[rows]
    source = logits[first[0] : second[-1] + 1]
    wide = source.take(across.first[columns], axis=1)
    wide *= across.near[columns]
    other = source.take(across.second[columns], axis=1)
    other *= across.far[columns]
    wide += other
    first, second = first - first[0], second - first[0]
    near, far = down.near[rows, None], -down.far[rows, None]
    on = np.empty((len(first), wide.shape[1]), np.uint8)
    step = -(-CHUNK_PX // wide.shape[1])
    for y in range(0, len(first), step):
        chunk = slice(y, y + step)
        a, b = wide.take(first[chunk], axis=0), wide.take(second[chunk], axis=0)
        a *= near[chunk]
        b *= far[chunk]
        cv2.compare(a, b, cv2.CMP_GT, on[chunk])
    return on


def _measure(packed: U8, window: Window, stats: NDArray[np.int32], moments: NDArray[np.uint64]) -> None:
    """Area, box and sums of the coordinates, from the packed rows of a window."""
    spare = -packed.shape[1] % 8
    columns = np.ascontiguousarray(np.pad(packed, ((0, 0), (0, spare))) if spare else packed).view(np.uint64)
    per_word = np.bitwise_count(columns)
    per_row = per_word.sum(1, dtype=np.int64)
    rows = np.flatnonzero(per_row)
    if not len(rows):
        return
    seen = np.flatnonzero(np.unpackbits(np.bitwise_or.reduce(packed, axis=0), bitorder="little"))
    area = int(per_row.sum())
    in_word = sum(int(np.bitwise_count(columns & mask).sum(dtype=np.int64)) << j for j, mask in enumerate(X_BITS))
    before = int(per_word.sum(0, dtype=np.int64) @ np.arange(columns.shape[1])) * 64
    box = seen[0] + window.x0, rows[0] + window.y0, seen[-1] + 1 + window.x0, rows[-1] + 1 + window.y0
    stats[:2] = area
    stats[2:6] = box
    moments[0] = in_word + before + area * window.x0
    moments[1] = int(per_row @ np.arange(len(per_row))) + area * window.y0
