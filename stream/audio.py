"""A microphone's packets to samples: put in order, decoded, brought to 16 kHz mono, with what was lost filled in.

`PacketOrder` is pure; `SpeechDecoder` decodes by FFmpeg.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import av
import numpy as np
from av import AudioCodecContext, AudioResampler
from av.codec.context import CodecContext
from numpy.typing import NDArray

F32 = NDArray[np.float32]
SAMPLE_RATE = 16_000
AudioCodec = Literal["OPUS", "PCMU", "PCMA", "G722"]

REORDER_PACKETS = 3
"""Packets that wait for one before them; then that one is given up."""
RESTART_DISTANCE = 3000
"""Sequence numbers further apart than this are another beginning."""
FILLED_S = 1.0
"""At most so much of a hole is filled, whatever the timestamps say."""
REPEATED_S = 0.06
"""A hole begins with what came before it, ever softer, and goes on as silence."""
FADE = 0.6


@dataclass(frozen=True, slots=True)
class AudioPacket:
    """`sequence` is u16, `timestamp` u32 in ticks of the codec's clock."""

    sequence: int
    timestamp: int
    codec: AudioCodec
    data: bytes


class PacketOrder:
    """Packets in the order of their sequence numbers, each once; what comes too late is dropped and counted."""

    def __init__(self) -> None:
        self._waiting: dict[int, AudioPacket] = {}
        self._next: int | None = None
        self.late = 0

    def push(self, packet: AudioPacket) -> list[AudioPacket]:
        """The packets that are due now."""
        if self._next is None:
            self._next = packet.sequence
        ahead = _signed16(packet.sequence - self._next)
        if abs(ahead) > RESTART_DISTANCE:
            self._waiting.clear()
            self._next, ahead = packet.sequence, 0
        if ahead < 0:
            self.late += 1
            return []
        self._waiting[packet.sequence] = packet
        if len(self._waiting) > REORDER_PACKETS and self._next not in self._waiting:
            self._next = min(self._waiting, key=self._ahead)
        due = []
        while (found := self._waiting.pop(self._next, None)) is not None:
            due.append(found)
            self._next = (self._next + 1) & 0xFFFF
        return due

    def _ahead(self, sequence: int) -> int:
        assert self._next is not None
        return _signed16(sequence - self._next)


@dataclass(frozen=True, slots=True)
class _Format:
    decoder: str
    clock_hz: int
    rate_hz: int
    layout: str


_FORMATS: dict[AudioCodec, _Format] = {
    "OPUS": _Format("libopus", 48_000, 48_000, "stereo"),
    "PCMU": _Format("pcm_mulaw", 8_000, 8_000, "mono"),
    "PCMA": _Format("pcm_alaw", 8_000, 8_000, "mono"),
    "G722": _Format("g722", 8_000, 16_000, "mono"),
}


class SpeechDecoder:
    """Decodes the packets of one sender, in order. `bad` counts those in a row that were no audio."""

    def __init__(self) -> None:
        self._codec: AudioCodec | None = None
        self._context: AudioCodecContext | None = None
        self._resampler: AudioResampler | None = None
        self._due: int | None = None
        self._last = np.zeros(0, np.float32)
        self.bad = 0
        self.lost_s = 0.0

    def decode(self, packet: AudioPacket) -> F32:
        """`(n,)` float32 mono in [-1, 1] at 16 kHz, with the hole before it; empty for what is no audio."""
        if packet.codec != self._codec:
            self._open(packet.codec)
        form = _FORMATS[packet.codec]
        hole = self._hole(packet.timestamp, form.clock_hz)
        try:
            ticks, samples = self._decoded(packet.data, form)
        except av.FFmpegError:
            ticks, samples = 0, np.zeros(0, np.float32)
        if not len(samples) and not ticks:
            self.bad += 1
            return np.zeros(0, np.float32)
        self.bad = 0
        self._due = (packet.timestamp + ticks) & 0xFFFF_FFFF
        if len(samples):
            self._last = samples
        return np.concatenate([hole, samples])

    def _open(self, codec: AudioCodec) -> None:
        form = _FORMATS[codec]
        context = cast(AudioCodecContext, CodecContext.create(form.decoder, "r"))
        context.sample_rate = form.rate_hz
        context.layout = form.layout
        self._context, self._codec, self._due = context, codec, None
        # Two channels stay two until they are averaged: FFmpeg's own sum of them is louder than either.
        self._resampler = AudioResampler(format="fltp", layout=form.layout, rate=SAMPLE_RATE)

    def _decoded(self, data: bytes, form: _Format) -> tuple[int, F32]:
        """How many ticks of the codec's clock `data` lasts, and its samples."""
        assert self._context is not None
        assert self._resampler is not None
        if not data:
            return 0, np.zeros(0, np.float32)
        ticks, pieces = 0, []
        for frame in self._context.decode(av.Packet(data)):
            ticks += frame.samples * form.clock_hz // frame.sample_rate
            frame.pts = None
            pieces += [resampled.to_ndarray().mean(axis=0) for resampled in self._resampler.resample(frame)]
        return ticks, np.concatenate(pieces).astype(np.float32) if pieces else np.zeros(0, np.float32)

    def _hole(self, timestamp: int, clock_hz: int) -> F32:
        """What stands in for the time between the packet before and this one: lost, or silence that was not sent."""
        if self._due is None:
            return np.zeros(0, np.float32)
        missing_s = _signed32(timestamp - self._due) / clock_hz
        if not 0 < missing_s <= 60:
            return np.zeros(0, np.float32)
        self.lost_s += missing_s
        filled = np.zeros(round(min(missing_s, FILLED_S) * SAMPLE_RATE), np.float32)
        repeated, gain, start = round(REPEATED_S * SAMPLE_RATE), 1.0, 0
        while len(self._last) and start < min(len(filled), repeated):
            piece = self._last[: min(len(filled), repeated) - start]
            fade = np.linspace(gain, gain * FADE, len(piece), dtype=np.float32)
            filled[start : start + len(piece)] = piece * fade
            start, gain = start + len(piece), gain * FADE
        return filled


def _signed16(difference: int) -> int:
    return ((difference + 0x8000) & 0xFFFF) - 0x8000


def _signed32(difference: int) -> int:
    return ((difference + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000
