"""Who goes into and out of zones and over lines. Trembling at a border tells nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent import geometry
from agent.perceive.presences import Change
from agent.perceive.state import Presence, Sighting, Step, capital, name
from agent.types import XY, EventKind, Region, RegionKind

INSIDE = timedelta(seconds=0.3)
OUTSIDE = timedelta(seconds=0.5)
SURE = timedelta(seconds=2.0)
"""Who stays so long on the other side of a zone's border has passed it, however near it is."""
BORDER_WIDTH = 0.01
"""A zone's border is passed once this far beyond it, in heights of the picture."""
LINE_WIDTH = 0.02
"""A line is crossed once this far beyond it, in heights of the picture."""
TREMBLING = timedelta(seconds=1.0)
"""Who is back on the near side of a border or line for no longer than this, and close to it, has only trembled."""
UNSEEN = timedelta(seconds=0.3)
"""What was passed in a longer time out of sight was passed in the middle of it."""


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
    """Whether an object is in a zone; `turn` is its first sighting on the other side, while that is not sure,
    `passed_at` when it may have got there, `clear` whether it was seen well beyond the border since; `back` is since
    when it is on this side again, `steady` since when it is on the other side without trembling."""

    inside: bool = False
    since: datetime | None = None
    turn: Sighting | None = None
    passed_at: datetime | None = None
    clear: bool = False
    back: datetime | None = None
    steady: datetime | None = None


@dataclass(slots=True)
class _Anchor:
    """Where an object was last seen well away from a line; `turn` is its first sighting on the other side since, and
    `back` since when it is on this side again."""

    point: XY
    turn: Sighting | None = None
    back: datetime | None = None


