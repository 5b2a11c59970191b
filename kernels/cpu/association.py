"""Everything of a frame that goes to one block of memory, on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.association import HEADER, ROW


def assoc_pack(
    overlap: NDArray[np.float32],
    scores: NDArray[np.float32],
    stats: NDArray[np.int32],
    n: int,
    m: int,
    block: NDArray[np.uint8],
    *,
    keep: NDArray[np.uint8] | None,
    video_stats: NDArray[np.int32] | None,
    moments: NDArray[np.uint64] | None,
    codes: NDArray[np.uint8] | None,
    lengths: NDArray[np.int32] | None,
) -> None:
    """K8: `n` objects and `m` tracks into the bytes of `block`; see `kernels.masks.assoc_pack`."""
    iou_offset = HEADER.itemsize + n * ROW.itemsize
    codes_offset = iou_offset + 4 * n * m
    rows = block[HEADER.itemsize : iou_offset].view(ROW)
    given: dict[str, Any] = {"stats": stats, "video_stats": video_stats, "moments": moments}
    rows["score"] = scores[:n]
    rows["keep"] = 1 if keep is None else keep[:n]
    for name, values in given.items():
        rows[name] = 0 if values is None else values[:n]
    block[iou_offset:codes_offset].view(np.float32).reshape(n, m)[:] = overlap[:n, :m]
    sizes = np.zeros(n, np.int64) if lengths is None else np.maximum(lengths[:n], 0).astype(np.int64)
    ends = codes_offset + np.cumsum(sizes)
    fits = ends <= block.size
    if lengths is not None:
        fits &= lengths[:n] >= 0
    rows["code_offset"] = np.where(fits, ends - sizes, 0)
    rows["code_length"] = np.where(fits, sizes, -1)
    if codes is not None:
        for i in np.flatnonzero(fits).tolist():
            block[ends[i] - sizes[i] : ends[i]] = codes[i, : sizes[i]]
    used = int(ends[fits].max(initial=codes_offset))
    lost = n - int(np.count_nonzero(fits))
    block[: HEADER.itemsize].view(HEADER)[0] = (n, m, iou_offset, codes_offset, used, lost, (0, 0))
