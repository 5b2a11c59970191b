"""Decoded pictures into H.264 that browsers take. Blocking: for a thread of its own."""

from __future__ import annotations

from collections.abc import Iterator

import av
import cv2
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from stream.bitstream import is_keyframe
from stream.encode import TICKS, open_encoder
from stream.sources.picture import Picture
from stream.types import CLOCK_HZ

MAX_TRANSCODED_PIXELS = 1920 * 1088
TURNS = {1: cv2.ROTATE_90_COUNTERCLOCKWISE, 2: cv2.ROTATE_180, 3: cv2.ROTATE_90_CLOCKWISE}


class Transcoder:
    """Encodes pictures as they come, with a keyframe a second; a picture of another size begins anew.

    `quarter_turns` is how often each picture is turned by 90° to the left.
    """

    def __init__(self, quarter_turns: int = 0) -> None:
        self._quarter_turns = quarter_turns
        self._encoder: VideoCodecContext | None = None
        self._keyframe_at = 0

    @property
    def started(self) -> bool:
        return self._encoder is not None

    def pictures(self, frame: av.VideoFrame, ticks: int) -> Iterator[Picture]:
        """`frame`, in any format and size, to be shown at `ticks`."""
        width, height = _fitting(frame.width, frame.height)
        shown = (height, width) if self._quarter_turns % 2 else (width, height)
        if self._encoder is None or (self._encoder.width, self._encoder.height) != shown:
            self._encoder, self._keyframe_at = open_encoder(*shown), ticks
        plain = turned(frame.reformat(width=width, height=height, format="yuv420p"), self._quarter_turns)
        plain.pts, plain.time_base = ticks, TICKS
        plain.pict_type = PictureType.I if ticks >= self._keyframe_at else PictureType.NONE
        if ticks >= self._keyframe_at:
            self._keyframe_at = ticks + CLOCK_HZ
        for packet in self._encoder.encode(plain):
            data = bytes(packet)
            yield Picture("H264", data, is_keyframe("H264", data), ticks)


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


def _fitting(width: int, height: int) -> tuple[int, int]:
    """The picture's size, halved until it can be encoded in real time, and even."""
    while width * height > MAX_TRANSCODED_PIXELS:
        width, height = width // 2, height // 2
    return max(2, width & ~1), max(2, height & ~1)
