"""Compressed pictures from an opened camera, as browsers can take them: as they are where possible, else as H.264.

A camera is not looked at beforehand as a file is: what browsers cannot take shows in its parameters, or in its first
pictures, and from there on it is transcoded. Blocking: for a thread of its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import av
from av.bitstream import BitStreamFilterContext
from av.container import InputContainer
from av.video.stream import VideoStream

from stream.bitstream import NAL_SPS, ParameterSets, is_keyframe, nal_units
from stream.sources.demux import MAX_KEYFRAME_GAP_S, PLAIN_FORMATS, PLAIN_PROFILES
from stream.sources.picture import Picture, Place
from stream.sources.transcode import Transcoder
from stream.types import CLOCK_HZ, Codec

JUMP_S = 10.0
"""A camera whose clock jumps by more has been set; a gap as long would have ended the connection."""

BEHIND_S = 0.25
"""A transcoded picture that is later than this against the quickest ones is left out."""

DRIFT = 1e-3
"""By how much of a second in a second a camera's clock may run slow against ours."""

PLAIN_PROFILE_IDCS = frozenset({66, 77, 100})


@dataclass(frozen=True, slots=True)
class Unsuitable:
    """Why browsers cannot take what a camera sends."""

    what: str

    @property
    def note(self) -> str:
        return f"{self.what} cannot be watched live in browsers as it is: transcoded to H.264."


class LiveReading:
    """One connection to a camera, until it ends or fails with an error of FFmpeg's."""

    def __init__(self, container: InputContainer, stream: VideoStream, *, by_arrival: bool = False) -> None:
        self._container = container
        self._stream = stream
        self._place = Place(stream, 0, most_gap_s=JUMP_S)
        self._arrivals = _Arrivals() if by_arrival else None
        self._keyframe_ticks = 0
        self._keyframes_s = 0.0
        self.unsuitable = _unsuitable(stream)
        """Why it is transcoded, None where it is not; may be found after some pictures."""

    @property
    def note(self) -> str | None:
        """What a viewer should know."""
        if self.unsuitable is not None:
            return self.unsuitable.note
        if self._keyframes_s > MAX_KEYFRAME_GAP_S:
            return (
                f"A viewer may wait {self._keyframes_s:.0f} s for a picture, since the camera sends a whole one that "
                "seldom: set its keyframe interval (I-frame interval, GOP) to 2 s."
            )
        return None

    def pictures(self) -> Iterator[Picture]:
        """In decoding order, the first at 0 ticks."""
        if self.unsuitable is None:
            codec: Codec = "VP8" if self._stream.codec_context.name in ("vp8", "libvpx") else "H264"
            yield from self._copied(codec)
        if self.unsuitable is not None:
            yield from self._transcoded()

    def _copied(self, codec: Codec) -> Iterator[Picture]:
        """Until the end, or until something shows that browsers cannot take."""
        sets = ParameterSets()
        annex_b = BitStreamFilterContext("h264_mp4toannexb", self._stream) if codec == "H264" else None
        sets.complete(annex_b_sets(self._stream))
        newest: int | None = None
        for packet in self._container.demux(self._stream):
            if packet.pts is not None:
                if (
                    codec == "H264"
                    and newest is not None
                    and newest - JUMP_S / _unit_s(self._stream) < packet.pts < newest
                ):
                    self.unsuitable = Unsuitable("H.264 with B-frames")
                    return
                newest = packet.pts
            for part in annex_b.filter(packet) if annex_b else [packet]:
                if not part.size:
                    continue
                data = sets.complete(bytes(part)) if annex_b else bytes(part)
                keyframe = is_keyframe(codec, data)
                profile = profile_idc(data) if keyframe and codec == "H264" else None
                if profile is not None and profile not in PLAIN_PROFILE_IDCS:
                    self.unsuitable = Unsuitable(f"H.264 of profile {profile}")
                    return
                ticks = self._ticks(part.pts, part.duration)
                self._note_keyframe(ticks, keyframe)
                yield Picture(codec, data, keyframe, ticks)

    def _ticks(self, pts: int | None, duration: int | None) -> int:
        return self._arrivals.ticks() if self._arrivals is not None else self._place.ticks(pts, duration)

    def _note_keyframe(self, ticks: int, keyframe: bool) -> None:
        since_s = (ticks - self._keyframe_ticks) / CLOCK_HZ
        self._keyframes_s = since_s if keyframe else max(self._keyframes_s, since_s)
        if keyframe:
            self._keyframe_ticks = ticks

    def _transcoded(self) -> Iterator[Picture]:
        transcoder, clock = Transcoder(), _Punctuality()
        # Frame threads would hold pictures back.
        self._stream.thread_type = "SLICE"
        for frame in self._decoded():
            ticks = self._ticks(frame.pts, frame.duration)
            if clock.behind_s(ticks, time.monotonic()) <= BEHIND_S or not transcoder.started:
                yield from transcoder.pictures(frame, ticks)

    def _decoded(self) -> Iterator[av.VideoFrame]:
        """From the first keyframe on."""
        begun = False
        for packet in self._container.demux(self._stream):
            begun = begun or packet.is_keyframe
            if not begun:
                continue
            try:
                yield from self._stream.decode(packet)
            except av.error.InvalidDataError:
                continue  # a damaged picture costs itself


class _Arrivals:
    """Time as it passes, for pictures that do not tell theirs."""

    def __init__(self) -> None:
        self._start_s: float | None = None
        self._last = -1

    def ticks(self) -> int:
        now_s = time.monotonic()
        self._start_s = self._start_s if self._start_s is not None else now_s
        self._last = max(self._last + 1, round((now_s - self._start_s) * CLOCK_HZ))
        return self._last


class _Punctuality:
    """How late pictures come against the quickest of them, for a clock that drifts."""

    def __init__(self) -> None:
        self._base_s = float("inf")
        self._last_s = 0.0

    def behind_s(self, ticks: int, now_s: float) -> float:
        offset_s = now_s - ticks / CLOCK_HZ
        if self._last_s:
            self._base_s += (now_s - self._last_s) * DRIFT
        self._base_s, self._last_s = min(self._base_s, offset_s), now_s
        return offset_s - self._base_s


def profile_idc(data: bytes) -> int | None:
    """Of the parameter sets in an H.264 access unit in Annex B form; None where there are none."""
    for kind, start, end in nal_units(data):
        if kind == NAL_SPS:
            header = data.index(b"\x01", start) + 1
            return data[header + 1] if header + 1 < end else None
    return None


def annex_b_sets(stream: VideoStream) -> bytes:
    """The parameter sets that were told beside the pictures, where they are in Annex B form."""
    told = stream.codec_context.extradata or b""
    return told if told[:3] == b"\x00\x00\x01" or told[:4] == b"\x00\x00\x00\x01" else b""


def _unit_s(stream: VideoStream) -> float:
    assert stream.time_base is not None
    return float(stream.time_base)


def _unsuitable(stream: VideoStream) -> Unsuitable | None:
    """What the stream's parameters tell, as far as they are known."""
    context = stream.codec_context
    if context.name not in ("h264", "vp8", "libvpx"):
        return Unsuitable(f"{context.name.upper()} video")
    if context.name != "h264":
        return None
    if context.has_b_frames:
        return Unsuitable("H.264 with B-frames")
    odd_format = context.pix_fmt is not None and context.pix_fmt not in PLAIN_FORMATS
    if odd_format or (context.profile and not str(context.profile).startswith(PLAIN_PROFILES)):
        return Unsuitable(f"H.264 {context.profile} ({context.pix_fmt})")
    return None
