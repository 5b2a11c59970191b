"""What a stream counts of itself: pictures received and tracked, how long that takes, and what is dropped."""

from __future__ import annotations

import time
from collections.abc import Mapping

from stream.clock import RateMeter, RollingPercentiles
from stream.status import StreamState, StreamStatus, StreamTotals


class StreamMeters:
    """Times are those of `time.monotonic()`. Event loop only."""

    def __init__(self) -> None:
        self.received_s: float | None = None
        """When the newest picture came."""
        self._received, self._tracked = RateMeter(), RateMeter()
        self._latency_ms = RollingPercentiles()
        self._drops: dict[str, int] = {}

    def received(self, at_s: float) -> None:
        self.received_s = at_s
        self._received.tick(at_s)

    def tracked(self, received_s: float | None) -> None:
        """A picture has its tracks now; `received_s` is when it came, where that is known."""
        now_s = time.monotonic()
        self._tracked.tick(now_s)
        if received_s is not None:
            self._latency_ms.add((now_s - received_s) * 1000)

    def dropped(self, stage: str, count: int) -> None:
        self._drops[stage] = self._drops.get(stage, 0) + count

    @property
    def fps(self) -> float:
        """Pictures a second that come."""
        return self._received.rate(time.monotonic())

    def status(
        self,
        state: StreamState,
        *,
        more_drops: Mapping[str, int],
        skipped: Mapping[str, int],
        viewers: int,
        policy: tuple[str, ...],
        hidden: str | None,
        reconnects: int,
    ) -> StreamStatus:
        """Now. `more_drops` are those that others count, by stage; `skipped` no drops, but choices, by reason."""
        now_s = time.monotonic()
        return StreamStatus(
            state=state,
            fps_in=round(self._received.rate(now_s), 1),
            fps_out=round(self._tracked.rate(now_s), 1),
            drops=self._drops | {stage: count for stage, count in more_drops.items() if count},
            skipped={reason: count for reason, count in skipped.items() if count},
            latency_ms_p50=round(self._latency_ms.at(50), 1),
            latency_ms_p95=round(self._latency_ms.at(95), 1),
            viewers=viewers,
            policy=policy,
            hidden=hidden,
            totals=StreamTotals(
                received=self._received.total,
                tracked=self._tracked.total,
                reconnects=reconnects,
                timed=self._latency_ms.count,
                latency_s=self._latency_ms.total / 1000,
                last_frame_age_s=None if self.received_s is None else now_s - self.received_s,
            ),
        )
