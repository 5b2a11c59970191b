"""What a rule says when it fires."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from agent.perceive.state import Presence, Sighting
from agent.types import BoxXyxy, Region, RegionRule
from stream.types import FrameRef


@dataclass(frozen=True, slots=True)
class Firing:
    """A rule has seen what it waits for, at `at`. `frame` shows it; `boxes_xyxy` are those of `track_ids` there."""

    region: Region
    rule: RegionRule
    text: str
    at: datetime
    frame: FrameRef
    pts: int
    track_ids: tuple[int, ...]
    labels: tuple[str, ...]
    boxes_xyxy: tuple[BoxXyxy, ...]
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """A rule and its region. `on_since` is since when it may fire, None while it may not."""

    region: Region
    rule: RegionRule
    on_since: datetime | None

    def fires(
        self, text: str, presences: Iterable[Presence], sighting: Sighting, at: datetime, value: float | None = None
    ) -> Firing:
        """Not before the rule was on, as far as its time goes."""
        there = tuple(presences)
        at = max(at, self.on_since) if self.on_since is not None else at
        boxes = tuple(sighting.box if len(there) == 1 else presence.last.box for presence in there)
        return Firing(
            self.region, self.rule, text, at, sighting.frame, sighting.pts,
            tuple(p.id for p in there), tuple(p.label for p in there), boxes, value,
        )  # fmt: skip
