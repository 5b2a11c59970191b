"""Looking at a camera or file without keeping it open: what it sends, and its first picture. Blocking."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path

import av
import cv2
from av.video.stream import VideoStream

from stream.errors import OnlookerError, SourceError
from stream.pictures import colour_of, nv12_planes
from stream.snapshot import to_jpeg
from stream.sources.camera import Camera, Opened, OpenedContainer, Timeouts
from stream.sources.faults import explained, unreadable
from stream.sources.live import LiveReading
from stream.types import U8

TIMEOUTS = Timeouts(connect_s=5.0, read_s=5.0)
PICTURE_S = 6.0
"""So long a keyframe is waited for; without one there is no picture."""

MOST_SIDE_PX = 640
JPEG_QUALITY = 80


@dataclass(frozen=True, slots=True)
class Found:
    """`codecs` of the video and, where there is sound, of that; `jpeg` the first picture, at most 640 px a side."""

    codecs: tuple[str, ...]
    audio: str | None
    width: int
    height: int
    fps: float
    note: str | None
    jpeg: bytes | None = field(repr=False)


def look_at_camera(camera: Camera) -> Found:
    """Raises `OnlookerError` with what to do about it."""
    try:
        opened = camera.open(TIMEOUTS)
        with contextlib.closing(opened):
            return _look(opened, camera.where)
    except OnlookerError:
        raise
    except (av.FFmpegError, OSError, ValueError) as error:
        raise explained(error, camera.where, gave_login=camera.gives_login, opening=True) from None


def look_at_file(path: Path) -> Found:
    """Raises `SourceError`."""
    try:
        with av.open(str(path), options={"protocol_whitelist": "file"}) as container:
            return _look(OpenedContainer(container), path.name)
    except (av.FFmpegError, OSError, ValueError):
        raise SourceError(f"{path.name} is not a video that can be read.", action="Convert it to MP4.") from None


def _look(opened: Opened, where: str) -> Found:
    container = opened.container
    if not container.streams.video:
        raise unreadable(where)
    video, audio = container.streams.video[0], container.streams.audio
    reading = LiveReading(container, video)
    picture = _first_picture(opened, video)
    context = video.codec_context
    rate = video.average_rate or video.guessed_rate
    sound = audio[0].codec_context.name if audio else None
    return Found(
        codecs=(context.name, sound) if sound else (context.name,),
        audio=sound,
        width=picture.width if picture else context.width,
        height=picture.height if picture else context.height,
        fps=round(float(rate), 2) if rate else 0.0,
        note=reading.note,
        jpeg=_jpeg(picture) if picture else None,
    )


def _first_picture(opened: Opened, video: VideoStream) -> av.VideoFrame | None:
    until_s = time.monotonic() + PICTURE_S
    begun = False
    for packet in opened.container.demux(video):
        begun = begun or packet.is_keyframe
        if begun:
            with contextlib.suppress(av.error.InvalidDataError):
                for frame in packet.decode():
                    assert isinstance(frame, av.VideoFrame)
                    return frame
        if time.monotonic() > until_s:
            return None
    return None


def _jpeg(picture: av.VideoFrame) -> bytes:
    from kernels.cpu import nv12_to_bgr

    colour = colour_of(picture)
    bgr: U8 = nv12_to_bgr(*nv12_planes(picture), matrix=colour.matrix, full_range=colour.full_range)
    scale = MOST_SIDE_PX / max(bgr.shape[:2])
    if scale < 1:
        bgr = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(bgr.dtype, copy=False)
    return to_jpeg(bgr, JPEG_QUALITY)
