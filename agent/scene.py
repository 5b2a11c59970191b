"""What is known of a stream's scene: its objects, where they have been, and what happened.

`SceneLog` is fed with every track update and every event, and bounded for a stream of any length. `Scene` is what it
knew at one moment; it never changes.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from agent import geometry
from agent.types import XY, BoxXyxy, Event, EventKind, Region, RegionKind
from stream.types import Track, TrackState, TrackUpdate

KEPT_OBJECTS = 256
KEPT_EVENTS = 1000
KEPT_PATH = 120
KEPT_VISITS = 32
KEPT_LABELS = 8

_PATH_STEP = timedelta(seconds=1)
_RECENT = timedelta(seconds=1)
_OPENING = (EventKind.ENTER, EventKind.APPEAR, EventKind.FOUND)
_CLOSING = (EventKind.EXIT, EventKind.LOST)


class PathPoint(NamedTuple):
    at: datetime
    box: BoxXyxy


@dataclass(frozen=True, slots=True)
class Visit:
    """One stay in sight. `began` is ENTER, APPEAR or FOUND; `ended` is EXIT or LOST, None while it lasts.

    `edge_in` and `edge_out` number the picture's edges (`geometry.EDGES`), None where none was passed.
    """

    began: EventKind
    since: datetime
    edge_in: int | None = None
    ended: EventKind | None = None
    until: datetime | None = None
    edge_out: int | None = None


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One confirmed object. `box` is where it is, or was last seen; `velocity` its centre's, in [0, 1] of the picture
    a second; `path` has a point a second, thinned out towards the past."""

    id: int
    label: str
    labels: tuple[str, ...]
    """All names it has had, newest last."""
    state: TrackState
    first_at: datetime
    last_at: datetime
    """When it was last seen."""
    box: BoxXyxy
    velocity: XY
    path: tuple[PathPoint, ...]
    visits: tuple[Visit, ...]
    caption: str | None = None

    @property
    def visible(self) -> bool:
        return self.state is TrackState.LIVE

    @property
    def centre(self) -> XY:
        return geometry.centre(self.box)

    @property
    def where(self) -> str:
        """`"bottom left"` and the like."""
        return geometry.place_words(self.centre)

    @property
    def moving(self) -> bool:
        """Whether it moves by more than what a box trembles."""
        if not self.visible:
            return False
        return self._drift(*self.velocity) > self._tremble

    @property
    def direction(self) -> str:
        """`"to the right"` and the like."""
        return geometry.direction_words(*self.velocity)

    def box_at(self, at: datetime) -> BoxXyxy | None:
        """Where it was, to the nearest point of its path, or None where none is near that time."""
        if not self.path:
            return None
        nearest = min(self.path, key=lambda point: abs(point.at - at))
        near = abs(nearest.at - at) <= max(2 * _PATH_STEP, 0.05 * (self.last_at - self.first_at))
        return nearest.box if near and self.seen_at(at) else None

    def seen_at(self, at: datetime) -> bool:
        """Whether it was in sight then."""
        return any(v.since <= at and (v.until is None or at <= v.until) for v in self.visits)

    def moved_since(self, since: datetime | None = None) -> bool:
        """Whether it has been in different places since then, or ever."""
        points = [point for point in self.path if since is None or point.at >= since]
        if not points:
            return False
        x0, y0 = geometry.centre(points[0].box)
        return any(self._drift(x - x0, y - y0) > 2 * self._tremble for x, y in (geometry.centre(p.box) for p in points))

    def resting_since(self) -> datetime:
        """Since when it has been where it is now."""
        here = self.centre
        since = self.last_at
        for point in reversed(self.path):
            x, y = geometry.centre(point.box)
            if self._drift(x - here[0], y - here[1]) > 2 * self._tremble:
                break
            since = point.at
        return since

    @property
    def _tremble(self) -> float:
        return max(0.015, 0.15 * (self.box[2] - self.box[0]), 0.08 * (self.box[3] - self.box[1]))

    @staticmethod
    def _drift(dx: float, dy: float) -> float:
        return max(abs(dx), abs(dy))


@dataclass(frozen=True, slots=True)
class Scene:
    """All that was known at `at`: objects by id, events by time, regions."""

    at: datetime
    began_at: datetime
    aspect: float
    objects: tuple[SceneObject, ...]
    events: tuple[Event, ...]
    regions: tuple[Region, ...] = ()

    @property
    def visible(self) -> tuple[SceneObject, ...]:
        return tuple(thing for thing in self.objects if thing.visible)

    def get(self, track_id: int) -> SceneObject | None:
        return next((thing for thing in self.objects if thing.id == track_id), None)

    def labelled(self, label: str) -> tuple[SceneObject, ...]:
        """Objects that have, or had, this very label."""
        return tuple(thing for thing in self.objects if label in thing.labels)

    def events_between(
        self, since: datetime | None = None, until: datetime | None = None, kinds: Iterable[EventKind] | None = None
    ) -> list[Event]:
        """Events from `since` to `until`, both inclusive, oldest first."""
        wanted = frozenset(kinds) if kinds is not None else None
        return [
            event
            for event in self.events
            if (since is None or event.at >= since)
            and (until is None or event.at <= until)
            and (wanted is None or event.kind in wanted)
        ]

    def in_region(self, region: Region) -> tuple[SceneObject, ...]:
        """Visible objects whose ground point is in a zone."""
        if region.kind is not RegionKind.ZONE:
            return ()
        return tuple(t for t in self.visible if geometry.in_polygon(geometry.ground_point(t.box), region.points))


