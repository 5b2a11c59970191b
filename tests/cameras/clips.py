"""Short clips whose pictures are numbered, packed for `gst_server`: encoded once, served in a loop at no cost."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any

import av
import numpy as np

from tests.barcode import picture

NANOSECONDS = 1_000_000_000
RECORD = struct.Struct("<qqI")
ENCODERS: Mapping[str, tuple[str, dict[str, str]]] = MappingProxyType(
    {
        "H264": ("libx264", {"preset": "ultrafast", "bf": "0", "profile": "baseline"}),
        "HEVC": ("libx265", {"preset": "ultrafast", "x265-params": "log-level=none:repeat-headers=1:bframes=0"}),
    }
)


@dataclass(frozen=True, slots=True)
class Clip:
    """`length` in nanoseconds is the time after which it begins again."""

    path: Path
    codec: str
    length: int

    @property
    def specification(self) -> dict[str, Any]:
        return {"path": str(self.path), "codec": self.codec, "length": self.length}


@dataclass(frozen=True, slots=True)
class Shape:
    """`sizes` follow each other, `frames` pictures of each; a keyframe every `group` pictures. `options` go to the
    encoder. Every picture number in `damaged` has its data overwritten with noise. `still`: all show the same."""

    codec: str = "H264"
    sizes: Sequence[tuple[int, int]] = ((320, 240),)
    frames: int = 40
    fps: int = 10
    group: int = 10
    options: Mapping[str, str] = field(default_factory=dict)
    damaged: frozenset[int] = frozenset()
    still: bool = False


def make_clip(path: Path, shape: Shape | None = None) -> Clip:
    """Picture `i` of the clip carries the number `i` (`tests.barcode`)."""
    shape = shape or Shape()
    units: list[tuple[int, int, bytes]] = []
    for place, size in enumerate(shape.sizes):
        units += _encoded(shape, size, first=place * shape.frames)
    noise = np.random.default_rng(7)
    with path.open("wb") as file:
        for number, (pts, dts, data) in enumerate(units):
            if number in shape.damaged:
                data = data[:6] + noise.bytes(len(data))
            file.write(RECORD.pack(pts, dts, len(data)) + data)
    return Clip(path, shape.codec, len(shape.sizes) * shape.frames * NANOSECONDS // shape.fps)


def _encoded(shape: Shape, size: tuple[int, int], *, first: int) -> list[tuple[int, int, bytes]]:
    name, usual = ENCODERS[shape.codec]
    encoder = av.CodecContext.create(name, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = *size, "yuv420p"
    encoder.time_base = Fraction(1, shape.fps)
    encoder.framerate = Fraction(shape.fps)
    encoder.bit_rate = 400_000
    encoder.gop_size = shape.group
    encoder.thread_count = 1
    encoder.options = {**usual, **shape.options}
    units = []
    for number in range(first, first + shape.frames):
        shown = first if shape.still else number
        frame = av.VideoFrame.from_ndarray(picture(shown, *size), format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, shape.fps)
        units += encoder.encode(frame)
    units += encoder.encode(None)
    second = NANOSECONDS // shape.fps
    # No picture is shown before it is decoded, and none decoded before the clip begins.
    delay = max(packet.pts - packet.dts for packet in units) if units else 0
    late = max(0, first - min(packet.dts for packet in units)) if delay else 0
    return [(round((p.pts + late) * second), round((p.dts + late) * second), bytes(p)) for p in units]


def make_aac(path: Path, *, seconds: int = 4) -> Clip:
    """A quiet tone in ADTS frames."""
    rate, samples = 16_000, 1024
    with av.open(str(path.with_suffix(".adts")), "w", format="adts") as out:
        stream = out.add_stream("aac", rate=rate, layout="mono")
        for number in range(seconds * rate // samples):
            tone = np.sin((np.arange(samples) + number * samples) * 2 * np.pi * 440 / rate) * 0.1
            frame = av.AudioFrame.from_ndarray(tone.astype(np.float32)[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, number * samples, Fraction(1, rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    packed = path.with_suffix(".adts").read_bytes()
    step = samples * NANOSECONDS // rate
    count, at = 0, 0
    with path.open("wb") as file:
        while at < len(packed):
            size = (packed[at + 3] & 3) << 11 | packed[at + 4] << 3 | packed[at + 5] >> 5
            file.write(RECORD.pack(count * step, count * step, size) + packed[at : at + size])
            at, count = at + size, count + 1
    return Clip(path, "AAC", count * step)
