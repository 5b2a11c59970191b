"""Whether a camera's pictures are worth a step of the engine: only while somebody or something waits for what is in
them, and then while something moves.

The test for motion is made a few times a second, on a picture of 64 × 36 that costs a fraction of a millisecond. It
notices at once whether the picture has changed at all, which is how a frozen camera is found.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from stream.surfaces import DeviceFrame
from stream.types import U8, EncodedFrame, Frame

LOOK_S = 0.2
"""The shortest time between two looks."""

REFERENCE_S = 1.0
"""Motion is what differs from a picture that is about this old."""

STEP_LEVELS = 10
"""By so many grey levels a cell of the small picture has to differ, which noise does not do over a cell."""

CELLS = 2
HOLD_S = 4.0
"""So long everything is stepped after the last motion."""

KEEP_S = 1.0
"""One picture in this time is stepped though nothing moves: what waits for time to pass must see it."""

ASKED_S = 60.0
SMALL = (64, 36)


class Attention:
    """The gate of one stream's lane (`stream.lane.FrameGate`). Called on the decoder's thread; the rest from any.

    `wanted` says whether a viewer, a rule or a watch needs tracks, `busy` whether there are any now, which are followed
    to their end. With `gates` off every picture passes, and only its changes are noted.
    """

    def __init__(
        self,
        *,
        gates: bool,
        wanted: Callable[[], bool],
        busy: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.gates = gates
        self._wanted = wanted
        self._busy = busy
        self._clock = clock
        self._lock = threading.Lock()
        self._holders = 0
        self._asked_s = float("-inf")
        self.looked_s = float("-inf")
        self._referred_s = float("-inf")
        self._moved_s = clock()
        self._passed_s = float("-inf")
        self._reference: U8 | None = None
        self._last: U8 | None = None
        self._passing = True
        self._skimming = False
        self.trouble: str | None = None
        """What is amiss with whoever watches the camera by this, in words for a viewer."""
        self.changed_s = clock()
        """When the picture last differed at all from the one before, on the monotonic clock. As far as is known at
        `looked_s`: while only keyframes are decoded, looks are as far apart as these."""

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Somebody looks on meanwhile."""
        with self._lock:
            self._holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._holders -= 1

    def ask(self) -> None:
        """Somebody wants to know what is there: track for a minute."""
        self._asked_s = self._clock()

    @property
    def idle(self) -> bool:
        """Nobody and nothing needs tracks."""
        waits = self._holders > 0 or self._clock() - self._asked_s < ASKED_S
        return self.gates and not waits and not self._wanted()

    @property
    def policy(self) -> str | None:
        """What is not done, in words for a viewer."""
        if self.idle:
            return "Not tracked: nobody is watching, and no rule or watch waits for anything."
        if not self._passing:
            return "Nothing moves: one picture a second is tracked."
        return None

    def decodes(self, encoded: EncodedFrame) -> bool:
        """Whether a picture is worth decoding: while idle only keyframes, and then all again from the next one on.
        Event loop only."""
        self._skimming = self.idle if encoded.keyframe else self._skimming or self.idle
        return encoded.keyframe or not self._skimming

    def __call__(self, frame: Frame) -> bool:
        now_s = self._clock()
        if now_s - self.looked_s >= LOOK_S:
            self._look(frame, now_s)
        if self.idle:
            return False
        moving = now_s - self._moved_s < HOLD_S or self._busy()
        self._passing = not self.gates or moving
        if self._passing or now_s - self._passed_s >= KEEP_S:
            self._passed_s = now_s
            return True
        return False

    def _look(self, frame: Frame, now_s: float) -> None:
        self.looked_s = now_s
        small = _small(frame)
        if self._last is None or small.shape != self._last.shape or not np.array_equal(small, self._last):
            self.changed_s = now_s
        self._last = small
        if not self.gates:
            return
        if self._reference is None or self._differs(small, self._reference):
            self._moved_s = now_s
        if now_s - self._referred_s >= REFERENCE_S:
            self._reference, self._referred_s = small, now_s

    @staticmethod
    def _differs(one: U8, other: U8) -> bool:
        return one.shape != other.shape or int(np.count_nonzero(cv2.absdiff(one, other) > STEP_LEVELS)) >= CELLS


def held(attention: Attention | None) -> contextlib.AbstractContextManager[None]:
    """Somebody looks at a stream that may have no gate."""
    return attention.held() if attention is not None else contextlib.nullcontext()


def _small(frame: Frame) -> U8:
    """Means of luma over the cells of a small picture, uint8. Of a frame on a device only that much is copied."""
    width, height = SMALL
    if isinstance(frame, DeviceFrame) and frame.width >= width and frame.height >= height:
        bgr = frame.cut((0, 0, frame.width, frame.height), (height, width))
        return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420)[:height], np.uint8)
    return np.asarray(cv2.resize(frame.y, SMALL, interpolation=cv2.INTER_AREA), np.uint8)
