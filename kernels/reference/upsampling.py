"""What `upsample_owner` computes, in plain NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.reference.cleaning import F32, I32, U32, Mask, bounding_box, pack_bits


def taps(size: int, low_size: int) -> tuple[NDArray[np.intp], NDArray[np.intp], F32]:
    """For each of `size` pixels: the two of `low_size` samples that it lies between, and how far from the first.

    Half-pixel centres, `align_corners=False`, in float32. The position is one fused multiply-add, as in torch; float64
    holds its exact value, which is then rounded once.
    """
    scale = float(np.float32(low_size) / np.float32(size))
    at = np.maximum((scale * (np.arange(size) + 0.5) - 0.5).astype(np.float32), np.float32(0))
    first = np.minimum(at.astype(np.intp), low_size - 1)
    return first, np.minimum(first + 1, low_size - 1), at - first.astype(np.float32)


def bilinear(logits: F32, height: int, width: int) -> F32:
    """One float32 picture `[h, w]` at another size: along x first, then along y, rounded after every operation.

    Within four roundings of the largest logit of `torch.nn.functional.interpolate` on the CPU, which may sum in
    another order.
    """
    one = np.float32(1)
    left, right, across = taps(width, logits.shape[1])
    top, bottom, down = taps(height, logits.shape[0])
    wide = (one - across) * logits[:, left] + across * logits[:, right]
    return (one - down)[:, None] * wide[top] + down[:, None] * wide[bottom]


def upsample_owner(
    logits: F32, order: I32, height: int, width: int, group: I32 | None = None, groups: int = 1
) -> tuple[NDArray[np.uint16], U32, I32, NDArray[np.uint64]]:
    """Owner maps u16 `[G, H, W]`, packed masks, statistics i32 `[N, 8]` and sums of x and y u64 `[N, 2]`.

    A pixel is on where the interpolated logit is positive. Its owner, 1-based, is the first object in `order` that is
    on there, in the map that `group` names; objects of any other group are measured but drawn nowhere. Statistics are
    the area, twice, the half-open box, 0 when empty, and two zeros.
    """
    on = np.stack([bilinear(one, height, width) > 0 for one in logits]) if len(logits) else empty(height, width)
    owner = np.zeros((groups, height, width), np.uint16)
    for n in order:
        which = 0 if group is None else int(group[n])
        if 0 <= which < groups:
            owner[which][on[n] & (owner[which] == 0)] = n + 1
    y, x = np.arange(height), np.arange(width)
    moments = np.array([(mask.sum(0) @ x, mask.sum(1) @ y) for mask in on], np.uint64).reshape(-1, 2)
    return owner, pack_bits(on), measure(on), moments


def measure(masks: Mask) -> I32:
    """Statistics of bool masks `[N, H, W]`: area, twice, half-open box, two zeros."""
    stats = np.zeros((len(masks), 8), np.int32)
    stats[:, 0] = stats[:, 1] = masks.sum((1, 2))
    for n, mask in enumerate(masks):
        stats[n, 2:6] = bounding_box(mask)
    return stats


def empty(height: int, width: int) -> Mask:
    """No masks of a size."""
    return np.zeros((0, height, width), bool)
