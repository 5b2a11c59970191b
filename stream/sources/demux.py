"""Compressed pictures out of a video file, as browsers can take them: as they are where possible, else as H.264.

Browsers decode live H.264 without B-frames in 8-bit 4:2:0 and VP8; everything else is transcoded. Blocking: for a
thread of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice, pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import cv2
import numpy as np
from av.bitstream import BitStreamFilterContext
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from av.video.stream import VideoStream

from stream.bitstream import ParameterSets, is_keyframe
from stream.encode import TICKS, open_encoder
from stream.errors import SourceError
from stream.types import CLOCK_HZ, Codec

PLAIN_FORMATS = frozenset({"yuv420p", "yuvj420p"})
PLAIN_PROFILES = ("VP8", "Constrained Baseline", "Baseline", "Main", "High", "Constrained High")
LOOKED_AT_PACKETS = 300
"""Enough to meet the first B-frame of any encoder."""

MAX_KEYFRAME_GAP_S = 4.0
"""How long a newcomer may wait for a picture; a file with fewer keyframes is transcoded."""

MAX_TRANSCODED_PIXELS = 1920 * 1088
SKIP_LATE_S = 0.1
TURNS = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}


@dataclass(frozen=True, slots=True)
class Layout:
    """What a file holds. `codec` is None where it has to be transcoded, and `note` then says so.

    `quarter_turns` is how often the picture has to be turned by 90° to the left to stand upright: phones record as
    they are held, and say in the file how that was.
    """

    codec: Codec | None
    note: str | None
    quarter_turns: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """One compressed picture, to be shown `ticks` (90 kHz) after the start."""

    codec: Codec
    data: bytes
    keyframe: bool
    ticks: int


def inspect(path: Path) -> Layout:
    """Decide how `path` can be played. Raises `SourceError` for what is no readable video."""
    with _open(path) as container:
        return _layout(container, _video(container, path))


class Reading:
    """One pass over a file, from start to end. Raises `SourceError` when it cannot be opened."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._layout = layout
        self._container = _open(path)
        self._stream = _video(self._container, path)
        self.end_ticks = 0
        """How long the pass is, after the last picture has been read."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    def pictures(self, late_s: Callable[[int], float], first_ticks: int) -> Iterator[Picture]:
        """The pictures in decoding order, the first at `first_ticks`.

        `late_s` tells how late a picture at some ticks is; those that are late are left out before they are encoded.
        """
        if self._layout.codec is None:
            return self._transcoded(late_s, first_ticks)
        return self._copied(self._layout.codec, first_ticks)

    def _copied(self, codec: Codec, first_ticks: int) -> Iterator[Picture]:
        sets = ParameterSets()
        annex_b = BitStreamFilterContext("h264_mp4toannexb", self._stream) if codec == "H264" else None
        place = _Place(self._stream, first_ticks)
        for packet in self._container.demux(self._stream):
            for part in annex_b.filter(packet) if annex_b else [packet]:
                if not part.size:
                    continue
                data = sets.complete(bytes(part)) if annex_b else bytes(part)
                yield Picture(codec, data, is_keyframe(codec, data), self._at(place, part.pts, part.duration))

    def _transcoded(self, late_s: Callable[[int], float], first_ticks: int) -> Iterator[Picture]:
        encoder: VideoCodecContext | None = None
        place = _Place(self._stream, first_ticks)
        keyframe_at = 0
        self._stream.thread_type = "AUTO"
        for frame in self._decoded():
            ticks = self._at(place, frame.pts, frame.duration)
            if late_s(ticks) > SKIP_LATE_S and encoder is not None:
                continue
            width, height = _fitting(frame.width, frame.height)
            shown = (height, width) if self._layout.quarter_turns % 2 else (width, height)
            if encoder is None or (encoder.width, encoder.height) != shown:
                encoder = open_encoder(*shown)
                keyframe_at = ticks
            plain = turned(frame.reformat(width=width, height=height, format="yuv420p"), self._layout.quarter_turns)
            plain.pts, plain.time_base = ticks, TICKS
            plain.pict_type = PictureType.I if ticks >= keyframe_at else PictureType.NONE
            if ticks >= keyframe_at:
                keyframe_at = ticks + CLOCK_HZ
            for packet in encoder.encode(plain):
                data = bytes(packet)
                yield Picture("H264", data, is_keyframe("H264", data), ticks)

    def _decoded(self) -> Iterator[av.VideoFrame]:
        for packet in self._container.demux(self._stream):
            try:
                yield from self._stream.decode(packet)
            except av.error.InvalidDataError:
                continue  # a damaged picture costs itself

    def _at(self, place: _Place, pts: int | None, duration: int | None) -> int:
        ticks = place.ticks(pts, duration)
        self.end_ticks = place.end_ticks
        return ticks


class _Place:
    """Where pictures lie in time, from 0 for the first and never going back, whatever the file says."""

    def __init__(self, stream: VideoStream, first_ticks: int) -> None:
        assert stream.time_base is not None
        self._scale = Fraction(stream.time_base.numerator, stream.time_base.denominator) * CLOCK_HZ
        rate = stream.average_rate or stream.guessed_rate or 25
        self._usual = max(1, round(CLOCK_HZ / Fraction(rate)))
        self._first_ticks = first_ticks
        self._first_pts: int | None = None
        self._next = 0
        self.end_ticks = 0

    def ticks(self, pts: int | None, duration: int | None) -> int:
        if pts is not None and self._first_pts is None:
            self._first_pts = pts
        here = self._next if pts is None or self._first_pts is None else round((pts - self._first_pts) * self._scale)
        here = max(here, self._next - self._usual + 1, 0)
        self._next = here + self._usual
        self.end_ticks = here + (round(duration * self._scale) if duration else self._usual)
        return self._first_ticks + here


def _open(path: Path) -> av.container.InputContainer:
    try:
        return av.open(str(path.resolve(strict=True)), options={"protocol_whitelist": "file"})
    except FileNotFoundError:
        raise SourceError(f"There is no file {path.name}.", action="Check the path.") from None
    except PermissionError:
        raise SourceError(f"{path.name} may not be read.", action="Change its permissions.") from None
    except (av.FFmpegError, OSError, ValueError) as error:
        raise SourceError(f"{path.name} is not a video that can be read.", action="Convert it to MP4.") from error


def _video(container: av.container.InputContainer, path: Path) -> VideoStream:
    if not container.streams.video:
        container.close()
        raise SourceError(f"{path.name} has no video.", action="Choose a video file.")
    return container.streams.video[0]


def _layout(container: av.container.InputContainer, stream: VideoStream) -> Layout:
    context = stream.codec_context
    packets = [packet for packet in islice(container.demux(stream), LOOKED_AT_PACKETS) if packet.pts is not None]
    turns = _quarter_turns(packets)
    codec: Codec | None = "VP8" if context.name in ("vp8", "libvpx") else "H264" if context.name == "h264" else None
    if codec is None:
        reason = f"{context.name.upper()} video"
    elif context.pix_fmt not in PLAIN_FORMATS or not str(context.profile or "VP8").startswith(PLAIN_PROFILES):
        reason = f"{codec} {context.profile} ({context.pix_fmt})"
    elif context.has_b_frames or _shown_out_of_order(packets):
        reason = "H.264 with B-frames"
    elif _keyframe_gap_s(packets) > MAX_KEYFRAME_GAP_S:
        reason = "Video with so few keyframes"
    elif turns:
        reason = f"Video that was turned by {90 * turns if turns < 3 else 90}°"
    else:
        return Layout(codec, None)
    return Layout(None, f"{reason} cannot be watched live in browsers as it is: transcoded to H.264.", turns)


def _quarter_turns(packets: list[av.Packet[VideoStream]]) -> int:
    """What the first picture's display matrix says, 0 to 3."""
    for packet in packets:
        with contextlib.suppress(av.error.InvalidDataError):
            for frame in packet.decode():
                assert isinstance(frame, av.VideoFrame)
                return round(frame.rotation / 90) % 4
    return 0


