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
