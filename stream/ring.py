"""The newest compressed pictures of a stream, from a keyframe on: what a clip is cut from.

A clip of a moment begins before it, so that the pictures are kept before anything happens. Bounded by time and by
bytes; let go of in whole groups of pictures, since what lacks its keyframe cannot be decoded.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice

from stream.bitstream import LAST_SLICE_TYPE, NAL_SPS, nal_units, vp8_size
from stream.types import Codec, EncodedFrame, FrameRef

Format = tuple[int, Codec, bytes | tuple[int, int] | None]
"""What one file can hold: epoch, codec, and what tells the size (an H.264 sequence parameter set, VP8's own words)."""


@dataclass(frozen=True, slots=True)
class RingFrame:
    """A compressed picture and the format that its group has. `serial` grows by one from picture to picture."""

    frame: EncodedFrame
    format: Format
    serial: int


def format_of(keyframe: EncodedFrame) -> Format:
    """What changes where a file must end. `keyframe` has its parameter sets in front."""
    if keyframe.codec == "VP8":
        return keyframe.epoch, keyframe.codec, vp8_size(keyframe.data)
    for kind, start, end in nal_units(keyframe.data):
        if kind == NAL_SPS:
            return keyframe.epoch, keyframe.codec, keyframe.data[start:end].lstrip(b"\0")
        if 1 <= kind <= LAST_SLICE_TYPE:
            break
    return keyframe.epoch, keyframe.codec, None


class PacketRing:
    """Holds `keep_s` seconds by time of arrival, and beyond that the group that they begin in; at most `max_bytes`.

    Not thread-safe: for the event loop.
    """

    def __init__(self, keep_s: float, max_bytes: int) -> None:
        self._keep_s = keep_s
        self._max_bytes = max_bytes
        self._frames: deque[RingFrame] = deque()
        self._keyframes: deque[RingFrame] = deque()
        self._format: Format | None = None
        self._serial = 0
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def newest_s(self) -> float | None:
        """When the last picture came, on the monotonic clock."""
        return self._frames[-1].frame.received_s if self._frames else None

    def push(self, frame: EncodedFrame) -> RingFrame | None:
        """Take one picture in decoding order. None where it cannot be decoded, since its keyframe is missing."""
        if frame.keyframe:
            self._format = format_of(frame)
        if self._format is None or frame.epoch != self._format[0]:
            self._format = None
            return None
        held = RingFrame(frame, self._format, self._serial)
        self._serial += 1
        self._frames.append(held)
        self.bytes += len(frame.data)
        if frame.keyframe:
            self._keyframes.append(held)
        self._let_go(frame.received_s - self._keep_s)
        return held

    def since(self, instant_s: float) -> list[RingFrame]:
        """From the last keyframe at or before `instant_s` (monotonic) on; from the first one where there is none."""
        start = next((held for held in reversed(self._keyframes) if held.frame.received_s <= instant_s), None)
        start = start or (self._keyframes[0] if self._keyframes else None)
        if start is None:
            return []
        return list(islice(self._frames, start.serial - self._frames[0].serial, None))

    def find(self, ref: FrameRef) -> EncodedFrame | None:
        """The picture of that name, looked for from the newest on."""
        for held in reversed(self._frames):
            if held.frame.rtp == ref.rtp and held.frame.epoch == ref.epoch:
                return held.frame
        return None

    def clear(self) -> None:
        """Forget everything, and begin again with the next keyframe."""
        self._frames.clear()
        self._keyframes.clear()
        self._format = None
        self.bytes = 0

    def _let_go(self, before_s: float) -> None:
        while len(self._keyframes) > 1 and (
            self._keyframes[1].frame.received_s <= before_s or self.bytes > self._max_bytes
        ):
            self._keyframes.popleft()
            while self._frames[0].serial < self._keyframes[0].serial:
                self.bytes -= len(self._frames.popleft().frame.data)
        if self.bytes > self._max_bytes:
            self.clear()
