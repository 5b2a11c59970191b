"""Rules about who is in a zone, and for how long: passing, staying, loitering, counting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.perceive.matching import COMPARE
from agent.perceive.regions import Observed, the
from agent.perceive.state import Presence, Sighting, capital, name
from agent.rules.filters import is_meant, meant
from agent.rules.firing import Firing, Place
from agent.types import Direction, EventKind, RuleKind

COUNT_HOLDS = timedelta(seconds=0.5)
"""A count must hold this long where the rule says nothing, and be over as long to be told again."""
STEP_OUT = timedelta(seconds=10.0)
"""Who loiters may be out of the zone this long, but no longer than for half of the time that the rule asks for."""

_PASSING = {
    RuleKind.ENTER: EventKind.ZONE_ENTER,
    RuleKind.LEAVE: EventKind.ZONE_LEAVE,
    RuleKind.CROSS: EventKind.LINE,
}
_SIDES = {Direction.FORWARD: 1.0, Direction.BACKWARD: -1.0}


class Passing:
    """Enters, leaves, crosses: as soon as that is sure, dated at when it was."""

    kept = 0

    def step(self, place: Place, observed: Observed) -> Iterator[Firing]:
        rule, region = place.rule, place.region
        if place.on_since is None:
            return
        for crossing in observed.crossings:
            if crossing.region.id != region.id or crossing.kind is not _PASSING[rule.kind]:
                continue
            if rule.direction is not None and crossing.value != _SIDES[rule.direction]:
                continue
            sighting, presence = crossing.sighting, crossing.presence
            # What was passed just before the rule was switched on does not count.
            if sighting.at < place.on_since or not is_meant(rule, presence, sighting.box, observed.step.aspect):
                continue
            text = crossing.text
            if rule.kind is RuleKind.ENTER:
                text = f"{capital(name(presence))} entered {the(region)}."
            yield place.fires(text, (presence,), sighting, sighting.at, crossing.value)


class Dwelling:
    """Once for each stay, as soon as it is long enough."""

    def __init__(self) -> None:
        self._told: set[tuple[int, datetime]] = set()

    @property
    def kept(self) -> int:
        return len(self._told)

    def step(self, place: Place, observed: Observed) -> Iterator[Firing]:
        step, rule = observed.step, place.rule
        for presence in meant(rule, step):
            since = observed.regions.inside_since(place.region.id, presence.id)
            if since is None or place.on_since is None or (presence.id, since) in self._told:
                continue
            due = since + timedelta(seconds=rule.seconds)
            if step.at >= due:
                self._told.add((presence.id, since))
                text = f"{capital(name(presence))} has been in {the(place.region)} for {length(rule.seconds)}."
                yield place.fires(text, (presence,), presence.last, due, rule.seconds)
        self._told = {key for key in self._told if key[0] in step.presences}


@dataclass(slots=True)
class _Chain:
    """Stays with only short times outside between them."""

    since: datetime
    last: datetime
    told: bool = False


class Loitering:
    """Once for each chain of stays."""

    def __init__(self) -> None:
        self._chains: dict[int, _Chain] = {}

    @property
    def kept(self) -> int:
        return len(self._chains)

    def step(self, place: Place, observed: Observed) -> Iterator[Firing]:
        step, rule = observed.step, place.rule
        gap = min(STEP_OUT, timedelta(seconds=rule.seconds / 2))
        for presence in meant(rule, step):
            inside = observed.regions.inside_since(place.region.id, presence.id)
            if inside is None:
                continue
            chain = self._chains.get(presence.id)
            if chain is None or inside - chain.last > gap:
                chain = self._chains[presence.id] = _Chain(inside, inside)
            chain.last = step.at
            due = max(chain.since + timedelta(seconds=rule.seconds), inside)
            if step.at >= due and not chain.told and place.on_since is not None:
                chain.told = True
                text = f"{capital(name(presence))} has been about {the(place.region)} for {length(rule.seconds)}."
                yield place.fires(text, (presence,), presence.last, due, rule.seconds)
        self._chains = {track: chain for track, chain in self._chains.items() if step.at - chain.last <= gap}


class Counting:
    """When the count begins to hold, and again after it did not. Dated at when it has held for as long as asked."""

    def __init__(self) -> None:
        self._told = False
        self._turn: datetime | None = None
        self._before: dict[int, Presence] = {}

    @property
    def kept(self) -> int:
        return len(self._before)

    def step(self, place: Place, observed: Observed) -> Iterator[Firing]:
        step, rule = observed.step, place.rule
        inside = set(observed.regions.inside(place.region.id))
        counted = {presence.id: presence for presence in meant(rule, step) if presence.id in inside}
        changed_at = self._changed(place, observed, counted)
        self._before = counted
        holds = COMPARE[rule.op](len(counted), rule.value)
        if holds is self._told:
            self._turn = None
            return
        self._turn = changed_at if self._turn is None else self._turn
        wanted = max(COUNT_HOLDS, timedelta(seconds=rule.seconds)) if holds else COUNT_HOLDS
        if step.at - self._turn < wanted or (holds and place.on_since is None):
            return
        turn, self._turn, self._told = self._turn, None, holds
        if holds:
            text = f"{_counted(len(counted), rule.label)} in {the(place.region)}"
            names = ", ".join(name(presence) for presence in counted.values())
            text += f": {names}." if names else "."
            now = Sighting(step.at, step.frame, step.pts, (0.0, 0.0, 1.0, 1.0))
            first = next(iter(counted.values()), None)
            sighting = first.last if first is not None and len(counted) == 1 else now
            due = turn + timedelta(seconds=rule.seconds)
            yield place.fires(text, counted.values(), sighting, due, float(len(counted)))

    def _changed(self, place: Place, observed: Observed, counted: dict[int, Presence]) -> datetime:
        """When the count became what it is: that somebody came or went is sure only a moment later."""
        turns = {c.presence.id: c.sighting.at for c in observed.crossings if c.region.id == place.region.id}
        moments = [turns[track] for track in counted.keys() ^ self._before.keys() if track in turns]
        moments += [
            presence.last.at
            for track, presence in self._before.items()
            if track not in counted and track not in turns and presence.out is not None
        ]
        return max(moments, default=observed.step.at)


def length(seconds: float) -> str:
    if seconds < 120 or seconds % 60:
        return f"{seconds:g} s"
    return f"{seconds / 60:g} minutes"


def _counted(number: int, label: str | None) -> str:
    what = label or ("object" if number == 1 else "objects")
    return f"{number or 'No'} {what}"
