"""Launches of `clean_masks`."""

from __future__ import annotations

import numpy as np

from kernels.cuda.launch import Argument, Launch, float_suffix

SIDE = 288
THREADS = 1024
SHARED_BYTES = SIDE * SIDE // 8 + SIDE * SIDE // 4 * 2  # one bit a pixel and a 16-bit label for each 2×2 block
MAX_LIMIT = 2**15 - 2


def clean_masks(
    logits: Argument,
    previous: Argument,
    n_valid: Argument,
    bits: Argument,
    stats: Argument,
    logits_out: Argument,
    max_hole: int = 16,
    max_speck: int = 16,
    hysteresis: float = 0.0,
    delta: float = 1.0,
) -> list[Launch]:
    """Threshold, fill small holes, drop small specks, measure; `kernels.reference.cleaning` says what exactly.

    `logits`: `[N, 288, 288]` float32 or bfloat16, aligned to 16 bytes; `previous`: u32 `[N, 288, 9]` or `None`, may be
    `bits`; `n_valid`: i32 `[1]`; out `bits`: u32 `[N, 288, 9]`; `stats`: i32 `[N, 8]`; `logits_out`: float32
    `[N, 288, 288]` or `None`. Of objects from `n_valid` on nothing is written.
    """
    if not (0 <= max_hole <= MAX_LIMIT and 0 <= max_speck <= MAX_LIMIT):
        raise ValueError(f"max_hole and max_speck go from 0 to {MAX_LIMIT}, not {max_hole} and {max_speck}")
    count = logits.shape[0]
    if count == 0:
        return []
    numbers = (np.int32(max_hole), np.int32(max_speck), np.float32(hysteresis), np.float32(delta))
    args = (logits, previous, n_valid, bits, stats, logits_out, *numbers)
    return [Launch(f"clean_masks_{float_suffix(logits)}", (count,), (THREADS,), args, SHARED_BYTES)]