@dataclass(slots=True)
class _Record:
    """What `SceneLog` keeps of an object. `recent` holds its boxes of about the last second."""

    seen: SceneObject
    path: deque[PathPoint]
    recent: deque[PathPoint]
    visits: tuple[Visit, ...] = ()
    _frozen: SceneObject | None = None

    def change(self, seen: SceneObject, visits: tuple[Visit, ...] | None = None) -> None:
        self.seen = seen
        self.visits = self.visits if visits is None else visits
        self._frozen = None

    def frozen(self) -> SceneObject:
        if self._frozen is None:
            self._frozen = replace(self.seen, path=tuple(self.path), visits=self.visits)
        return self._frozen


class SceneLog:
    """The newest knowledge of a scene. Not thread-safe; all of it runs on the event loop."""

    def __init__(self, regions: Iterable[Region] = ()) -> None:
        self.regions = tuple(regions)
        self._records: dict[int, _Record] = {}
        self._events: deque[Event] = deque(maxlen=KEPT_EVENTS)
        self._began_at: datetime | None = None
        self._at = datetime.fromtimestamp(0, UTC)
        self._aspect = 16 / 9

    def update(self, update: TrackUpdate, at: datetime) -> None:
        """Take in what the tracker says of one frame that was captured at `at`. Tentative tracks are no objects yet."""
        self._began_at = self._began_at or at
        self._at = at
        self._aspect = update.width / update.height
        present = set()
        for track in update.tracks:
            if track.id in self._records or track.state is TrackState.LIVE:
                present.add(track.id)
                self._take(track, update, at)
        for track_id, record in self._records.items():
            if track_id not in present and record.seen.state is not TrackState.GONE:
                record.change(replace(record.seen, state=TrackState.GONE, velocity=(0.0, 0.0)))
        self._forget_the_oldest()

    def add_event(self, event: Event) -> None:
        """Events may come a little late: they are kept in the order of the time when they happened."""
        if self._events and event.at < self._events[-1].at:
            events = list(self._events)
            insort(events, event, key=lambda known: known.at)
            self._events = deque(events, maxlen=KEPT_EVENTS)
        else:
            self._events.append(event)
        if event.kind in (*_OPENING, *_CLOSING):
            for track_id in event.track_ids:
                record = self._records.get(track_id)
                if record is not None:
                    record.change(record.seen, _visits_after(record.visits, event))

    def describe(self, track_id: int, caption: str) -> None:
        """Keep a description of an object's look."""
        record = self._records.get(track_id)
        if record is not None:
            record.change(replace(record.seen, caption=caption))

    def remove(self, track_id: int) -> None:
        """The user does not want this object."""
        self._records.pop(track_id, None)

    def snapshot(self) -> Scene:
        objects = tuple(self._records[track_id].frozen() for track_id in sorted(self._records))
        began_at = self._began_at or self._at
        return Scene(self._at, began_at, self._aspect, objects, tuple(self._events), self.regions)

    def _take(self, track: Track, update: TrackUpdate, at: datetime) -> None:
        record = self._records.get(track.id)
        box = geometry.unit_box(track.box_xyxy_px, update.width, update.height)
        if record is None:
            seen = SceneObject(track.id, track.label, (track.label,), track.state, at, at, box, (0.0, 0.0), (), ())
            record = self._records[track.id] = _Record(seen, deque(), deque(maxlen=64))
        seen = record.seen
        if track.label != seen.label:
            labels = (*(name for name in seen.labels if name != track.label), track.label)[-KEPT_LABELS:]
            seen = replace(seen, label=track.label, labels=labels)
        if track.state is not TrackState.LIVE:
            record.recent.clear()
            if seen is not record.seen or seen.state is not track.state:
                record.change(replace(seen, state=track.state, velocity=(0.0, 0.0)))
            return
        _remember_place(record, PathPoint(at, box))
        velocity = velocity_of(record.recent)
        record.change(replace(seen, state=track.state, last_at=at, box=box, velocity=velocity))

    def _forget_the_oldest(self) -> None:
        while len(self._records) > KEPT_OBJECTS:
            oldest = min(self._records.values(), key=lambda r: (r.seen.visible, r.seen.last_at, r.seen.id))
            del self._records[oldest.seen.id]


def velocity_of(recent: deque[PathPoint]) -> XY:
    """Mean velocity of the centre over `recent`, in [0, 1] of the picture a second; 0 where that is too short."""
    if len(recent) < 2 or recent[-1].at - recent[0].at < timedelta(milliseconds=50):
        return 0.0, 0.0
    span = (recent[-1].at - recent[0].at).total_seconds()
    (x0, y0), (x1, y1) = geometry.centre(recent[0].box), geometry.centre(recent[-1].box)
    return (x1 - x0) / span, (y1 - y0) / span


def keep_recent(recent: deque[PathPoint], point: PathPoint) -> None:
    """Append `point` and let go of what is older than a second."""
    recent.append(point)
    while point.at - recent[0].at > _RECENT:
        recent.popleft()


def _remember_place(record: _Record, point: PathPoint) -> None:
    keep_recent(record.recent, point)
    path = record.path
    if path and point.at - path[-1].at < _PATH_STEP:
        return
    path.append(point)
    if len(path) > KEPT_PATH:
        points = list(path)
        half = len(points) // 2
        record.path = deque((*points[:half:2], *points[half:]))


def _visits_after(visits: tuple[Visit, ...], event: Event) -> tuple[Visit, ...]:
    edge = int(event.value) if event.value is not None else None
    if event.kind in _OPENING:
        visits = (*visits, Visit(event.kind, event.at, edge))
        # The first one says since when the object is known; of the others the newest matter.
        return visits if len(visits) <= KEPT_VISITS else (visits[0], *visits[2:])
    if visits and visits[-1].until is None:
        return (*visits[:-1], replace(visits[-1], ended=event.kind, until=event.at, edge_out=edge))
    return visits
