"""Compressed pictures out of a video file, as browsers can take them: as they are where possible, else as H.264.

Browsers decode live H.264 without B-frames in 8-bit 4:2:0 and VP8; everything else is transcoded. Blocking: for a
thread of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.bitstream import BitStreamFilterContext
from av.video.stream import VideoStream

from stream.bitstream import ParameterSets, is_keyframe
from stream.errors import SourceError
from stream.sources.picture import Picture, Place
from stream.sources.transcode import Transcoder
from stream.types import Codec

PLAIN_FORMATS = frozenset({"yuv420p", "yuvj420p"})
PLAIN_PROFILES = ("VP8", "Constrained Baseline", "Baseline", "Main", "High", "Constrained High")
LOOKED_AT_PACKETS = 300
"""Enough to meet the first B-frame of any encoder."""

MAX_KEYFRAME_GAP_S = 4.0
"""How long a newcomer may wait for a picture; a file with fewer keyframes is transcoded."""

SKIP_LATE_S = 0.1


@dataclass(frozen=True, slots=True)
class Layout:
    """What a file holds. `codec` is None where it has to be transcoded, and `note` then says so.

    `quarter_turns` is how often the picture has to be turned by 90° to the left to stand upright: phones record as
    they are held, and say in the file how that was.
    """

    codec: Codec | None
    note: str | None
    quarter_turns: int = 0


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
        place = Place(self._stream, first_ticks)
        for packet in self._container.demux(self._stream):
            for part in annex_b.filter(packet) if annex_b else [packet]:
                if not part.size:
                    continue
                data = sets.complete(bytes(part)) if annex_b else bytes(part)
                yield Picture(codec, data, is_keyframe(codec, data), self._at(place, part.pts, part.duration))

    def _transcoded(self, late_s: Callable[[int], float], first_ticks: int) -> Iterator[Picture]:
        transcoder = Transcoder(self._layout.quarter_turns)
        place = Place(self._stream, first_ticks)
        self._stream.thread_type = "AUTO"
        for frame in self._decoded():
            ticks = self._at(place, frame.pts, frame.duration)
            if late_s(ticks) <= SKIP_LATE_S or not transcoder.started:
                yield from transcoder.pictures(frame, ticks)

    def _decoded(self) -> Iterator[av.VideoFrame]:
        for packet in self._container.demux(self._stream):
            try:
                yield from self._stream.decode(packet)
            except av.error.InvalidDataError:
                continue  # a damaged picture costs itself

    def _at(self, place: Place, pts: int | None, duration: int | None) -> int:
        ticks = place.ticks(pts, duration)
        self.end_ticks = place.end_ticks
        return ticks


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


def _shown_out_of_order(packets: list[av.Packet[VideoStream]]) -> bool:
    shown = [packet.pts for packet in packets if packet.pts is not None]
    return shown != sorted(shown)


def _keyframe_gap_s(packets: list[av.Packet[VideoStream]]) -> float:
    """The longest time without a keyframe."""
    instants = [float(p.pts * p.time_base) for p in packets if p.pts is not None and p.time_base is not None]
    ends = [instant for instant, packet in zip(instants, packets, strict=True) if packet.is_keyframe] + instants[-1:]
    return max((after - before for before, after in pairwise(ends)), default=0.0)
