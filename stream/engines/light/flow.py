"""Dense optical flow between successive pictures, and the last moments of it.

Flow: DIS (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", 2016) as OpenCV has it. Its presets stop at
a quarter of the size, which is far too coarse for objects, so the finest scale is set to the full one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.engines.light.grid import F32, U8, Grid
from stream.types import FrameRef

FlowField = NDArray[np.float32] | NDArray[np.float16]
MOST_MOMENTS = 96
PATCH_STRIDE = 6


@dataclass(frozen=True, slots=True)
class Moment:
    """One past picture: `small` `(h, w, 3)` uint8 BGR on the flow grid; `back` `(h, w, 2)` float16 (half the memory,
    and precise to 1/30 px up to 64 px), the flow from it to the picture before: `now(x) = before(x + back(x))`."""

    step: int
    time_s: float
    ref: FrameRef
    small: U8
    back: NDArray[np.float16] | None


class FlowHistory:
    """The flow of the newest picture, and the moments of the last `seconds`; at most 96."""

    def __init__(self, grid: Grid, seconds: float) -> None:
        self.grid = grid
        self._seconds = seconds
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        self._dis.setFinestScale(0)
        self._dis.setPatchStride(PATCH_STRIDE)
        self._luma: U8 | None = None
        self._moments: tuple[Moment, ...] = ()
        """Replaced and never changed, so that any thread may read it."""
        self.xy: F32 = grid.flow_xy()

    def push(self, step: int, time_s: float, ref: FrameRef, small: U8) -> F32 | None:
        """Take the next picture; returns its flow back to the one before, `(h, w, 2)` float32, None for the first."""
        luma = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)
        back: F32 | None = None
        if self._luma is not None:
            # OpenCV's stubs demand a flow to start from, which costs time and brings nothing
            back = np.asarray(self._dis.calc(luma, self._luma, None), np.float32)  # type: ignore[call-overload]
        self._luma = luma
        moment = Moment(step, time_s, ref, small, None if back is None else back.astype(np.float16))
        kept = (*self._moments[1 - MOST_MOMENTS :], moment)
        self._moments = tuple(m for m in kept if m.time_s >= time_s - self._seconds)
        return back

    def moments_after(self, step: int) -> Iterator[tuple[Moment, NDArray[np.float16]]]:
        """The pictures later than `step` with their flows, oldest first. Any thread."""
        for moment in self._moments:
            if moment.step > step and moment.back is not None:
                yield moment, moment.back

    def reaches(self, step: int) -> bool:
        """Whether every flow since `step` is still kept."""
        return bool(self._moments) and self._moments[0].step <= step + 1

    def at(self, ref: FrameRef) -> Moment | None:
        """The kept moment of that frame."""
        return next((moment for moment in self._moments if moment.ref == ref), None)

    def nearest(self, ref: FrameRef, within_ticks: int) -> Moment | None:
        """The kept moment of that frame, or where it was skipped the nearest one of its epoch."""
        same = [moment for moment in self._moments if moment.ref.epoch == ref.epoch]
        best = min(same, key=lambda m: _rtp_distance(m.ref.rtp, ref.rtp), default=None)
        return best if best is not None and _rtp_distance(best.ref.rtp, ref.rtp) <= within_ticks else None

    @property
    def newest(self) -> Moment | None:
        return self._moments[-1] if self._moments else None

    def __len__(self) -> int:
        return len(self._moments)


def _rtp_distance(a: int, b: int) -> int:
    """Ticks between two u32 timestamps, across the wrap."""
    d = (a - b) & 0xFFFFFFFF
    return min(d, 0x100000000 - d)
