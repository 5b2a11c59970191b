"""Dense optical flow between successive pictures, and the last moments of it.

Flow: DIS (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", 2016) as OpenCV has it. Its presets stop at
a quarter of the size, which is far too coarse for objects, so the finest scale is set to the full one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.engines.grid import F32, U8, Grid
from stream.types import FrameRef

Window = tuple[int, int, int, int]
"""Half-open, `(x0, y0, x1, y1)`, on the flow grid."""
MOST_MOMENTS = 96
PATCH_STRIDE = 6
DESCENTS = 16
"""Steps of gradient descent at a patch: fewer fall short of what moves fast, and masks trail behind it."""
MARGIN = 8
"""Pixels around a window that are looked at too: what moves into it comes from there."""
LEAST_SIDE = 96
"""Smaller parts have too few levels for fast motion."""
PART_COST = 2000
"""What each part costs by itself, in pixels."""
WHOLE_SHARE = 0.75
"""Parts that cost more than this share of the whole picture are not worth it."""
_of_thread = threading.local()


def _dense(now: U8, before: U8) -> NDArray[np.float16]:
    """The flow of `now` `(h, w)` uint8 back to `before`, `(h, w, 2)`: half floats take half the memory and are precise
    to 1/30 px up to 64 px."""
    if not hasattr(_of_thread, "dis"):
        dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
        dis.setFinestScale(0)
        dis.setPatchStride(PATCH_STRIDE)
        dis.setGradientDescentIterations(DESCENTS)
        _of_thread.dis = dis
    # OpenCV's stubs demand a flow to start from, which costs time and brings nothing
    flow: NDArray[np.float16] = _of_thread.dis.calc(now, before, None).astype(np.float16)
    return flow


def parts_for(windows: Sequence[Window], size: tuple[int, int]) -> list[Window]:
    """The parts of a grid of `size` `(width, height)` that cover all windows with their margins, at about the least
    cost: joined where one costs no more than two, and the whole where that is hardly more."""
    parts: list[Window] = []
    for window in windows:
        part = _widened(window, size)
        k = 0
        while k < len(parts):
            both = _hull(part, parts[k])
            if _cost(both) <= _cost(part) + _cost(parts[k]):
                part = both
                del parts[k]
                k = 0
            else:
                k += 1
        parts.append(part)
    whole = 0, 0, *size
    return parts if sum(map(_cost, parts)) < WHOLE_SHARE * _cost(whole) else [whole]


def _cost(window: Window) -> int:
    return (window[2] - window[0]) * (window[3] - window[1]) + PART_COST


def _hull(a: Window, b: Window) -> Window:
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def _widened(window: Window, size: tuple[int, int]) -> Window:
    x0, x1 = _stretched(window[0], window[2], size[0])
    y0, y1 = _stretched(window[1], window[3], size[1])
    return x0, y0, x1, y1


def _stretched(start: int, end: int, size: int) -> tuple[int, int]:
    """A span with its margins, at least `LEAST_SIDE` long where there is room."""
    missing = max(0, LEAST_SIDE - (end - start) - 2 * MARGIN)
    start = max(0, min(start - MARGIN - missing // 2, size - LEAST_SIDE))
    return start, min(size, max(end + MARGIN + missing // 2, start + LEAST_SIDE))


class Flow:
    """The flow of a picture back to the one before, `now(x) = before(x + flow(x))`, worked out in the parts where it
    is asked for. Any thread."""

    def __init__(self, now: U8, before: U8) -> None:
        """`now`, `before`: luma on the flow grid, `(h, w)` uint8, not copied."""
        self._now, self._before = now, before
        self._parts: tuple[tuple[Window, NDArray[np.float16]], ...] = ()

    @staticmethod
    def of(flow: F32) -> Flow:
        """One that is known, `(h, w, 2)` float32."""
        height, width = flow.shape[:2]
        known = Flow(np.zeros((0, 0), np.uint8), np.zeros((0, 0), np.uint8))
        known._parts = (((0, 0, width, height), flow.astype(np.float16)),)
        return known

    @property
    def luma(self) -> U8:
        """`(h, w)` uint8: the picture that it is the flow of; empty where the flow alone is known."""
        return self._now

    def prepare(self, windows: Sequence[Window]) -> None:
        """Work it out where these windows are, in as few and small parts as they allow."""
        height, width = self._now.shape
        for part in parts_for(windows, (width, height)):
            self._look(part)

    def within(self, window: Window) -> F32:
        """`(h, w, 2)` float32 of a window."""
        known = self._known(window)
        if known is None:
            height, width = self._now.shape
            self._look(_widened(window, (width, height)))
            known = self._known(window)
        if known is None:
            raise ValueError(f"{window} is not a window of a picture of {width}×{height}")
        return known

    def _known(self, window: Window) -> F32 | None:
        x0, y0, x1, y1 = window
        for (left, top, right, bottom), flow in self._parts:
            if left <= x0 and top <= y0 and right >= x1 and bottom >= y1:
                return flow[y0 - top : y1 - top, x0 - left : x1 - left].astype(np.float32)
        return None

    def whole(self) -> F32:
        """`(h, w, 2)` float32 of the picture."""
        known = self._parts[0][0] if not self._now.size else (0, 0, *self._now.shape[::-1])
        return self.within(known)

    def _look(self, part: Window) -> None:
        x0, y0, x1, y1 = part
        flow = _dense(*(np.ascontiguousarray(luma[y0:y1, x0:x1]) for luma in (self._now, self._before)))
        self._parts = (*self._parts, (part, flow))


@dataclass(frozen=True, slots=True)
class Moment:
    """One past picture: `small` `(h, w, 3)` uint8 BGR on the flow grid; `flow` from it to the picture before, None for
    the first."""

    step: int
    time_s: float
    ref: FrameRef
    small: U8
    flow: Flow | None


class FlowHistory:
    """The pictures of the last `seconds` and the flow between them; at most 96."""

    def __init__(self, grid: Grid, seconds: float) -> None:
        self.grid = grid
        self._seconds = seconds
        self._luma: U8 | None = None
        self._moments: tuple[Moment, ...] = ()
        """Replaced and never changed, so that any thread may read it."""
        self.xy: F32 = grid.flow_xy()

    def push(self, step: int, time_s: float, ref: FrameRef, small: U8) -> Flow | None:
        """Take the next picture; returns its flow back to the one before, None for the first."""
        luma = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)
        flow = Flow(luma, self._luma) if self._luma is not None else None
        self._luma = luma
        kept = (*self._moments[1 - MOST_MOMENTS :], Moment(step, time_s, ref, small, flow))
        self._moments = tuple(m for m in kept if m.time_s >= time_s - self._seconds)
        return flow

    def moments_after(self, step: int) -> Iterator[tuple[Moment, Flow]]:
        """The pictures later than `step` with their flows, oldest first. Any thread."""
        for moment in self._moments:
            if moment.step > step and moment.flow is not None:
                yield moment, moment.flow

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
