"""How a stream is, as everybody may know."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum

from stream.sources.base import Source

QUIET_S = 1.5
"""No picture for this long: the stream is still or stalled."""

HEARD_S = 5.0
"""A sender heard within this time is alive, though it sends no pictures."""


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
    """Rates in pictures a second, latency from the last packet of a picture to its tracks. `drops` by stage are
    pictures that were lost; `skipped` those that nobody wanted tracked: "rate" for the stream's own rate, "gate" where
    nothing moves or it is paused, "idle" where nothing waits for tracks."""

    state: StreamState
    fps_in: float
    fps_out: float
    drops: dict[str, int]
    skipped: dict[str, int]
    latency_ms_p50: float
    latency_ms_p95: float
    viewers: int
    policy: tuple[str, ...]
    totals: StreamTotals = StreamTotals()
    hidden: str | None = None
    """What nobody gets to see, or why everything is hidden; None where nothing is."""


@dataclass(frozen=True, slots=True)
class NextIds:
    """The ids that a stream goes on with when it is opened again within a process, so that none is reused."""

    prompt: int = 1
    track: int = 1
    fact: int = 0


def state_while_open(source: Source | None, received_s: float | None) -> StreamState:
    """Of a stream that may still get pictures. `received_s`: when the last one came, None for never."""
    if source is None or received_s is None:
        return StreamState.WAITING
    now_s = time.monotonic()
    if now_s - received_s < QUIET_S:
        return StreamState.LIVE
    heard_s = source.heard_s
    alive = heard_s is not None and now_s - heard_s < HEARD_S
    return StreamState.STILL if alive else StreamState.STALLED
