"""Media time: unwrapping 32-bit RTP timestamps, and rolling figures over monotonic time."""

from __future__ import annotations

from collections import deque

RTP_MODULUS = 1 << 32


class RtpUnwrapper:
    """Turn RTP timestamps (u32, wrapping) into `pts` that start at 0 and do not wrap.

    Timestamps may step back by up to half the range without being taken for a wrap.
    """

    def __init__(self) -> None:
        self._last_rtp: int | None = None
        self._pts = 0

    def unwrap(self, rtp: int) -> int:
        if self._last_rtp is not None:
            step = (rtp - self._last_rtp) % RTP_MODULUS
            self._pts += step - RTP_MODULUS if step >= RTP_MODULUS // 2 else step
        self._last_rtp = rtp
        return self._pts


class RateMeter:
    """Events a second over the last `window_s` seconds, and how many there were in `total`."""

    def __init__(self, window_s: float = 2.0) -> None:
        self.total = 0
        self._window_s = window_s
        self._times_s: deque[float] = deque(maxlen=1024)

    def tick(self, now_s: float) -> None:
        self.total += 1
        self._times_s.append(now_s)

    def rate(self, now_s: float) -> float:
        while self._times_s and now_s - self._times_s[0] > self._window_s:
            self._times_s.popleft()
        if len(self._times_s) < 2:
            return 0.0
        return (len(self._times_s) - 1) / max(1e-6, now_s - self._times_s[0])


class RollingPercentiles:
    """Percentiles of the newest `size` values; `count` and `total` are of all that there were."""

    def __init__(self, size: int = 256) -> None:
        self.count = 0
        self.total = 0.0
        self._values: deque[float] = deque(maxlen=size)

    def add(self, value: float) -> None:
        self.count += 1
        self.total += value
        self._values.append(value)

    def at(self, percent: float) -> float:
        """The value below which `percent` of the values lie (nearest rank); 0.0 while there are none."""
        if not self._values:
            return 0.0
        ordered = sorted(self._values)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
