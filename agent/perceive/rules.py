"""What rules of the user's ask for beyond what always counts: stays, counts, looks, ticks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent import geometry
from agent.labels import stands_for
from agent.perceive.matching import COMPARE
from agent.perceive.regions import Regions
from agent.perceive.state import Presence, Step, capital, name
from agent.types import BoxXyxy, EventKind, Rule

COUNT_HOLDS = timedelta(seconds=0.5)
"""A count must hold this long where the rule says nothing, and be over as long to be told again."""
LOOK_HOLDS = timedelta(seconds=1.0)
GROWN, BENT = 1.8, 1.5


@dataclass(frozen=True, slots=True)
class Proposal:
    """An event that a rule asked for, about the objects as they are now."""

    kind: EventKind
    presences: tuple[Presence, ...]
    text: str
    value: float | None
    region_id: str | None = None


@dataclass(slots=True)
class _Condition:
    """Whether a rule's count holds; `turn` is since when it is otherwise."""

    told: bool = False
    turn: datetime | None = None


class Rules:
    """Rules against presences; bounded by rules times objects."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.rules = tuple(rules)
        self._counts: dict[Rule, _Condition] = {}
        self._dwells: set[tuple[Rule, int, datetime]] = set()
        self._ticks: dict[Rule, datetime] = {}

    @property
    def kept(self) -> int:
        return len(self._counts) + len(self._dwells) + len(self._ticks)

    def replace(self, rules: Iterable[Rule]) -> None:
        """Other rules from now on; what is known of those that stay is kept."""
        self.rules = tuple(rules)
        self._counts = {rule: c for rule, c in self._counts.items() if rule in self.rules}
        self._dwells = {key for key in self._dwells if key[0] in self.rules}
        self._ticks = {rule: at for rule, at in self._ticks.items() if rule in self.rules}

    def step(self, step: Step, regions: Regions) -> Iterator[Proposal]:
        for rule in dict.fromkeys(self.rules):
            if rule.kind is EventKind.DWELL:
                yield from self._dwell(rule, step, regions)
            elif rule.kind is EventKind.COUNT:
                yield from self._count(rule, step, regions)
            elif rule.kind is EventKind.TICK:
                yield from self._tick(rule, step)
        self._dwells = {key for key in self._dwells if key[1] in step.presences}

    def _dwell(self, rule: Rule, step: Step, regions: Regions) -> Iterator[Proposal]:
        for presence in _meant(rule, step):
            since = presence.since if rule.region_id is None else regions.inside_since(rule.region_id, presence.id)
            if since is None or (step.at - since).total_seconds() < rule.seconds:
                continue
            key = (rule, presence.id, since)
            if key not in self._dwells:
                self._dwells.add(key)
                text = f"{capital(name(presence))} has been there for {rule.seconds:g} s."
                yield Proposal(rule.kind, (presence,), text, rule.seconds, rule.region_id)

    def _count(self, rule: Rule, step: Step, regions: Regions) -> Iterator[Proposal]:
        counted = list(_meant(rule, step))
        if rule.region_id is not None:
            inside = set(regions.inside(rule.region_id))
            counted = [presence for presence in counted if presence.id in inside]
        condition = self._counts.setdefault(rule, _Condition())
        holds = COMPARE[rule.op or ">="](len(counted), 1.0 if rule.value is None else rule.value)
        if holds is condition.told:
            condition.turn = None
            return
        condition.turn = condition.turn or step.at
        wanted = timedelta(seconds=rule.seconds) if holds and rule.seconds else COUNT_HOLDS
        if step.at - condition.turn < wanted:
            return
        condition.told, condition.turn = holds, None
        if holds:
            names = ", ".join(name(presence) for presence in counted)
            text = f"Number of {rule.label or 'objects'}: {len(counted)}" + (f" ({names})." if names else ".")
            yield Proposal(rule.kind, tuple(counted), text, float(len(counted)), rule.region_id)

    def _tick(self, rule: Rule, step: Step) -> Iterator[Proposal]:
        """Where the rule names a kind of object, only while one is in sight, and about those."""
        last = self._ticks.setdefault(rule, step.at)
        if rule.seconds <= 0 or (step.at - last).total_seconds() < rule.seconds:
            return
        there = tuple(_meant(rule, step)) if rule.label is not None else ()
        if rule.label is None or there:
            self._ticks[rule] = step.at
            text = f"In the picture: {', '.join(map(name, there))}." if there else f"{rule.seconds:g} s have passed."
            yield Proposal(rule.kind, there, text, rule.seconds)


class Looks:
    """Objects that have changed their shape since they were described. Who was not described cannot have changed."""

    def __init__(self) -> None:
        self._shapes: dict[int, tuple[BoxXyxy, datetime | None]] = {}

    @property
    def kept(self) -> int:
        return len(self._shapes)

    def described(self, presence: Presence) -> None:
        """The object's present look has been put into words."""
        self._shapes[presence.id] = (presence.last.box, None)

    def step(self, step: Step) -> Iterator[Proposal]:
        for track_id in [track_id for track_id in self._shapes if track_id not in step.presences]:
            del self._shapes[track_id]
        for track_id, (shape, since) in list(self._shapes.items()):
            presence = step.presences[track_id]
            if not (presence.in_sight and presence.live) or not _differs(shape, presence.last.box, step.aspect):
                self._shapes[track_id] = (shape, None)
            elif since is None:
                self._shapes[track_id] = (shape, step.at)
            elif step.at - since >= LOOK_HOLDS:
                self._shapes[track_id] = (presence.last.box, None)
                text = f"{capital(name(presence))} looks different."
                yield Proposal(EventKind.CHANGE, (presence,), text, None)


def _meant(rule: Rule, step: Step) -> Iterator[Presence]:
    for presence in step.presences.values():
        if presence.in_sight and (rule.label is None or stands_for(rule.label, presence.label)):
            yield presence


def _differs(before: BoxXyxy, now: BoxXyxy, aspect: float) -> bool:
    """Whether the shape is another one. Boxes that the picture cuts off say nothing."""
    if min(now[0], now[1], 1 - now[2], 1 - now[3]) < 0.005:
        return False
    grown = geometry.area(now) / max(geometry.area(before), 1e-6)
    bent = _ratio(now, aspect) / _ratio(before, aspect)
    return max(grown, 1 / max(grown, 1e-6)) > GROWN or max(bent, 1 / bent) > BENT


def _ratio(box: BoxXyxy, aspect: float) -> float:
    return max(1e-6, (box[2] - box[0]) * aspect) / max(1e-6, box[3] - box[1])
