"""Compressed pictures with numbers in them, made by real encoders."""

from __future__ import annotations

import time
from collections.abc import Iterable

import av

from stream.bitstream import is_keyframe
from stream.types import Codec, EncodedFrame
from tests.barcode import picture

ENCODERS: dict[Codec, tuple[str, dict[str, str]]] = {
    "H264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "forced-idr": "1"}),
    "VP8": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
}


class Encoder:
    """Encodes `tests.barcode.picture(n)`; keyframes where they are asked for, and first."""

    def __init__(self, codec: Codec, size: tuple[int, int] = (320, 240), options: dict[str, str] | None = None) -> None:
        name, usual = ENCODERS[codec]
        self.codec = codec
        self._size = size
        self._context = av.CodecContext.create(name, "w")
        self._context.width, self._context.height = size
        self._context.pix_fmt = "yuv420p"
        self._context.framerate = 30
        self._context.bit_rate = 2_000_000
        self._context.gop_size = 10_000
        self._context.options = {**usual, **(options or {})}

    def encode(self, number: int, *, keyframe: bool = False) -> bytes:
        frame = av.VideoFrame.from_ndarray(picture(number, *self._size), format="rgb24")
        frame.pts = number
        if keyframe:
            frame.pict_type = av.video.frame.PictureType.I
        return b"".join(bytes(packet) for packet in self._context.encode(frame))


def encoded_frames(
    codec: Codec,
    numbers: Iterable[int],
    *,
    size: tuple[int, int] = (320, 240),
    keyframes: Iterable[int] = (),
    epoch: int = 1,
    at_s: float | None = None,
) -> list[EncodedFrame]:
    """One frame a number, with `pts` and `rtp` of 3000 ticks a number; received `at_s`, or now."""
    encoder, wanted = Encoder(codec, size), set(keyframes)
    frames = []
    for number in numbers:
        data = encoder.encode(number, keyframe=number in wanted)
        pts = number * 3000
        received_s = time.monotonic() if at_s is None else at_s
        frames.append(EncodedFrame(codec, data, is_keyframe(codec, data), epoch, pts, pts, None, received_s))
    return frames
