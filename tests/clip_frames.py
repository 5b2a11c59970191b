"""Compressed pictures with numbers in them, as a source would deliver them, and clips read back."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import av
import numpy as np

from stream.types import CLOCK_HZ, Codec, EncodedFrame, FrameRef, Track, TrackState, TrackUpdate
from tests.barcode import LOWER_HALF, picture, read

ENCODERS: dict[Codec, tuple[str, dict[str, str]]] = {
    "H264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "repeat-headers=1"}),
    "VP8": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
}


class Camera:
    """Encodes pictures that carry 0, 1, 2, …; a keyframe each `group` pictures. `size` may change between them."""

    def __init__(
        self, codec: Codec = "H264", size: tuple[int, int] = (160, 120), fps: int = 30, group: int = 30
    ) -> None:
        self.codec = codec
        self.size = size
        self.fps = fps
        self.group = group
        self.number = 0
        self.epoch = 1
        self._encoder: Any = None

    def film(self, count: int, start_s: float = 1000.0) -> list[EncodedFrame]:
        """The next `count` pictures; number 0 is received at `start_s`."""
        return [self._next(start_s) for _ in range(count)]

    def _next(self, start_s: float) -> EncodedFrame:
        if self._encoder is None or (self._encoder.width, self._encoder.height) != self.size:
            self._encoder = self._open()
        frame = av.VideoFrame.from_ndarray(picture(self.number, *self.size), format="rgb24")
        pts = self.number * CLOCK_HZ // self.fps
        frame.pts, frame.time_base = pts, Fraction(1, CLOCK_HZ)
        (packet,) = self._encoder.encode(frame)
        received_s = start_s + self.number / self.fps
        self.number += 1
        data, key = bytes(packet), bool(packet.is_keyframe)
        return EncodedFrame(self.codec, data, key, self.epoch, pts, (pts + 7) & 0xFFFFFFFF, None, received_s)

    def _open(self) -> Any:
        name, options = ENCODERS[self.codec]
        encoder: Any = av.CodecContext.create(name, "w")
        encoder.width, encoder.height, encoder.pix_fmt = *self.size, "yuv420p"
        encoder.time_base, encoder.framerate = Fraction(1, CLOCK_HZ), self.fps
        encoder.bit_rate = 1_500_000
        encoder.max_b_frames = 0
        encoder.options = options | {"g": str(self.group)}
        return encoder


def number_of(frame: EncodedFrame, fps: int = 30) -> int:
    """The number in a picture of a `Camera`."""
    return round(frame.pts * fps / CLOCK_HZ)


def update_of(frame: EncodedFrame, size: tuple[int, int] = (160, 120)) -> TrackUpdate:
    """What an engine that reads the number says of `frame`."""
    box = (size[0] * 0.25, size[1] * 0.5, size[0] * 0.75, size[1] * 0.9)
    track = Track(1, str(number_of(frame)), 1.0, box, LOWER_HALF, TrackState.LIVE, None, 0.0)
    return TrackUpdate(
        frame.epoch, number_of(frame), frame.pts, frame.rtp, frame.captured_unix_us, *size, (track,)
    )  # fmt: skip


def ref(frame: EncodedFrame) -> FrameRef:
    return FrameRef(frame.epoch, frame.rtp)


def numbers_in(video: bytes) -> dict[int, int | None]:
    """Decode a clip: the number in each picture, by its presentation time in ticks of the file."""
    found: dict[int, int | None] = {}
    with av.open(io.BytesIO(video)) as file:
        for frame in file.decode(video=0):
            assert frame.pts is not None
            found[frame.pts] = read(np.ascontiguousarray(frame.to_ndarray(format="gray")))
    return found


def labels_in(lines: Iterable[str]) -> dict[int, str]:
    """The label of the first track of each line of annotations, by the clip's own `pts`."""
    parsed = [json.loads(line) for line in lines if line]
    return {line["pts"]: line["tracks"][0]["label"] for line in parsed}
