"""COCO's compressed run-length code on the CPU, written and read by rlemasklib."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rlemasklib import RLEMask

U8 = NDArray[np.uint8]
MAX_RLE_PIXELS = 4096 * 4096


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
    return _code(window, (height, width), at, threshold).decode("ascii")


def _code(window: U8, size: tuple[int, int], at: tuple[int, int], threshold: int) -> bytes:
    if not window.size:
        code = RLEMask.zeros(size)
    else:
        code = RLEMask.from_array(np.ascontiguousarray(window), threshold=threshold)
        if size != window.shape:
            code = code.pad(at[0], size[0] - at[0] - window.shape[0], at[1], size[1] - at[1] - window.shape[1])
    return bytes(code.to_dict()["counts"])


def rle_coco(
    bits: NDArray[np.uint32],
    stats: NDArray[np.int32],
    count: int,
    width: int,
    data: U8,
    length: NDArray[np.int32],
) -> None:
    """K4: the codes of the first `count` packed masks; see `kernels.masks.rle_coco`."""
    height, capacity = bits.shape[1], data.shape[1]
    rows = bits.view(np.uint8)
    for n in range(count):
        x0, y0, x1, y1 = stats[n, 2:6].tolist()
        left = x0 // 8
        window = np.unpackbits(
            rows[n, y0:y1, left : -(-x1 // 8)], axis=1, count=min(-(-x1 // 8) * 8, width) - left * 8, bitorder="little"
        )
        code = _code(window, (height, width), (y0, left * 8), 1)
        length[n] = len(code) if len(code) <= capacity else -1
        if len(code) <= capacity:
            data[n, : len(code)] = np.frombuffer(code, np.uint8)


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
