"""Track updates made by hand: boxes in [0, 1] on a 1000×500 picture, times in seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from agent.perceive import Perception
from agent.types import BoxXyxy, Event
from stream.types import CLOCK_HZ, Track, TrackState, TrackUpdate

WIDTH, HEIGHT = 1000, 500
BEGIN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

Tracks = Callable[[float], Iterable[Track]]


def at(t: float) -> datetime:
    return BEGIN + timedelta(seconds=t)


def seconds(when: datetime) -> float:
    return (when - BEGIN).total_seconds()


def track(number: int, box: BoxXyxy, label: str = "person", state: TrackState = TrackState.LIVE) -> Track:
    x0, y0, x1, y1 = box
    pixels = (x0 * WIDTH, y0 * HEIGHT, x1 * WIDTH, y1 * HEIGHT)
    return Track(number, label, 0.9, pixels, None, state, None, 0.0)


def square(x: float, y: float, size: float = 0.1) -> BoxXyxy:
    """A box that is as wide as high on the picture, `size` of its height, cut off at the picture's edges."""
    w = size * HEIGHT / WIDTH
    return max(0.0, x - w / 2), max(0.0, y - size / 2), min(1.0, x + w / 2), min(1.0, y + size / 2)


def update(t: float, tracks: Iterable[Track], epoch: int = 1) -> TrackUpdate:
    pts = round(t * CLOCK_HZ)
    return TrackUpdate(epoch, round(t * 10), pts, pts & 0xFFFFFFFF, None, WIDTH, HEIGHT, tuple(tracks))


def play(perception: Perception, tracks: Tracks, until: float, since: float = 0.0, step: float = 0.1) -> list[Event]:
    """Events of the scene that `tracks` shows from second `since` to `until`."""
    events: list[Event] = []
    for k in range(round((until - since) / step) + 1):
        t = since + k * step
        events += perception.step(update(t, tracks(t)), at(t))
    return events
