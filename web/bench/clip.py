"""A clip as a camera of any size and rate, encoded before the measurement, so that it costs nothing meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from stream.errors import BadInput
from stream.sources.base import MediaSink, Received
from stream.types import CLOCK_HZ, Codec

MOST_PICTURES = 150
REMEMBERED = 600
"""Pictures whose times are kept for those who still measure them."""
ENCODERS: dict[Codec, tuple[str, dict[str, str]]] = {
    "H264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency"}),
    "VP8": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
}


@dataclass(frozen=True, slots=True)
class Clip:
    """Compressed pictures in order, the first a keyframe, and one at least every second."""

    codec: Codec
    width: int
    height: int
    fps: float
    packets: tuple[tuple[bytes, bool], ...]


def encode(path: Path, width: int, height: int, fps: float, codec: Codec = "H264") -> Clip:
    """The first pictures of a file, each once, at another size. Takes seconds. Raises `BadInput`."""
    name, options = ENCODERS[codec]
    encoder = av.CodecContext.create(name, "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, CLOCK_HZ), Fraction(fps).limit_denominator(1000)
    encoder.gop_size, encoder.bit_rate, encoder.options = max(1, round(fps)), 4 * width * height, options
    packets = []
    for number, picture in enumerate(_pictures(path)):
        scaled = picture.reformat(width=width, height=height, format="yuv420p")
        scaled.pts, scaled.time_base = round(number * CLOCK_HZ / fps), Fraction(1, CLOCK_HZ)
        scaled.pict_type = av.video.frame.PictureType.NONE
        packets += [(bytes(packet), packet.is_keyframe) for packet in encoder.encode(scaled)]
    packets += [(bytes(packet), packet.is_keyframe) for packet in encoder.encode(None)]
    if not packets:
        raise BadInput(f"{path.name} has no pictures.", action="Give a video file.")
    return Clip(codec, width, height, fps, tuple(packets))


def _pictures(path: Path) -> Iterator[av.VideoFrame]:
    try:
        with av.open(str(path)) as container:
            for number, picture in enumerate(container.decode(video=0)):
                if number == MOST_PICTURES:
                    return
                yield picture
    except (av.FFmpegError, IndexError) as error:
        raise BadInput(f"{path.name} cannot be read: {error}", action="Give a video file.") from error


def size_of(path: Path) -> tuple[int, int]:
    """`(width, height)` of a file's video. Raises `BadInput`."""
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            assert isinstance(stream, VideoStream)
            return stream.width, stream.height
    except (av.FFmpegError, IndexError) as error:
        raise BadInput(f"{path.name} cannot be read: {error}", action="Give a video file.") from error


class ClipCamera:
    """A source that plays a clip over and over and notes when each picture was due and when it was handed over."""

    kind = "file"
    url: str | None = "the benchmark's clip"
    note: str | None = None
    heard_s: float | None = None

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self.times: OrderedDict[int, tuple[float, float]] = OrderedDict()
        """By RTP timestamp: when it was due and when it was handed over, on the monotonic clock."""

    async def run(self, sink: MediaSink) -> None:
        sink.connected()
        clip, begun_s, number = self._clip, time.monotonic(), 0
        while True:
            due_s = begun_s + number / clip.fps
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            data, keyframe = clip.packets[number % len(clip.packets)]
            rtp = round(number * CLOCK_HZ / clip.fps) & 0xFFFFFFFF
            now_s = time.monotonic()
            self.times[rtp] = due_s, now_s
            if len(self.times) > REMEMBERED:
                self.times.popitem(last=False)
            sink.push(Received(clip.codec, data, keyframe, rtp, None, now_s))
            number += 1

    def request_keyframe(self) -> None:
        """It has one every second."""
