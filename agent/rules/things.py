"""Rules about things that are put down and left, or taken from their place."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent import geometry
from agent.labels import class_of
from agent.perceive.regions import Observed, the
from agent.perceive.state import Presence, Sighting, Step, capital, name
from agent.rules.filters import is_meant
from agent.rules.firing import Firing, Place
from agent.types import XY, BoxXyxy

MOST_THINGS = 256
STILL = 0.025
"""What moves by less than this, in heights of the picture, or by less than a quarter of its size, has not moved."""
BROUGHT = timedelta(seconds=5.0)
"""Whoever was near a thing so shortly before it was first seen, or came to rest, has brought it."""
AT_FIRST = timedelta(seconds=3.0)
"""What is seen so shortly after the rule began to look was there before."""
SETTLED = timedelta(seconds=5.0)
"""A thing has its place where it has been still for so long."""
_LOOK_EVERY = timedelta(seconds=0.5)


@dataclass(slots=True)
class _Thing:
    """A thing at rest since `since`; `alone` is since when nobody has been near it, `last` its newest sighting there,
    `gone` since when it is not there."""

    centre: XY
    since: datetime
    alone: datetime
    brought: bool
    last: Sighting
    presence: Presence
    gone: datetime | None = None
    told: bool = False


class _Company:
    """Where people have been within `BROUGHT`."""

    def __init__(self) -> None:
        self._looks: deque[tuple[datetime, tuple[BoxXyxy, ...]]] = deque()

    def step(self, step: Step) -> tuple[BoxXyxy, ...]:
        """Boxes of people now, also of those who are out of sight for an instant."""
        people = tuple(p.last.box for p in step.presences.values() if p.in_sight and class_of(p.label) == "person")
        if not self._looks or step.at - self._looks[-1][0] >= _LOOK_EVERY:
            self._looks.append((step.at, people))
        while step.at - self._looks[0][0] > BROUGHT:
            self._looks.popleft()
        return people

    def was_near(self, box: BoxXyxy, aspect: float) -> bool:
        return any(near(box, people, aspect) for _, people in self._looks)


class LeftBehind:
    """Once for each time that a thing is put down: it is still, and whoever brought it is not near it any more."""

    def __init__(self) -> None:
        self._things: dict[int, _Thing] = {}
        self._company = _Company()
        self._began: datetime | None = None

    @property
    def kept(self) -> int:
        return len(self._things)

    def step(self, place: Place, observed: Observed) -> Iterator[Firing]:
        step = observed.step
        if self._began is None or step.resumed:
            self._began = step.at
        people = self._company.step(step)
        for presence in step.presences.values():
            if presence.in_sight and presence.live and is_meant(place.rule, presence, presence.last.box, step.aspect):
                self._see(presence, step)
        for track, thing in list(self._things.items()):
            if track not in step.presences:
                del self._things[track]
            elif near(thing.last.box, people, step.aspect):
                thing.alone = step.at
        yield from self._alone(place, observed)

    def _see(self, presence: Presence, step: Step) -> None:
        thing, centre = self._things.get(presence.id), geometry.centre(presence.last.box)
        if thing is not None and not _moved(thing.centre, presence.last.box, step.aspect):
            thing.last = presence.last
            return
        known = thing is not None or (self._began is not None and presence.first.at - self._began > AT_FIRST)
        brought = known and self._company.was_near(presence.last.box, step.aspect)
        _keep(self._things, _Thing(centre, step.at, step.at, brought, presence.last, presence))

    def _alone(self, place: Place, observed: Observed) -> Iterator[Firing]:
        step, region = observed.step, place.region
        for thing in self._things.values():
            presence = thing.presence
            due = thing.alone + timedelta(seconds=place.rule.seconds)
            there = presence.live and presence.in_sight
            if thing.told or not thing.brought or not there or step.at < due or place.on_since is None:
                continue
            if observed.regions.inside_since(region.id, presence.id) is not None:
                thing.told = True
                text = f"{capital(name(presence))} was left in {the(region)}."
                yield place.fires(text, (presence,), presence.last, due, place.rule.seconds)


class TakenAway:
    """Once for each time that a thing goes from its place, dated at when it was last seen there."""

    def __init__(self) -> None:
        self._things: dict[int, _Thing] = {}

    @property
    def kept(self) -> int:
        return len(self._things)

    def step(self, place: Place, observed: Observed) -> Iterator[Firing]:
        step, rule = observed.step, place.rule
        for presence in step.presences.values():
            if presence.in_sight and presence.live and is_meant(rule, presence, presence.last.box, step.aspect):
                self._see(presence, place, observed)
        for track, thing in list(self._things.items()):
            now = step.presences.get(track)
            there = now is not None and now.live and thing.last.at == now.last.at
            if step.resumed:
                # Nobody has looked meanwhile.
                thing.gone = None
            if there:
                thing.gone = None
                continue
            thing.gone = thing.gone or (step.at if step.resumed else thing.last.at)
            if step.at - thing.gone < timedelta(seconds=rule.seconds):
                continue
            del self._things[track]
            if place.on_since is not None and thing.last.at - thing.since >= SETTLED:
                text = f"{capital(name(thing.presence))} was taken from {the(place.region)}."
                yield place.fires(text, (thing.presence,), thing.last, thing.last.at, rule.seconds)

    def _see(self, presence: Presence, place: Place, observed: Observed) -> None:
        thing, step = self._things.get(presence.id), observed.step
        inside = observed.regions.inside_since(place.region.id, presence.id) is not None
        if thing is not None and not _moved(thing.centre, presence.last.box, step.aspect):
            thing.last = presence.last
        elif thing is not None and thing.last.at - thing.since >= SETTLED:
            return  # on its way: not there
        elif inside:
            centre = geometry.centre(presence.last.box)
            _keep(self._things, _Thing(centre, step.at, step.at, False, presence.last, presence))
        elif thing is not None:
            del self._things[presence.id]


def near(box: BoxXyxy, people: Iterable[BoxXyxy], aspect: float) -> bool:
    """Whether a person is at a thing: within a third of the smaller one's size."""
    return any(geometry.gap(box, person, aspect) <= geometry.reach(box, person, aspect) for person in people)


def _moved(centre: XY, box: BoxXyxy, aspect: float) -> bool:
    size = max((box[2] - box[0]) * aspect, box[3] - box[1])
    return geometry.distance(centre, geometry.centre(box), aspect) > max(STILL, size / 4)


def _keep(things: dict[int, _Thing], thing: _Thing) -> None:
    things.pop(thing.presence.id, None)
    things[thing.presence.id] = thing
    if len(things) > MOST_THINGS:
        del things[next(iter(things))]