def turned(frame: av.VideoFrame, quarter_turns: int) -> av.VideoFrame:
    """`frame`, yuv420p of even size, turned to the left by so many quarters."""
    if not quarter_turns:
        return frame
    width, height = frame.width, frame.height
    samples = frame.to_ndarray()
    luma, chroma = samples[:height], samples[height:].reshape(2, height // 2, width // 2)
    planes = [np.asarray(cv2.rotate(plane, TURNS[quarter_turns])) for plane in (luma, *chroma)]
    joined = np.concatenate([plane.ravel() for plane in planes]).reshape(-1, planes[0].shape[1])
    upright = av.VideoFrame.from_ndarray(joined, format="yuv420p")
    upright.color_range, upright.colorspace = frame.color_range, frame.colorspace
    return upright


def _shown_out_of_order(packets: list[av.Packet[VideoStream]]) -> bool:
    shown = [packet.pts for packet in packets if packet.pts is not None]
    return shown != sorted(shown)


def _keyframe_gap_s(packets: list[av.Packet[VideoStream]]) -> float:
    """The longest time without a keyframe."""
    instants = [float(p.pts * p.time_base) for p in packets if p.pts is not None and p.time_base is not None]
    ends = [instant for instant, packet in zip(instants, packets, strict=True) if packet.is_keyframe] + instants[-1:]
    return max((after - before for before, after in pairwise(ends)), default=0.0)


def _fitting(width: int, height: int) -> tuple[int, int]:
    """The picture's size, halved until it can be encoded in real time, and even."""
    while width * height > MAX_TRANSCODED_PIXELS:
        width, height = width // 2, height // 2
    return max(2, width & ~1), max(2, height & ~1)
