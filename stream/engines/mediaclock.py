"""Media time of one stream in seconds, from frame to frame."""

from __future__ import annotations

from stream.types import CLOCK_HZ, Frame

LONGEST_PAUSE_S = 60.0
USUAL_GAP_S = 1 / 30


class MediaClock:
    """Seconds that start at 0 and never run backwards, though `pts` starts again in each epoch: there the pause is
    taken from the times of arrival."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._base_s = 0.0
        self._last: Frame | None = None

    def advance(self, frame: Frame) -> float:
        """The time of `frame`, which is `now_s` from here on."""
        last, seconds = self._last, frame.pts / CLOCK_HZ
        if last is None:
            self._base_s = self.now_s - seconds
        elif last.epoch != frame.epoch:
            pause = min(max(frame.received_s - last.received_s, USUAL_GAP_S), LONGEST_PAUSE_S)
            self._base_s = self.now_s + pause - seconds
        self._last = frame
        self.now_s = max(self.now_s, self._base_s + seconds)
        return self.now_s
