"""Launches of the kernels on pictures: geometry and arguments, from arrays and sizes, on any runner.

The arrays are checked by `kernels.images`; here they are taken as they are. Floors are of bytes moved at 4.3 TB/s, what
an H200 copies; computed, not measured.
"""

from __future__ import annotations

import math
from dataclasses import astuple
from typing import Any

import numpy as np

from kernels.arrays import KernelInputError
from kernels.colour import Nv12, Picture, Window, rgb_to_yuv, size_of, yuv_to_rgb
from kernels.cuda.launch import Launch, float_suffix
from kernels.cuda.masks import OWNER_SUFFIX
from kernels.look import Look

THREADS = (256,)
COMPOSITE_TILE = (64, 32)
BLUR_TILE = (32, 16)
MODEL_TILE = (64, 16)
CUT_TILE = (32, 8)
SHARED_LIMIT_BYTES = 48 * 1024


def composite(
    frame: Picture, owner: Any, logits: Any | None, palette: Any, n_valid: Any, look: Look, out: Picture, *,
    behind: Picture | None = None, quarter: Any | None = None,
) -> Launch:  # fmt: skip
    """One picture composed into another of the same kind and size.

    `owner` u8|u16 `[H, W]`; `logits` f32|bf16 `[N, h, w]`; `palette` u8 `[N + 1, 4]`; `n_valid` i32 `[1]`; `behind` for
    the background "image"; `quarter` u8 `[ceil(H/4), ceil(W/4), 4]` of `quarter_blur` for "blur".

    Moves the picture twice and the owners once: in NV12 4 bytes a pixel, 0.9 µs at 720p and 1.9 µs at 1080p; in RGB 7,
    1.5 and 3.4 µs; a replacing picture adds its own bytes.
    """
    height, width = size_of(frame)
    h, w = logits.shape[1:] if logits is not None else (1, 1)
    capacity = palette.shape[0] - 1
    kind = f"{float_suffix(logits) if logits is not None else 'f32'}_{OWNER_SUFFIX[owner.itemsize]}"
    numbers = (
        *_ints(capacity, h, w, height, width, look.mode, look.pixelate_px or 8),
        *_floats(look.outline_px, look.softness_px, h / height, w / width),
    )
    grid = _blocks(width, height, COMPOSITE_TILE)
    if isinstance(frame, Nv12):
        assert isinstance(out, Nv12)
        y, uv = (behind.y, behind.uv) if isinstance(behind, Nv12) else (None, None)
        vector = width % 8 == 0 and _aligned(8, frame.y, frame.uv, out.y, out.uv)
        planes = (frame.y, frame.uv, owner, logits, palette, n_valid, y, uv, quarter, out.y, out.uv)
        tint = _floats(*astuple(rgb_to_yuv(frame.matrix, frame.full_range)))
        return Launch(f"composite_nv12_{kind}", grid, THREADS, (*planes, *numbers, *tint, np.int32(vector)))
    vector = width % 8 == 0 and _aligned(8, frame, out)
    arrays = (frame, owner, logits, palette, n_valid, behind, quarter, out)
    return Launch(f"composite_rgb_{kind}", grid, THREADS, (*arrays, *numbers, np.int32(vector)))


