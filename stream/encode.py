"""H.264 for people who watch live: what browsers take, without delay."""

from __future__ import annotations

from fractions import Fraction

import av
from av.video.codeccontext import VideoCodecContext

from stream.types import CLOCK_HZ

TICKS = Fraction(1, CLOCK_HZ)


def open_encoder(width: int, height: int) -> VideoCodecContext:
    """Baseline without B-frames on a clock of 90 kHz, from `yuv420p` of even size; keyframes where they are asked for,
    each with its parameter sets."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base = TICKS
    encoder.thread_count = 1
    encoder.max_b_frames = 0
    encoder.options = {
        "preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "crf": "23", "forced-idr": "1",
        "x264-params": "keyint=infinite:repeat-headers=1",
    }  # fmt: skip
    return encoder
