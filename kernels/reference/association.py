"""What `assoc_pack` computes, in plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.association import HEADER, ROW

Array = NDArray[Any]


def assoc_pack(
    iou: Array,
    scores: Array,
    stats: Array,
    out: NDArray[np.uint8],
    *,
    keep: Array | None = None,
    video_stats: Array | None = None,
    moments: Array | None = None,
    codes: Array | None = None,
    lengths: Array | None = None,
) -> None:
    """Pack n objects and m tracks into `out`, `[bytes]` uint8; the arrays hold the valid objects only.

    Codes are laid end to end; one that would end beyond `out`, and all after it, get length -1, as does one that was
    already too long where it was made. Bytes that are not in use stay as they are.
    """
    n, m = iou.shape
    rows = np.zeros(n, ROW)
    rows["score"], rows["stats"] = scores, stats
    rows["keep"] = 1 if keep is None else keep
    if video_stats is not None:
        rows["video_stats"] = video_stats
    if moments is not None:
        rows["moments"] = moments
    iou_offset = HEADER.itemsize + rows.nbytes
    codes_offset = used = end = iou_offset + 4 * n * m
    for i in range(n):
        length = 0 if lengths is None else int(lengths[i])
        start, end = end, end + max(length, 0)
        if length < 0 or end > out.size:
            rows[i]["code_length"] = -1
            continue
        rows[i]["code_offset"], rows[i]["code_length"] = start, length
        if codes is not None:
            out[start:end] = codes[i, :length]
        used = end
    lost = int((rows["code_length"] < 0).sum())
    header = np.array((n, m, iou_offset, codes_offset, used, lost, (0, 0)), HEADER)
    parts = header.tobytes() + rows.tobytes() + np.ascontiguousarray(iou, "<f4").tobytes()
    out[: len(parts)] = np.frombuffer(parts, np.uint8)
