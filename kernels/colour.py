"""How YUV maps to RGB and back: the one set of matrices of the project, and the conversion on the CPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
Matrix = Literal["bt601", "bt709"]


@dataclass(frozen=True, slots=True)
class YuvToRgb:
    """With `l = max(y - offset, 0) * gain` and `u`, `v` less 128: `r = l + r_v v`, `g = l - g_u u - g_v v`,
    `b = l + b_u u`. Luma below black is taken as black, as OpenCV does."""

    offset: float
    gain: float
    r_v: float
    g_u: float
    g_v: float
    b_u: float


@dataclass(frozen=True, slots=True)
class RgbToYuv:
    """With `l = k_r r + k_g g + k_b b`: `y = l * gain + offset`, `u = (b - l) u_b + 128`, `v = (r - l) v_r + 128`."""

    k_r: float
    k_g: float
    k_b: float
    gain: float
    offset: float
    u_b: float
    v_r: float


@dataclass(frozen=True, slots=True)
class Nv12:
    """A picture in NV12, on any device: `y` `(H, W)` uint8, `uv` `(ceil(H/2), ceil(W/2), 2)` uint8."""

    y: Any
    uv: Any
    matrix: Matrix = "bt601"
    full_range: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """`(H, W)` in pixels."""
        return int(self.y.shape[0]), int(self.y.shape[1])


Picture = Nv12 | Any
"""NV12, or an interleaved `(H, W, 3)` uint8 array of any backend."""

Window = tuple[int, int, int, int]
"""A part of a picture in whole pixels, half-open: left, top, right, bottom."""


def size_of(picture: Picture) -> tuple[int, int]:
    """`(H, W)` of a picture, in pixels."""
    return picture.size if isinstance(picture, Nv12) else (int(picture.shape[0]), int(picture.shape[1]))


def yuv_to_rgb(matrix: Matrix = "bt601", full_range: bool = False) -> YuvToRgb:
    """The coefficients for 8-bit values, from the luma weights of ITU-R BT.601-7 and BT.709-6."""
    k_r, k_g, k_b = _weights(matrix)
    offset, gain, chroma = (0.0, 1.0, 1.0) if full_range else (16.0, 255 / 219, 255 / 224)
    return YuvToRgb(
        offset, gain, r_v=2 * (1 - k_r) * chroma, g_u=2 * k_b * (1 - k_b) / k_g * chroma,
        g_v=2 * k_r * (1 - k_r) / k_g * chroma, b_u=2 * (1 - k_b) * chroma,
    )  # fmt: skip


def rgb_to_yuv(matrix: Matrix = "bt601", full_range: bool = False) -> RgbToYuv:
    """The inverse of `yuv_to_rgb`."""
    k_r, k_g, k_b = _weights(matrix)
    offset, gain, chroma = (0.0, 1.0, 1.0) if full_range else (16.0, 219 / 255, 224 / 255)
    return RgbToYuv(k_r, k_g, k_b, gain, offset, u_b=chroma / (2 * (1 - k_b)), v_r=chroma / (2 * (1 - k_r)))


def _weights(matrix: Matrix) -> tuple[float, float, float]:
    k_r, k_b = (0.299, 0.114) if matrix == "bt601" else (0.2126, 0.0722)
    return k_r, 1 - k_r - k_b, k_b


def nv12_to_bgr(y: U8, uv: U8, *, matrix: Matrix = "bt601", full_range: bool = False) -> U8:
    """Convert NV12 planes to BGR.

    `y`: `(H, W)` uint8; `uv`: `(ceil(H/2), ceil(W/2), 2)` uint8; returns `(H, W, 3)` uint8. Chroma is repeated over its
    2 x 2 pixels. OpenCV converts, by its own constants where it knows them and by a matrix otherwise, a few times to
    thirty times as fast as float32 arrays; at most one level off `nv12_to_rgb`.
    """
    height, width = y.shape
    if matrix == "bt601" and not full_range and height % 2 == 0 and width % 2 == 0:
        return cv2.cvtColorTwoPlane(y, uv, cv2.COLOR_YUV2BGR_NV12).astype(np.uint8, copy=False)
    return yuv_to_bgr(y, repeated(uv)[:height, :width], matrix=matrix, full_range=full_range)


def repeated(uv: U8) -> U8:
    """Chroma `(h, w, 2)` of NV12 for each pixel, `(2 h, 2 w, 2)`."""
    rows, columns = uv.shape[:2]
    return np.asarray(cv2.resize(uv, (2 * columns, 2 * rows), interpolation=cv2.INTER_NEAREST), np.uint8)


def yuv_to_bgr(y: U8, chroma: U8, *, matrix: Matrix = "bt601", full_range: bool = False) -> U8:
    """The same where every pixel has chroma of its own, `(H, W, 2)` uint8."""
    k = yuv_to_rgb(matrix, full_range)
    yuv = cv2.merge([np.maximum(y, np.uint8(k.offset)), *cv2.split(chroma)])
    black = -k.gain * k.offset
    to_bgr = np.array([
        [k.gain, k.b_u, 0, black - 128 * k.b_u],
        [k.gain, -k.g_u, -k.g_v, black + 128 * (k.g_u + k.g_v)],
        [k.gain, 0, k.r_v, black - 128 * k.r_v],
    ], np.float32)  # fmt: skip
    return cv2.transform(yuv, to_bgr).astype(np.uint8, copy=False)


def nv12_to_rgb(y: U8, uv: U8, *, matrix: Matrix = "bt601", full_range: bool = False) -> U8:
    """Convert NV12 planes to RGB in float32, rounded half to even: what the CUDA kernels compute.

    Shapes as for `nv12_to_bgr`; returns `(H, W, 3)` uint8.
    """
    height, width = y.shape
    k = yuv_to_rgb(matrix, full_range)
    luma = np.maximum(y.astype(np.float32) - np.float32(k.offset), np.float32(0)) * np.float32(k.gain)
    chroma = uv.repeat(2, axis=0).repeat(2, axis=1)[:height, :width].astype(np.float32) - np.float32(128)
    u, v = chroma[..., 0], chroma[..., 1]
    rgb = np.empty((height, width, 3), np.float32)
    rgb[..., 0] = luma + np.float32(k.r_v) * v
    rgb[..., 1] = luma - np.float32(k.g_u) * u - np.float32(k.g_v) * v
    rgb[..., 2] = luma + np.float32(k.b_u) * u
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)