def quarter_blur(frame: Picture, look: Look, out: Any) -> Launch:
    """The blurred picture at a quarter of its size, `out` u8 `[ceil(H/4), ceil(W/4), 4]`, for the background "blur".

    Reads the picture about three times over, twice of it from the cache: 0.4 µs at 720p and 0.8 µs at 1080p in NV12.
    """
    height, width = size_of(frame)
    grid = _blocks(-(-width // 4), -(-height // 4), BLUR_TILE)
    weights = _floats(*look.blur_weights())
    planes = (frame.y, frame.uv) if isinstance(frame, Nv12) else (frame,)
    vector = width % 4 == 0 and _aligned(4, *planes)
    args = (*planes, out, *_ints(height, width, vector), *weights)
    return Launch(f"quarter_blur_{'nv12' if isinstance(frame, Nv12) else 'rgb'}", grid, THREADS, args)


def roi_crops(frame: Picture, boxes: Any, n_valid: Any, out: Any, owner: Any | None = None, ids: Any | None = None) -> (
    Launch
):  # fmt: skip
    """Crops `out` bf16 `[K, 3, S, S]` of `boxes` f32 `[K, 4]`; `owner` u8|u16 `[H, W]` and `ids` i32 `[K]` or None.

    Writes 6 S² bytes a crop: 0.7 µs for ten crops of 224².
    """
    count, _, _, side = out.shape
    height, width = size_of(frame)
    grid = (-(-side // 64), -(-side // 8), max(count, 1))
    kind = OWNER_SUFFIX[owner.itemsize] if owner is not None else "u8"
    rest = (boxes, owner, ids, n_valid, out, *_ints(height, width, side))
    if isinstance(frame, Nv12):
        colours = _floats(*astuple(yuv_to_rgb(frame.matrix, frame.full_range)))
        return Launch(f"roi_crops_nv12_{kind}", grid, (32, 8), (frame.y, frame.uv, *rest, *colours))
    return Launch(f"roi_crops_rgb_{kind}", grid, (32, 8), (frame, *rest))


def cut_out(frame: Nv12, window: Window, out: Any) -> Launch:
    """What is in `window` as `out` u8 `[h, w, 3]`.

    Reads 1.5 bytes a pixel of the window and writes 3 a result: 1 µs for all of 720p at 640 x 360.
    """
    left, top, right, bottom = window
    height, width = out.shape[:2]
    sizes = _ints(frame.size[1], left, top, right - left, bottom - top, width, height)
    args = (frame.y, frame.uv, out, *sizes, *_floats(*astuple(yuv_to_rgb(frame.matrix, frame.full_range))))
    return Launch("cut_out", _blocks(width, height, CUT_TILE), CUT_TILE, args)


def nv12_to_model(frame: Nv12, out: Any) -> Launch:
    """The whole picture as `out` bf16 `[3, S, S]`.

    Reads 1.5 bytes a pixel and writes 6 S²: 1.7 µs from 720p to 1008² and 2.1 µs from 1080p. Blocks take fewer rows
    where the picture is much larger than S. Raises `KernelInputError` where the pixels of one row do not fit shared
    memory.
    """
    height, width = frame.size
    side = out.shape[-1]
    columns, rows = MODEL_TILE
    pitch = -(-(_below(columns, width, side) + 3) // 4) * 4
    while (shared := pitch * _below(rows, height, side) * 4) > SHARED_LIMIT_BYTES and rows > 1:
        rows //= 2
    if shared > SHARED_LIMIT_BYTES:
        raise KernelInputError(f"a picture of {width} x {height} is too large for an input of {side} x {side}")
    vector = width % 4 == 0 and _aligned(4, frame.y, frame.uv)
    args = (
        frame.y, frame.uv, out, *_ints(height, width, side, pitch, rows), *_floats(height / side, width / side),
        *_floats(*astuple(yuv_to_rgb(frame.matrix, frame.full_range))), np.int32(vector),
    )  # fmt: skip
    return Launch("nv12_to_model", _blocks(side, side, (columns, rows)), THREADS, args, shared)


def _below(tile: int, size: int, side: int) -> int:
    """How many pixels of `size` at most lie below `tile` of `side` results."""
    return min(math.ceil(size / side * (min(tile, side) - 1)) + 3, size)


def _blocks(width: int, height: int, tile: tuple[int, int]) -> tuple[int, int]:
    return -(-width // tile[0]), -(-height // tile[1])


def _ints(*values: int) -> tuple[np.int32, ...]:
    return tuple(np.int32(value) for value in values)


def _floats(*values: float) -> tuple[np.float32, ...]:
    return tuple(np.float32(value) for value in values)


def _aligned(size: int, *arrays: Any) -> bool:
    return all(_address(array) % size == 0 for array in arrays)


def _address(array: Any) -> int:
    if hasattr(array, "data_ptr"):
        return int(array.data_ptr())
    return int(array.ctypes.data if isinstance(array, np.ndarray) else array.data.ptr)
