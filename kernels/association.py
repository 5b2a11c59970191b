"""One block of memory a frame, from the device to the host: its layout, and how it is read.

Header | a row per object | IoU with the tracks, n x m float32 | run-length codes, end to end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEADER = np.dtype(
    [
        ("n", "<i4"),
        ("m", "<i4"),
        ("iou_offset", "<i4"),
        ("codes_offset", "<i4"),
        ("bytes", "<i4"),
        ("codes_lost", "<i4"),
        ("reserved", "<i4", 2),
    ]
)
"""Offsets are in bytes from the start; `bytes` is all that is in use; `codes_lost` counts the codes of length -1."""

ROW = np.dtype(
    [
        ("score", "<f4"),
        ("keep", "<i4"),
        ("stats", "<i4", 8),
        ("video_stats", "<i4", 8),
        ("moments", "<u8", 2),
        ("code_offset", "<i4"),
        ("code_length", "<i4"),
    ]
)
"""`stats` at mask size and `video_stats` at the picture's, as everywhere: areas, box, stability counts. `moments`: sums
of x and y at the picture's size. `code_length`: -1 where the code did not fit."""


def block_bytes(objects: int, tracks: int, code_bytes: int = 0) -> int:
    """The size of a block for at most so many objects and tracks, and this much for codes; a multiple of 16."""
    needed = HEADER.itemsize + objects * ROW.itemsize + objects * tracks * 4 + code_bytes
    return -(-needed // 16) * 16


@dataclass(frozen=True, slots=True)
class FrameBlock:
    """What one frame brought to the host; views of the block except `codes`."""

    rows: NDArray[Any]
    """`[n]`, of dtype `ROW`."""
    iou: NDArray[np.float32]
    """`[n, m]`."""
    codes: list[bytes | None]
    """COCO run-length codes; empty where none were packed, None where one did not fit."""


def read_block(block: NDArray[np.uint8]) -> FrameBlock:
    """The parts of a packed block, `[bytes]` uint8 in host memory. Copies codes only, waits for nothing.

    Raises ValueError if the block was not packed.
    """
    header = block[: HEADER.itemsize].view(HEADER)[0]
    n, m, start, used = (int(header[name]) for name in ("n", "m", "iou_offset", "bytes"))
    if min(n, m) < 0 or start != HEADER.itemsize + n * ROW.itemsize or not start + 4 * n * m <= used <= block.size:
        raise ValueError("not a packed block")
    rows = block[HEADER.itemsize : start].view(ROW)
    iou = block[start : start + 4 * n * m].view(np.float32).reshape(n, m)
    codes = [
        None if length < 0 else block[offset : offset + length].tobytes()
        for offset, length in zip(rows["code_offset"].tolist(), rows["code_length"].tolist(), strict=True)
    ]
    return FrameBlock(rows, iou, codes)
