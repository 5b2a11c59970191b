"""Pictures and objects for the tests of the kernels on pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.colour import Nv12

POISON = 0xA5


def nv12(height: int, width: int, seed: int = 0, **colour: Any) -> Nv12:
    """A gradient with noise, over all values."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 256, (height, width), np.uint8) // 2 + np.linspace(0, 127, width).astype(np.uint8)
    uv = random.integers(0, 256, ((height + 1) // 2, (width + 1) // 2, 2), np.uint8)
    return Nv12(y.astype(np.uint8), uv, **colour)


def rgb(height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def poisoned_like(picture: Any) -> Any:
    """An output that nothing has been written to."""
    if isinstance(picture, Nv12):
        return Nv12(np.full_like(picture.y, POISON), np.full_like(picture.uv, POISON))
    return np.full_like(picture, POISON)


def ellipses(
    count: int, h: int, w: int, height: int, width: int, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    """Logits `[count, h, w]` of noisy ellipses, some cut by the edge of the picture, with a filled hole each, and their
    owners `[height, width]`: the first object in front."""
    random = np.random.default_rng(seed)
    ys, xs = np.mgrid[:h, :w].astype(np.float32)
    logits = np.empty((count, h, w), np.float32)
    for n in range(count):
        (cy, cx), (ry, rx) = random.uniform(0, 1, 2) * (h, w), random.uniform(0.1, 0.4, 2) * (h, w)
        logits[n] = 6 * (1 - ((ys - cy) / ry) ** 2 - ((xs - cx) / rx) ** 2) + random.normal(0, 0.3, (h, w))
        logits[n, min(int(cy), h - 1), min(int(cx), w - 1)] = 0.1
    owner = np.zeros((height, width), np.uint16)
    for n in reversed(range(count)):
        owner[stretched(logits[n], height, width) > 0] = n + 1
    return logits, owner


def stretched(plane: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Bilinear, half-pixel centres."""

    def taps(count: int, limit: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        at = np.maximum(np.float32(limit / count) * (np.arange(count, dtype=np.float32) + 0.5) - 0.5, 0)
        first = np.minimum(at.astype(np.int64), limit - 1)
        return first, np.minimum(first + 1, limit - 1), (at - first).astype(np.float32)

    (y0, y1, ly), (x0, x1, lx) = taps(height, plane.shape[0]), taps(width, plane.shape[1])
    upper, lower = ((1 - lx) * plane[y][:, x0] + lx * plane[y][:, x1] for y in (y0, y1))
    result: NDArray[np.float32] = (1 - ly)[:, None] * upper + ly[:, None] * lower
    return result


def palette_of(count: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count + 1, 4), np.uint8)


def count_of(n: int) -> NDArray[np.int32]:
    """`n_valid` as the kernels take it."""
    return np.array([n], np.int32)
