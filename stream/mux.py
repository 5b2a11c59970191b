"""Compressed pictures into a file that players take, without encoding them again.

H.264 goes into fragmented MP4 (ISO/IEC 14496-12, 14496-15), VP8 into WebM. Blocking: for a thread of its own.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.video.stream import VideoStream

from stream.bitstream import vp8_size
from stream.errors import MediaError
from stream.types import CLOCK_HZ, Codec, EncodedFrame


@dataclass(frozen=True, slots=True)
class Container:
    """`clock_hz`: ticks a second of the presentation times in it. WebM has milliseconds."""

    suffix: str
    media_type: str
    format: str
    clock_hz: int
    options: tuple[tuple[str, str], ...] = ()


CONTAINERS: dict[Codec, Container] = {
    "H264": Container(
        ".mp4", "video/mp4", "mp4", CLOCK_HZ, (("movflags", "frag_keyframe+empty_moov+default_base_moof"),)
    ),
    "VP8": Container(".webm", "video/webm", "webm", 1000),
}
MEDIA_TYPES = {container.suffix: container.media_type for container in CONTAINERS.values()}


@dataclass(frozen=True, slots=True)
class Muxed:
    """A whole file. `pts` are the presentation times of its pictures in ticks of `clock_hz`, the first 0."""

    data: bytes
    container: Container
    pts: tuple[int, ...]
    width: int
    height: int

    @property
    def duration_s(self) -> float:
        return (self.pts[-1] + _usual_step(self.pts, self.container.clock_hz)) / self.container.clock_hz


def presentation_times(frames: Sequence[EncodedFrame]) -> tuple[int, ...]:
    """The clip's own times of `frames`, which share one codec and epoch: from 0 on, each later than the one before."""
    clock_hz = CONTAINERS[frames[0].codec].clock_hz
    times: list[int] = []
    for frame in frames:
        wanted = round((frame.pts - frames[0].pts) * clock_hz / CLOCK_HZ)
        times.append(max(wanted, times[-1] + 1) if times else 0)
    return tuple(times)


def mux(frames: Sequence[EncodedFrame]) -> Muxed:
    """`frames` as a file: in decoding order without reordering, of one codec, size and epoch, the first a keyframe.

    Raises `MediaError` where they cannot be packed.
    """
    container = CONTAINERS[frames[0].codec]
    pts = presentation_times(frames)
    tick = Fraction(1, container.clock_hz)
    sink = io.BytesIO()
    try:
        with av.open(sink, "w", format=container.format, options=dict(container.options)) as out:
            stream, width, height = _stream(out, frames[0])
            stream.time_base = tick
            following = (*pts[1:], pts[-1] + _usual_step(pts, container.clock_hz))
            for frame, at, after in zip(frames, pts, following, strict=True):
                packet = av.Packet(frame.data)
                packet.stream = stream
                packet.time_base = tick
                packet.pts = packet.dts = at
                packet.duration = after - at
                packet.is_keyframe = frame.keyframe
                out.mux(packet)
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(f"The pictures of a clip cannot be packed: {error}") from error
    return Muxed(sink.getvalue(), container, pts, width, height)


def picture_times(path: Path) -> list[float]:
    """The presentation times of the pictures in a video file, in seconds, in order. Raises `MediaError`."""
    try:
        with av.open(str(path)) as file:
            stream = file.streams.video[0]
            assert stream.time_base is not None
            times = [float(packet.pts * stream.time_base) for packet in file.demux(stream) if packet.pts is not None]
    except (av.FFmpegError, OSError, IndexError) as error:
        raise MediaError(f"{path.name} cannot be read: {error}") from error
    return sorted(times)


def _stream(out: av.container.OutputContainer, keyframe: EncodedFrame) -> tuple[VideoStream, int, int]:
    if keyframe.codec == "VP8":
        width, height = vp8_size(keyframe.data) or (0, 0)
        stream = out.add_mux_stream("vp8", width=width, height=height)
        assert isinstance(stream, VideoStream)
        return stream, width, height
    # What the container says of the video (size, profile, parameter sets) is read from the keyframe.
    with av.open(io.BytesIO(keyframe.data), format="h264") as source:
        found = source.streams.video[0]
        return out.add_stream_from_template(found), found.width, found.height


def _usual_step(pts: Sequence[int], clock_hz: int) -> int:
    """How long the last picture is shown: as long as the others on average."""
    return max(1, round(pts[-1] / (len(pts) - 1))) if len(pts) > 1 else clock_hz // 25
