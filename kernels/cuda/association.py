"""Launches of `assoc_pack`."""

from __future__ import annotations

import math

import numpy as np

from kernels.association import block_bytes
from kernels.cuda.launch import Argument, Launch

THREADS = 128


def assoc_pack(
    iou: Argument,
    scores: Argument,
    stats: Argument,
    n_valid: Argument,
    m_valid: Argument,
    out: Argument,
    *,
    keep: Argument = None,
    video_stats: Argument = None,
    moments: Argument = None,
    codes: Argument = None,
    lengths: Argument = None,
) -> list[Launch]:
    """Gather what the host needs of a frame into one block, read there by `kernels.association.read_block`.

    `iou`: float32 `[N, M]`; `scores`: float32 `[N]`; `stats`, `video_stats`: i32 `[N, 8]`; `n_valid`, `m_valid`: i32
    `[1]`; `keep`: u8 `[N]`; `moments`: u64 `[N, 2]`; `codes`: u8 `[N, capacity]` with `lengths`: i32 `[N]`; out `out`:
    u32 `[block_bytes(N, M, …) / 4]`. Rows without a mask's keep flag are 1, other parts that are not given 0.
    """
    objects, tracks = iou.shape
    capacity = 4 * math.prod(out.shape)
    if capacity < block_bytes(objects, tracks):
        needed = block_bytes(objects, tracks)
        raise ValueError(f"{objects} objects and {tracks} tracks need a block of {needed} bytes, not {capacity}")
    if (codes is None) != (lengths is None):
        raise ValueError("codes and their lengths go together")
    code_capacity = 0 if codes is None else codes.shape[1]
    arrays = (iou, scores, keep, stats, video_stats, moments, codes, lengths, n_valid, m_valid, out)
    numbers = (np.int32(tracks), np.int32(code_capacity), np.int32(capacity))
    return [Launch("assoc_pack", (max(objects, 1),), (THREADS,), (*arrays, *numbers))]
