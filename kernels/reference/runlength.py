"""What `rle_coco` computes, in plain NumPy: COCO's compressed run-length strings."""

from __future__ import annotations

import numpy as np

from kernels.reference.cleaning import Mask


def run_lengths(mask: Mask) -> list[int]:
    """Lengths of the runs of `[H, W]`, column by column, beginning with one of zeros, which may be empty."""
    pixels = np.concatenate([[False], mask.T.ravel()])
    starts = np.flatnonzero(pixels[1:] != pixels[:-1])
    return [int(run) for run in np.diff(np.concatenate([[0], starts, [mask.size]]))]


def rle_coco(mask: Mask) -> bytes:
    """The string: from the third on a run is stored as the difference from the one two before; a number as groups of
    five bits, lowest first, with the sign in the last one's highest bit, and bit 5 set in all but the last."""
    runs = run_lengths(mask)
    text = bytearray()
    for i, run in enumerate(runs):
        value = run - runs[i - 2] if i > 2 else run
        while True:
            group, value = value & 31, value >> 5
            last = value == (-1 if group & 16 else 0)
            text.append(48 + group + (0 if last else 32))
            if last:
                break
    return bytes(text)