class Regions:
    """Zones and lines against presences; bounded by objects times regions."""

    def __init__(self, regions: Iterable[Region] = ()) -> None:
        self._stays: dict[tuple[str, int], _Stay] = {}
        self._anchors: dict[tuple[str, int], _Anchor] = {}
        self.regions = tuple(regions)

    @property
    def kept(self) -> int:
        return len(self._stays) + len(self._anchors)

    def replace(self, regions: Iterable[Region]) -> None:
        """Other regions from now on; what is known of those whose shape stays the same is kept."""
        before = {(region.id, region.points) for region in self.regions}
        self.regions = tuple(regions)
        kept = {region.id for region in self.regions if (region.id, region.points) in before}
        self._stays = {key: stay for key, stay in self._stays.items() if key[0] in kept}
        self._anchors = {key: anchor for key, anchor in self._anchors.items() if key[0] in kept}

    def inside_since(self, region_id: str, track_id: int) -> datetime | None:
        """Since when an object is in a zone, None where it is not, or where it may have just left."""
        stay = self._stays.get((region_id, track_id))
        return stay.since if stay is not None and stay.inside and stay.turn is None else None

    def inside(self, region_id: str) -> list[int]:
        return sorted(track for (region, track), stay in self._stays.items() if region == region_id and stay.inside)

    def step(self, step: Step, changes: Iterable[Change] = ()) -> list[Crossing]:
        """What happened at the regions: who left the picture, then in the order of regions and objects."""
        found = [left for change in changes if change.kind is EventKind.EXIT for left in self._left(change.presence)]
        if step.resumed:
            self._lose_ways()
        for region in self.regions:
            for presence in step.presences.values():
                if presence.live:
                    if region.kind is RegionKind.ZONE:
                        found += self._in_zone(region, presence, step)
                    else:
                        found += self._over_line(region, presence, step)
        self._forget(step)
        return found

    def _left(self, presence: Presence) -> Iterator[Crossing]:
        """An object went out of the picture: it is in no zone any more."""
        for region in self.regions:
            stay = self._stays.pop((region.id, presence.id), None)
            if stay is not None and stay.inside:
                text = f"{capital(name(presence))} left {the(region)} and the picture."
                yield Crossing(EventKind.ZONE_LEAVE, presence, stay.turn or presence.last, region, text)

    def _in_zone(self, region: Region, presence: Presence, step: Step) -> Iterator[Crossing]:
        stay = self._stays.setdefault((region.id, presence.id), _Stay())
        point = geometry.within_picture(presence.foot)
        here = geometry.in_polygon(point, region.points) is stay.inside
        if here and stay.turn is None:
            return
        beyond = geometry.border_distance(point, region.points, step.aspect) >= BORDER_WIDTH
        if here:
            stay.back, stay.steady = stay.back or step.at, None
            if beyond or step.at - stay.back > TREMBLING:
                stay.turn = None
            return
        if stay.turn is None:
            stay.turn, stay.passed_at, stay.clear = presence.last, _passed_at(presence), False
        stay.back, stay.steady, stay.clear = None, stay.steady or step.at, stay.clear or beyond
        lasting = step.at - stay.turn.at >= (OUTSIDE if stay.inside else INSIDE)
        if not presence.in_sight or not lasting or not (stay.clear or step.at - stay.steady >= SURE):
            return
        turn = stay.turn._replace(at=stay.passed_at or stay.turn.at)
        stay.turn, stay.steady, stay.inside = None, None, not stay.inside
        stay.since = turn.at if stay.inside else None
        kind = EventKind.ZONE_ENTER if stay.inside else EventKind.ZONE_LEAVE
        verb = "is at" if stay.inside else "left"
        yield Crossing(kind, presence, turn, region, f"{capital(name(presence))} {verb} {the(region)}.")

    def _over_line(self, region: Region, presence: Presence, step: Step) -> Iterator[Crossing]:
        point, key = geometry.within_picture(presence.foot), (region.id, presence.id)
        beyond = geometry.point_to_polyline(point, region.points, step.aspect) >= LINE_WIDTH
        anchor = self._anchors.get(key)
        if anchor is None:
            if beyond:
                self._anchors[key] = _Anchor(point)
            return
        side = geometry.crossing(anchor.point, point, region.points)
        if side:
            anchor.turn = anchor.turn or presence.last._replace(at=_passed_at(presence))
            anchor.back = None
        else:
            anchor.back = anchor.back or step.at
            if beyond or step.at - anchor.back > TREMBLING:
                anchor.turn = None
        if not beyond or (side and not presence.in_sight):
            return
        if anchor.turn is not None:
            before = anchor.point
            way = geometry.direction_words((point[0] - before[0]) * step.aspect, point[1] - before[1])
            text = f"{capital(name(presence))} crossed {the(region)}, going {way}."
            yield Crossing(EventKind.LINE, presence, anchor.turn, region, text, float(side))
        anchor.point, anchor.turn, anchor.back = point, None, None

    def _lose_ways(self) -> None:
        self._anchors.clear()
        for stay in self._stays.values():
            stay.turn = None

    def _forget(self, step: Step) -> None:
        for key in [key for key in self._stays if key[1] not in step.presences]:
            del self._stays[key]
        for (_, track), stay in self._stays.items():
            if _away(step.presences[track]):
                stay.turn = None
        for key in [key for key in self._anchors if _away(step.presences.get(key[1]))]:
            del self._anchors[key]


def _passed_at(presence: Presence) -> datetime:
    """When an object came to where it is, which it was not at its last sighting but one."""
    recent, now = presence.recent, presence.last.at
    gap = now - recent[-2].at if len(recent) > 1 else timedelta()
    return now - gap / 2 if gap > UNSEEN else now


def _away(presence: Presence | None) -> bool:
    return presence is None or (presence.out is not None and not presence.live)


def the(region: Region) -> str:
    """`"the door"`; names with a capital or a number stand by themselves: `"Driveway"`, `"gate 2"`."""
    name = region.name
    alone = name.casefold().startswith("the ") or name[:1].isupper() or any(c.isdigit() for c in name)
    return name if alone else f"the {name}"


@dataclass(frozen=True, slots=True)
class Observed:
    """What one update showed at regions."""

    step: Step
    crossings: list[Crossing]
    regions: Regions
