"""One compressed picture on its way from a file or camera, and where it lies in time."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from av.video.stream import VideoStream

from stream.types import CLOCK_HZ, Codec


@dataclass(frozen=True, slots=True)
class Picture:
    """One compressed picture, to be shown `ticks` (90 kHz) after the start."""

    codec: Codec
    data: bytes
    keyframe: bool
    ticks: int


class Place:
    """Where pictures lie in time, from 0 for the first and never going back, whatever the source says.

    With `most_gap_s`, a jump in the source's own time by more than that, either way, is taken for a new beginning.
    """

    def __init__(self, stream: VideoStream, first_ticks: int, *, most_gap_s: float | None = None) -> None:
        assert stream.time_base is not None
        self._scale = Fraction(stream.time_base.numerator, stream.time_base.denominator) * CLOCK_HZ
        rate = stream.average_rate or stream.guessed_rate or 25
        self._usual = max(1, round(CLOCK_HZ / Fraction(rate)))
        self._first_ticks = first_ticks
        self._most_gap = None if most_gap_s is None else round(most_gap_s * CLOCK_HZ)
        self._first_pts: int | None = None
        self._next = 0
        self.end_ticks = 0

    def ticks(self, pts: int | None, duration: int | None) -> int:
        if pts is not None and self._first_pts is None:
            self._first_pts = pts
        here = self._next if pts is None or self._first_pts is None else round((pts - self._first_pts) * self._scale)
        if self._most_gap is not None and pts is not None and abs(here - self._next) > self._most_gap:
            self._first_pts, here = pts - round(self._next / self._scale), self._next
        here = max(here, self._next - self._usual + 1, 0)
        self._next = here + self._usual
        self.end_ticks = here + (round(duration * self._scale) if duration else self._usual)
        return self._first_ticks + here
