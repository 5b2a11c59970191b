"""What a scene knows about the objects that a question means."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from agent import geometry
from agent.facts_answer.meaning import Deed, Most, Place, Relation, Subject, Window
from agent.labels import stands_for
from agent.scene import Scene, SceneObject, Visit
from agent.types import XY, Event, EventKind, Region, RegionKind

_AT_THE_START = timedelta(seconds=1.5)
_KINDS = {
    Deed.CROSS: (EventKind.LINE,),
    Deed.MEET: (EventKind.PROXIMITY,),
    Deed.STAY_BEHIND: (EventKind.APART,),
}
_NEAR_ZONE = 0.15
"""So far from a zone, in heights of the picture, is near it."""
WAYS = {"left": "to the left", "right": "to the right", "top": "up", "bottom": "down"}
"""What is said of moving to a side of the picture."""


@dataclass(frozen=True, slots=True)
class Deal:
    """Something that an object did, at a time: by a stay of its own or by an event. `other` is the second object."""

    thing: SceneObject
    at: datetime
    visit: Visit | None = None
    event: Event | None = None

    @property
    def other(self) -> int | None:
        ids = [] if self.event is None else [i for i in self.event.track_ids if i != self.thing.id]
        return ids[0] if ids else None


def meant(subject: Subject, scene: Scene, excluded: Sequence[int] = ()) -> list[SceneObject]:
    """All objects, in sight or not, that are meant; `excluded` are those that “other” excludes."""
    if subject.ids:
        found = [thing for i in dict.fromkeys(subject.ids) if (thing := scene.get(i)) is not None]
    else:
        found = [thing for thing in scene.objects if _named(thing, subject)]
    if subject.other:
        found = [thing for thing in found if thing.id not in excluded]
    if subject.ordinal is not None:
        found.sort(key=lambda thing: (thing.first_at, thing.id))
        index = subject.ordinal - 1 if subject.ordinal > 0 else subject.ordinal
        found = found[index : index + 1 or None] if -len(found) <= index < len(found) else []
    return found


def _named(thing: SceneObject, subject: Subject) -> bool:
    name = thing.label.casefold()
    if not set(subject.qualities) <= set(name.split()):
        return False
    return not subject.words or any(stands_for(word, thing.label) or word in thing.labels for word in subject.words)


def stays(thing: SceneObject) -> list[Visit]:
    """Its stays in sight. What perception is not sure of yet is taken from the tracks."""
    visits = list(thing.visits)
    if not visits:
        visits = [Visit(EventKind.APPEAR, thing.first_at)]
    if thing.visible and visits[-1].until is not None:
        visits.append(Visit(EventKind.FOUND, thing.last_at))
    elif not thing.visible and visits[-1].until is None:
        visits[-1] = replace(visits[-1], ended=EventKind.LOST, until=thing.last_at)
    return visits


def from_the_start(thing: SceneObject, scene: Scene) -> bool:
    """Whether it was there when the stream began."""
    return thing.first_at - scene.began_at < _AT_THE_START


def seen_during(thing: SceneObject, window: Window) -> bool:
    if window.instant and window.since is not None:
        return any(v.since <= window.since and (v.until is None or window.since <= v.until) for v in stays(thing))
    return any(_overlaps(visit, window) for visit in stays(thing))


def _overlaps(visit: Visit, window: Window) -> bool:
    begins = window.until is None or visit.since <= window.until
    return begins and (window.since is None or visit.until is None or visit.until >= window.since)


def widened(window: Window) -> Window:
    """A moment as the few seconds around it, for things that happen."""
    if not window.instant or window.since is None:
        return window
    return replace(window, since=window.since - timedelta(seconds=3), until=window.since + timedelta(seconds=3))


def deals(deed: Deed, things: Iterable[SceneObject], scene: Scene, window: Window, place: Place | None) -> list[Deal]:
    """When the objects did it within the window, oldest first."""
    things, window = list(things), widened(window)
    region = region_of(place, scene)
    if region is not None and region.kind is RegionKind.ZONE and deed in (Deed.ENTER, Deed.LEAVE, Deed.BE, Deed.CROSS):
        kind = EventKind.ZONE_LEAVE if deed is Deed.LEAVE else EventKind.ZONE_ENTER
        found = _from_events((kind,), things, scene, region)
    elif deed in _KINDS:
        found = _from_events(_KINDS[deed], things, scene, region)
        if deed is Deed.CROSS and place is not None:
            ways = [WAYS[side] for side in place.sides if side in WAYS]
            found = [deal for deal in found if deal.event is not None and all(way in deal.event.text for way in ways)]
    else:
        found = [deal for thing in things for deal in _from_stays(deed, thing, scene)]
        found = [deal for deal in found if _over_side(deal, deed, place)]
    within = [
        deal for deal in found
        if (window.since is None or deal.at >= window.since) and (window.until is None or deal.at <= window.until)
    ]  # fmt: skip
    return sorted(within, key=lambda deal: deal.at)


def _from_stays(deed: Deed, thing: SceneObject, scene: Scene) -> Iterable[Deal]:
    before: Visit | None = None
    for visit in stays(thing):
        came = visit.began is EventKind.ENTER or (visit.began is EventKind.APPEAR and not from_the_start(thing, scene))
        came_again = before is not None and before.ended is EventKind.EXIT
        back = before is not None and visit.began is not EventKind.APPEAR
        if (deed is Deed.ENTER and (came or came_again)) or (deed is Deed.RETURN and back):
            yield Deal(thing, visit.since, visit)
        went = deed is Deed.VANISH or (deed is Deed.LEAVE and visit.ended is EventKind.EXIT)
        if went and visit.until is not None:
            yield Deal(thing, visit.until, visit)
        before = visit


def _from_events(
    kinds: Sequence[EventKind], things: Sequence[SceneObject], scene: Scene, region: Region | None
) -> list[Deal]:
    by_id = {thing.id: thing for thing in things}
    found = []
    for event in scene.events_between(kinds=kinds):
        if region is not None and event.region_id != region.id:
            continue
        # Of what stayed behind, the first is the one that stayed.
        ids = event.track_ids[:1] if event.kind is EventKind.APART else event.track_ids
        found += [Deal(by_id[i], event.at, event=event) for i in ids if i in by_id]
    return found


def _over_side(deal: Deal, deed: Deed, place: Place | None) -> bool:
    if place is None or not place.sides or deal.visit is None:
        return True
    visit, thing = deal.visit, deal.thing
    edge = visit.edge_in if deed in (Deed.ENTER, Deed.RETURN) else visit.edge_out
    if edge is not None:
        return geometry.EDGES[edge] in place.sides
    box = thing.box_at(deal.at)
    return box is not None and set(place.sides) <= set(geometry.place_words(geometry.centre(box)).split())


def region_of(place: Place | None, scene: Scene) -> Region | None:
    if place is None or place.region_id is None:
        return None
    return next((region for region in scene.regions if region.id == place.region_id), None)


def placed(things: Iterable[SceneObject], place: Place | None, scene: Scene) -> list[SceneObject]:
    """Those in sight that are there now."""
    there = [thing for thing in things if thing.visible]
    if place is None:
        return there
    region = region_of(place, scene)
    if region is not None and place.relation in (Relation.LEFT_OF, Relation.RIGHT_OF):
        xs = [x for x, _ in region.points]
        left = place.relation is Relation.LEFT_OF
        there = [t for t in there if (t.centre[0] < min(xs) if left else t.centre[0] > max(xs))]
    elif region is not None and region.kind is RegionKind.ZONE and place.relation is Relation.NEAR:
        there = [t for t in there if geometry.box_to_polygon(t.box, region.points, scene.aspect) <= _NEAR_ZONE]
    elif region is not None and region.kind is RegionKind.ZONE:
        inside = {thing.id for thing in scene.in_region(region)}
        there = [thing for thing in there if thing.id in inside]
    elif region is not None:
        there = [
            t
            for t in there
            if geometry.point_to_polyline(geometry.ground_point(t.box), region.points, scene.aspect) < 0.06
        ]
    if place.subject is not None:
        others = [thing for thing in meant(place.subject, scene) if thing.visible]
        if place.relation is Relation.OTHER_THAN:
            there = [thing for thing in there if thing not in others]
        there = [t for t in there if any(o.id != t.id and _related(place.relation, t, o, scene.aspect) for o in others)]
    sides = place.sides if place.relation is not Relation.TOWARDS else ()
    return [thing for thing in there if on_sides(thing.centre, sides)]


def on_sides(centre: XY, sides: Sequence[str]) -> bool:
    """A half of the picture, or a corner of it, but for a strip in the middle; the middle is the middle third."""
    x, y = centre
    inside = {"left": x < 0.47, "right": x > 0.53, "top": y < 0.47, "bottom": y > 0.53}
    middle = 1 / 3 <= x < 2 / 3 and (len(sides) > 1 or 1 / 3 <= y < 2 / 3)
    return all(middle if side == "middle" else inside[side] for side in sides)


def _related(relation: Relation, thing: SceneObject, other: SceneObject, aspect: float) -> bool:
    if relation is Relation.OTHER_THAN:
        return True
    if relation is Relation.LEFT_OF:
        return thing.centre[0] < other.centre[0]
    if relation is Relation.RIGHT_OF:
        return thing.centre[0] > other.centre[0]
    if relation is Relation.ABOVE:
        return thing.centre[1] < other.centre[1]
    if relation is Relation.BELOW:
        return thing.centre[1] > other.centre[1]
    near = geometry.reach(thing.box, other.box, aspect)
    return geometry.gap(thing.box, other.box, aspect) <= 1.5 * near


def was_inside(thing: SceneObject, region: Region, scene: Scene, window: Window) -> bool:
    """Whether it was in a zone at any time of the window."""
    since: datetime | None = None
    for event in scene.events_between(kinds=(EventKind.ZONE_ENTER, EventKind.ZONE_LEAVE)):
        if event.region_id != region.id or thing.id not in event.track_ids:
            continue
        if event.kind is EventKind.ZONE_ENTER:
            since = event.at
        elif since is not None and _overlaps(Visit(EventKind.ENTER, since, until=event.at), window):
            return True
        else:
            since = None
    return since is not None and _overlaps(Visit(EventKind.ENTER, since, until=None), window)


def inside_since(thing: SceneObject, region: Region, scene: Scene) -> datetime | None:
    """Since when it is in a zone, None where it is not."""
    if thing not in scene.in_region(region):
        return None
    since = None
    for event in scene.events_between(kinds=(EventKind.ZONE_ENTER, EventKind.ZONE_LEAVE)):
        if event.region_id == region.id and thing.id in event.track_ids:
            since = event.at if event.kind is EventKind.ZONE_ENTER else None
    return since or thing.last_at


def outdone(
    most: Most, things: Sequence[SceneObject], place: Place | None, scene: Scene, past: bool
) -> list[SceneObject]:
    """The one that has the most of it, or several that are level."""
    if not things:
        return []
    measure = {thing.id: _measure(most, thing, place, scene, past) for thing in things}
    lowest = most in (Most.SLOWEST, Most.SMALLEST, Most.NEAREST, Most.LEFTMOST, Most.TOPMOST, Most.SHORTEST, Most.FIRST)
    best = (min if lowest else max)(measure.values())
    level = 1e-6 if most in (Most.FIRST, Most.LAST) else 1e-6 + 0.02 * abs(best)
    return [thing for thing in things if abs(measure[thing.id] - best) <= level]


def _measure(most: Most, thing: SceneObject, place: Place | None, scene: Scene, past: bool) -> float:
    if most in (Most.FASTEST, Most.SLOWEST):
        return top_speed(thing, scene.aspect) if past else speed(thing, scene.aspect)
    if most in (Most.BIGGEST, Most.SMALLEST):
        return geometry.area(thing.box)
    if most in (Most.LEFTMOST, Most.RIGHTMOST):
        return thing.centre[0]
    if most in (Most.TOPMOST, Most.LOWEST):
        return thing.centre[1]
    if most in (Most.NEAREST, Most.FARTHEST):
        return _distance(thing, place, scene)
    since = stays(thing)[-1].since
    if past and most in (Most.LONGEST, Most.SHORTEST):
        stay = longest_stay(thing, scene)
        return ((stay.until or scene.at) - stay.since).total_seconds()
    return (scene.at - since).total_seconds() if most in (Most.LONGEST, Most.SHORTEST) else thing.first_at.timestamp()


def longest_stay(thing: SceneObject, scene: Scene) -> Visit:
    return max(stays(thing), key=lambda visit: (visit.until or scene.at) - visit.since)


def speed(thing: SceneObject, aspect: float) -> float:
    """In heights of the picture a second."""
    return geometry.distance((0.0, 0.0), thing.velocity, aspect)


def top_speed(thing: SceneObject, aspect: float) -> float:
    best = speed(thing, aspect)
    for a, b in zip(thing.path, thing.path[1:], strict=False):
        span = (b.at - a.at).total_seconds()
        if 0.5 <= span <= 2.5:
            best = max(best, geometry.distance(geometry.centre(a.box), geometry.centre(b.box), aspect) / span)
    return best


def _distance(thing: SceneObject, place: Place | None, scene: Scene) -> float:
    region = region_of(place, scene)
    if region is not None and region.kind is RegionKind.ZONE:
        return geometry.box_to_polygon(thing.box, region.points, scene.aspect)
    if region is not None:
        return geometry.point_to_polyline(geometry.ground_point(thing.box), region.points, scene.aspect)
    if place is not None and place.subject is not None:
        others = [other for other in meant(place.subject, scene) if other.visible and other.id != thing.id]
        return min((geometry.gap(thing.box, other.box, scene.aspect) for other in others), default=9.0)
    # Near to whoever looks: low in the picture.
    return 1.0 - thing.box[3]


def peak(things: Iterable[SceneObject], window: Window) -> tuple[int, datetime | None]:
    """The highest number of them in sight at once, and since when first."""
    edges: list[tuple[datetime, int]] = []
    for thing in things:
        for visit in stays(thing):
            if _overlaps(visit, window):
                edges.append((max(visit.since, window.since) if window.since else visit.since, 1))
                edges.append((visit.until, -1)) if visit.until is not None else None
    number, best, when = 0, 0, None
    for at, step in sorted(edges, key=lambda edge: (edge[0], edge[1])):
        number += step
        if number > best:
            best, when = number, at
    return best, when
