"""What `iou_bits`, `score_order` and `nms` compute, in plain NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.reference.cleaning import F32, I32, U32


def iou_bits(bits_a: U32, bits_b: U32) -> F32:
    """Intersection over union of packed masks `[N, H, words]` and `[M, H, words]`: float32 `[N, M]`, 0 for two empty
    ones; one division of two integers in float32."""
    iou = np.zeros((len(bits_a), len(bits_b)), np.float32)
    for i, a in enumerate(bits_a):
        for j, b in enumerate(bits_b):
            both, either = int(np.bitwise_count(a & b).sum()), int(np.bitwise_count(a | b).sum())
            iou[i, j] = np.float32(both) / np.float32(max(either, 1))
    return iou


def score_order(scores: F32) -> I32:
    """Indices by falling score; equal ones by index, NaN last."""
    numbers = np.where(np.isnan(scores), -np.inf, scores)
    return np.lexsort((np.arange(len(scores)), -numbers, np.isnan(scores))).astype(np.int32)


def nms(iou: F32, scores: F32, threshold: float) -> NDArray[np.uint8]:
    """1 for objects that stay: by falling score, those that overlap none that stays by more than `threshold`."""
    keep = np.zeros(len(scores), np.uint8)
    for i in score_order(scores):
        keep[i] = not (iou[np.flatnonzero(keep), i] > np.float32(threshold)).any()
    return keep
