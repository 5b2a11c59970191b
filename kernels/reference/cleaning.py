"""What `clean_masks` computes, in plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
U32 = NDArray[np.uint32]
I32 = NDArray[np.int32]
Mask = NDArray[np.bool_]


def pack_bits(mask: Mask) -> U32:
    """`[..., W]` bool to `[..., ceil(W/32)]` uint32: bit k of word w is pixel 32w + k, spare bits are 0."""
    spare = -mask.shape[-1] % 32
    padded = np.pad(mask, [(0, 0)] * (mask.ndim - 1) + [(0, spare)])
    words = np.packbits(padded, axis=-1, bitorder="little").reshape(*mask.shape[:-1], padded.shape[-1] // 32, 4)
    return np.ascontiguousarray(words).view("<u4")[..., 0].astype(np.uint32)


def unpack_bits(words: U32, width: int) -> Mask:
    """The inverse of `pack_bits`."""
    octets = np.ascontiguousarray(words, "<u4").view(np.uint8)
    return np.unpackbits(octets, axis=-1, bitorder="little")[..., :width].astype(bool)


def label(mask: Mask) -> NDArray[np.int64]:
    """8-connected components of `[H, W]`: each pixel gets its component's smallest pixel index, outside -1.

    Labels spread to neighbours and then jump to the label of the pixel that they name, until nothing changes.
    """
    height, width = mask.shape
    outside = height * width
    labels = np.where(mask, np.arange(outside).reshape(mask.shape), outside)
    while True:
        padded = np.pad(labels, 1, constant_values=outside)
        spread = labels.copy()
        for dy in range(3):
            for dx in range(3):
                np.minimum(spread, padded[dy : dy + height, dx : dx + width], out=spread)
        spread[~mask] = outside
        jumped = np.append(spread, outside)[spread]
        if np.array_equal(jumped, labels):
            return np.where(mask, labels, -1)
        labels = jumped


def small_components(mask: Mask, limit: int) -> Mask:
    """The pixels of `[H, W]` in 8-connected components of at most `limit` pixels."""
    labels = label(mask)
    sizes = np.bincount(labels[mask], minlength=1)
    return mask & (sizes[np.where(mask, labels, 0)] <= limit) if mask.any() else mask.copy()


def clean_masks(
    logits: F32,
    previous: U32 | None,
    *,
    max_hole: int = 16,
    max_speck: int = 16,
    hysteresis: float = 0.0,
    delta: float = 1.0,
) -> tuple[U32, I32, F32]:
    """Masks `[N, H, W]` from float32 logits: packed bits, statistics and corrected logits.

    A pixel is on above 0, or above `-hysteresis` where the previous mask was on. Then background components of at most
    `max_hole` pixels are filled, and then foreground components of at most `min(max_speck, area // 2)` dropped.
    Statistics, i32 `[N, 8]`: area before and after cleaning; box x0, y0, x1, y1, half-open, 0 when empty; how many
    logits are above `delta` and above `-delta`. Corrected logits become 0.1 in pixels that are on without being
    positive and -0.1 in those that are off though positive, which is what SAM's memory encoder is given.
    """
    count, _, width = logits.shape
    was_on = np.zeros(logits.shape, bool) if previous is None else unpack_bits(previous, width)
    on = logits > np.where(was_on, np.float32(-hysteresis), np.float32(0))
    stats = np.zeros((count, 8), np.int32)
    stats[:, 0] = on.sum((1, 2))
    for n in range(count):
        on[n] |= small_components(~on[n], max_hole)
        on[n] &= ~small_components(on[n], min(max_speck, int(on[n].sum()) // 2))
        stats[n, 2:6] = bounding_box(on[n])
    stats[:, 1] = on.sum((1, 2))
    stats[:, 6] = (logits > np.float32(delta)).sum((1, 2))
    stats[:, 7] = (logits > np.float32(-delta)).sum((1, 2))
    positive = logits > 0
    corrected = np.where(on & ~positive, np.float32(0.1), np.where(~on & positive, np.float32(-0.1), logits))
    return pack_bits(on), stats, corrected


def bounding_box(mask: Mask) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1, half-open; zeros for an empty mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def bfloat16_to_float32(bits: NDArray[np.uint16]) -> F32:
    """bfloat16, given as its bits, is the upper half of a float32."""
    wide: NDArray[Any] = bits.astype(np.uint32) << np.uint32(16)
    return wide.view(np.float32)


def float32_to_bfloat16(values: F32) -> NDArray[np.uint16]:
    """The bits of the nearest bfloat16, ties to even; a NaN stays one."""
    wide = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = (wide + np.uint32(0x7FFF) + ((wide >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return np.where(np.isnan(values), 0x7FC0, rounded).astype(np.uint16)
