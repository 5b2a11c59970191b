"""Image conversion on the CPU."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]


def nv12_to_bgr(y: U8, uv: U8, *, matrix: Literal["bt601", "bt709"] = "bt601", full_range: bool = False) -> U8:
    """Convert NV12 planes to BGR.

    `y`: `(H, W)` uint8; `uv`: `(ceil(H/2), ceil(W/2), 2)` uint8; returns `(H, W, 3)` uint8. Limited-range BT.601 goes
    through OpenCV's fixed-point path; the others through float32 with nearest-neighbour chroma.
    """
    height, width = y.shape
    if matrix == "bt601" and not full_range and height % 2 == 0 and width % 2 == 0:
        return cv2.cvtColorTwoPlane(y, uv, cv2.COLOR_YUV2BGR_NV12).astype(np.uint8, copy=False)
    kr, kb = (0.299, 0.114) if matrix == "bt601" else (0.2126, 0.0722)
    kg = 1 - kr - kb
    luma = y.astype(np.float32)
    chroma = uv.repeat(2, axis=0).repeat(2, axis=1)[:height, :width].astype(np.float32) - 128
    if not full_range:
        luma = (luma - 16) * (255 / 219)
        chroma *= 255 / 224
    u, v = chroma[..., 0], chroma[..., 1]
    bgr = np.empty((height, width, 3), np.float32)
    bgr[..., 0] = luma + 2 * (1 - kb) * u
    bgr[..., 1] = luma - 2 * kb * (1 - kb) / kg * u - 2 * kr * (1 - kr) / kg * v
    bgr[..., 2] = luma + 2 * (1 - kr) * v
    return np.clip(np.rint(bgr), 0, 255).astype(np.uint8)
