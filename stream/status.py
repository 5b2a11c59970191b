"""How a stream is, as everybody may know."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class StreamState(StrEnum):
    WAITING = "waiting"
    LIVE = "live"
    STILL = "still"
    STALLED = "stalled"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class StreamTotals:
    """Since the stream was opened: pictures received and tracked, connections after the first, and the latencies of
    `timed` pictures together. `last_frame_age_s` is None before the first picture."""

    received: int = 0
    tracked: int = 0
    reconnects: int = 0
    timed: int = 0
    latency_s: float = 0.0
    last_frame_age_s: float | None = None


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """Rates in pictures a second, latency from the last packet of a picture to its tracks, drops by stage."""

    state: StreamState
    fps_in: float
    fps_out: float
    drops: dict[str, int]
    latency_ms_p50: float
    latency_ms_p95: float
    viewers: int
    policy: tuple[str, ...]
    totals: StreamTotals = StreamTotals()
    hidden: str | None = None
    """What nobody gets to see, or why everything is hidden; None where nothing is."""
