"""How often something may happen. Pure."""

from __future__ import annotations


class TokenBucket:
    """`rate` a second on average, `burst` at once. Instants are given in seconds and never go back."""

    def __init__(self, rate: float, burst: float, now_s: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at_s = now_s

    def take(self, now_s: float) -> bool:
        """False when there is nothing left."""
        self._tokens = min(self._burst, self._tokens + (now_s - self._at_s) * self._rate)
        self._at_s = now_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class FlowControl:
    """Which updates one client may be sent: at most `max_fps` a second, and with `ack` at most 4 unacknowledged."""

    IN_FLIGHT = 4

    def __init__(self) -> None:
        self.masks = True
        self.ack = False
        self.max_fps: int | None = None
        self._in_flight: list[int] = []
        self._due_s = float("-inf")
        self.sent_seq = 0

    def set(self, *, masks: bool | None, max_fps: int | None, ack: bool | None) -> None:
        if masks is not None:
            self.masks = masks
        if max_fps is not None:
            self.max_fps = max_fps
        if ack is not None:
            self.ack = ack
            self._in_flight.clear()

    def due_in(self, now_s: float) -> float | None:
        """Seconds until an update may be sent; None while the client has to acknowledge first."""
        if self.ack and len(self._in_flight) >= self.IN_FLIGHT:
            return None
        return max(0.0, self._due_s - now_s) if self.max_fps is not None else 0.0

    def sent(self, seq: int, now_s: float) -> None:
        self.sent_seq = seq
        if self.max_fps is not None:
            # Paced by when it was due, not by when it was sent: a camera at this very rate is a little early and
            # late, and would lose each early picture's successor otherwise.
            interval_s = 1 / self.max_fps
            self._due_s = max(self._due_s + interval_s, now_s)
        if self.ack:
            self._in_flight.append(seq)

    def acknowledge(self, seq: int) -> bool:
        """False when nothing in flight is covered by `seq`."""
        left = [waiting for waiting in self._in_flight if waiting > seq]
        news = len(left) < len(self._in_flight)
        self._in_flight = left
        return news
