"""What the parts of perception hand to each other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import uuid4

from agent.perceive.standing import Standing
from agent.scene import PathPoint, velocity_of
from agent.types import XY, BoxXyxy, EventKind
from stream.types import FrameRef


class Sighting(NamedTuple):
    """One object on one frame."""

    at: datetime
    frame: FrameRef
    pts: int
    box: BoxXyxy


@dataclass(slots=True)
class Presence:
    """A track's life as far as perception goes.

    `announced` once ENTER or APPEAR was told; `out` is EXIT or LOST once that was told, None while it is in sight;
    `back` the first sighting of a return that is not told yet. `recent` holds about the last second.
    """

    id: int
    label: str
    first: Sighting
    last: Sighting
    foot: XY
    """Where it stands."""
    recent: deque[PathPoint] = field(default_factory=lambda: deque(maxlen=64))
    standing: Standing = field(default_factory=Standing)
    announced: bool = False
    out: EventKind | None = None
    back: Sighting | None = None
    live: bool = True
    since: datetime | None = None
    """Since when this stay lasts."""

    @property
    def velocity(self) -> XY:
        return velocity_of(self.recent)

    @property
    def in_sight(self) -> bool:
        """Known to all and not out: also during the short gaps that are no loss."""
        return self.announced and self.out is None


@dataclass(frozen=True, slots=True)
class Step:
    """One track update: its time, its frame, its shape, and all presences by track id.

    `resumed`: pictures are missing before this one, so that nobody knows how objects came to where they are.
    """

    at: datetime
    frame: FrameRef
    pts: int
    aspect: float
    presences: dict[int, Presence]
    resumed: bool = False


def new_id() -> str:
    return uuid4().hex


NewId = Callable[[], str]


def name(presence: Presence) -> str:
    return f"{presence.label} [#{presence.id}]"


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]
