"""A decoder thread under test."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from stream.decode import DecoderThread
from stream.decode import Decoding as DecodedBy
from stream.errors import OnlookerError
from stream.hardware import Hardware
from stream.types import EncodedFrame, Frame
from tests.barcode import read


class Decoding:
    """A decoder thread and everything that it said. Frames are kept as they are on the host; `on_frame` gets them as
    they come."""

    def __init__(
        self, max_pixels: int = 4096 * 2304, *, hardware: Hardware | None = None,
        on_frame: Callable[[Frame], None] = lambda frame: None,
    ) -> None:  # fmt: skip
        self.frames: list[Frame] = []
        self.by: list[DecodedBy] = []
        """What decoded the frames, each where it was another than before."""
        self.drops: Counter[str] = Counter()
        self.errors: list[OnlookerError] = []
        self.keyframes_asked = 0
        self._on_frame = on_frame
        self.hold = threading.Event()
        self.hold.set()
        self.thread = DecoderThread(
            "decoder under test",
            on_frame=self._take,
            request_keyframe=self._ask,
            on_drop=lambda stage, count: self.drops.update({stage: count}),
            on_error=self.errors.append,
            max_pixels=max_pixels,
            hardware=hardware,
        )

    def _take(self, frame: Frame) -> None:
        self.hold.wait(10)
        by = self.thread.decoding
        if by is not None and self.by[-1:] != [by]:
            self.by.append(by)
        self._on_frame(frame)
        self.frames.append(replace(frame, y=frame.y, uv=frame.uv))

    def _ask(self) -> None:
        self.keyframes_asked += 1

    def push(self, frames: list[EncodedFrame]) -> None:
        """One after the other, as a camera would send them."""
        for frame in frames:
            seen = len(self.frames) + self.drops.total()
            self.thread.push(frame)
            self.until(lambda seen=seen: len(self.frames) + self.drops.total() > seen)

    def until(self, check: Callable[[], object]) -> None:
        deadline_s = time.monotonic() + 10
        while not check():
            assert time.monotonic() < deadline_s, "it did not happen"
            time.sleep(0.001)

    @property
    def numbers(self) -> list[int | None]:
        return [read(frame.y) for frame in self.frames]
