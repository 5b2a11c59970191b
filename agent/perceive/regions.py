"""Who goes into and out of zones and over lines. Trembling at a border tells nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent import geometry
from agent.perceive.state import Presence, Sighting, Step, capital, name
from agent.types import XY, EventKind, Region, RegionKind

INSIDE = timedelta(seconds=0.3)
OUTSIDE = timedelta(seconds=0.5)
LINE_WIDTH = 0.02
"""A line is crossed once this far beyond it, in heights of the picture."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """An event of a region in the making; `value` is the side of a line."""

    kind: EventKind
    presence: Presence
    sighting: Sighting
    region: Region
    text: str
    value: float | None = None


@dataclass(slots=True)
class _Stay:
    """Whether an object is in a zone; `turn` is its first sighting on the other side, while that is not sure."""

    inside: bool = False
    since: datetime | None = None
    turn: Sighting | None = None


class Regions:
    """Zones and lines against presences; bounded by objects times regions."""

    def __init__(self, regions: Iterable[Region] = ()) -> None:
        self._stays: dict[tuple[str, int], _Stay] = {}
        self._anchors: dict[tuple[str, int], XY] = {}
        self.regions = tuple(regions)

    @property
    def kept(self) -> int:
        return len(self._stays) + len(self._anchors)

    def replace(self, regions: Iterable[Region]) -> None:
        """Other regions from now on; what is known of those that stay the same is kept."""
        before = set(self.regions)
        self.regions = tuple(regions)
        kept = {region.id for region in self.regions if region in before}
        self._stays = {key: stay for key, stay in self._stays.items() if key[0] in kept}
        self._anchors = {key: point for key, point in self._anchors.items() if key[0] in kept}

    def inside_since(self, region_id: str, track_id: int) -> datetime | None:
        """Since when an object is in a zone, None where it is not."""
        stay = self._stays.get((region_id, track_id))
        return stay.since if stay is not None and stay.inside else None

    def inside(self, region_id: str) -> list[int]:
        return sorted(track for (region, track), stay in self._stays.items() if region == region_id and stay.inside)

    def step(self, step: Step) -> list[Crossing]:
        """What happened at the regions, in the order of regions and objects."""
        found: list[Crossing] = []
        for region in self.regions:
            for presence in step.presences.values():
                if presence.in_sight and presence.live:
                    if region.kind is RegionKind.ZONE:
                        found += self._in_zone(region, presence, step)
                    else:
                        found += self._over_line(region, presence, step)
        self._forget(step)
        return found

    def left(self, presence: Presence) -> list[Crossing]:
        """An object went out of the picture: it is in no zone any more."""
        found = []
        for region in self.regions:
            stay = self._stays.pop((region.id, presence.id), None)
            if stay is not None and stay.inside:
                text = f"{capital(name(presence))} left {_the(region)} and the picture."
                found.append(Crossing(EventKind.ZONE_LEAVE, presence, presence.last, region, text))
        return found

    def _in_zone(self, region: Region, presence: Presence, step: Step) -> Iterator[Crossing]:
        stay = self._stays.setdefault((region.id, presence.id), _Stay())
        if geometry.in_polygon(geometry.ground_point(presence.last.box), region.points) is stay.inside:
            stay.turn = None
            return
        stay.turn = stay.turn or presence.last
        if step.at - stay.turn.at < (OUTSIDE if stay.inside else INSIDE):
            return
        turn, stay.turn, stay.inside = stay.turn, None, not stay.inside
        stay.since = turn.at if stay.inside else None
        kind = EventKind.ZONE_ENTER if stay.inside else EventKind.ZONE_LEAVE
        verb = "is at" if stay.inside else "left"
        yield Crossing(kind, presence, turn, region, f"{capital(name(presence))} {verb} {_the(region)}.")

    def _over_line(self, region: Region, presence: Presence, step: Step) -> Iterator[Crossing]:
        point, key = geometry.ground_point(presence.last.box), (region.id, presence.id)
        if geometry.point_to_polyline(point, region.points, step.aspect) < LINE_WIDTH:
            return
        before = self._anchors.get(key)
        self._anchors[key] = point
        side = geometry.crossing(before, point, region.points) if before is not None else 0
        if before is not None and side:
            way = geometry.direction_words((point[0] - before[0]) * step.aspect, point[1] - before[1])
            text = f"{capital(name(presence))} crossed {_the(region)}, going {way}."
            yield Crossing(EventKind.LINE, presence, presence.last, region, text, float(side))

    def _forget(self, step: Step) -> None:
        for key in [key for key in self._stays if key[1] not in step.presences]:
            del self._stays[key]
        for key in [key for key in self._anchors if not _in_sight(step.presences.get(key[1]))]:
            del self._anchors[key]


def _in_sight(presence: Presence | None) -> bool:
    return presence is not None and presence.in_sight


def _the(region: Region) -> str:
    return region.name if region.name.casefold().startswith("the ") else f"the {region.name}"
