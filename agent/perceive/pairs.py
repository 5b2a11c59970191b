"""Who comes near whom, and what is left behind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from agent import geometry
from agent.labels import BEINGS, class_of
from agent.perceive.matching import NEAR_S, labels_match
from agent.perceive.state import Presence, Sighting, Step, capital, name
from agent.types import BoxXyxy, EventKind, Rule

PERIOD = timedelta(seconds=0.2)
"""Pairs are looked at this often: people do not come near each other faster than that."""
APART = timedelta(seconds=1.0)
TOGETHER_S = 0.5
"""What was carried has moved along with its bearer for as long as this."""
MOST_OBJECTS = 32
"""Of more objects than this only the first are compared."""

Pair = tuple[int, int]
_Both = tuple[Presence, Presence]


@dataclass(frozen=True, slots=True)
class Meeting:
    """PROXIMITY of two, or APART: the one that stayed, then the one that went."""

    kind: EventKind
    presences: tuple[Presence, Presence]
    sighting: Sighting
    """Of the frame that shows it; its box belongs to the first of the pair as ids go."""
    boxes: tuple[BoxXyxy, BoxXyxy]
    """Of `presences`, on that frame."""
    text: str
    near_s: float | None = None


@dataclass(slots=True)
class _Bond:
    """Two that are, or just were, near each other. `came` where they were seen apart before."""

    since: datetime
    came: bool
    last_near: Sighting
    boxes: tuple[BoxXyxy, BoxXyxy]
    """Where they were when they were last near, in the order of their ids."""
    together_s: float = 0.0
    told: frozenset[float] = frozenset()
    """The lengths of being near, in seconds, that were told."""


class Pairs:
    """All pairs of objects in sight. Memory is bounded by `MOST_OBJECTS` squared.

    That people and animals come near each other is always told, of other pairs where a rule asks for it.
    """

    def __init__(self) -> None:
        self._bonds: dict[Pair, _Bond] = {}
        self._apart: set[Pair] = set()
        self._looked_at: datetime | None = None
        self._present: dict[int, Presence] = {}

    @property
    def kept(self) -> int:
        return len(self._bonds) + len(self._apart)

    def step(self, step: Step, rules: Iterable[Rule] = ()) -> list[Meeting]:
        """What happened between objects since the last look."""
        if self._looked_at is not None and timedelta() <= step.at - self._looked_at < PERIOD:
            return []
        passed_s = 0.0 if self._looked_at is None else (step.at - self._looked_at).total_seconds()
        self._looked_at = step.at
        there = [p for p in step.presences.values() if p.in_sight and p.live][:MOST_OBJECTS]
        self._forget(step)
        found: list[Meeting] = []
        asked = [rule for rule in rules if rule.kind is EventKind.PROXIMITY]
        near, far = _near_and_far(there, step.aspect)
        for i, j in combinations(range(len(there)), 2):
            a, b = sorted((there[i], there[j]), key=lambda p: p.id)
            if near[i, j]:
                found += self._near((a, b), passed_s, step, asked)
            elif far[i, j]:
                found += self._far((a, b), step)
        return found

    def left(self, leaver: Presence) -> list[Meeting]:
        """An object went out of the picture: what it carried and did not take along is left behind."""
        found = []
        for key in [key for key in self._bonds if leaver.id in key]:
            bond = self._bonds.pop(key)
            other = self._stayed(bond, key, leaver)
            if other is not None:
                found.append(_left_behind(other, leaver, bond))
        return found

    def _near(self, pair: _Both, passed_s: float, step: Step, rules: list[Rule]) -> Iterator[Meeting]:
        a, b = pair
        key, boxes = (a.id, b.id), (a.last.box, b.last.box)
        bond = self._bonds.get(key)
        if bond is None:
            bond = self._bonds[key] = _Bond(step.at, key in self._apart, a.last, boxes)
        self._apart.discard(key)
        bond.last_near, bond.boxes = a.last, boxes
        if _move_alike(a, b, step.aspect):
            bond.together_s += min(passed_s, 1.0)
        if not bond.came:
            return
        near_s = (step.at - bond.since).total_seconds()
        for seconds in sorted(_lengths(a, b, rules) - bond.told):
            if near_s >= seconds:
                bond.told |= {seconds}
                text = f"{capital(name(a))} and {name(b)} came near each other."
                yield Meeting(EventKind.PROXIMITY, (a, b), a.last, boxes, text, seconds)

    def _far(self, pair: _Both, step: Step) -> Iterator[Meeting]:
        a, b = pair
        key = (a.id, b.id)
        bond = self._bonds.get(key)
        if bond is None:
            self._apart.add(key)
            return
        if step.at - bond.last_near.at < APART:
            return
        del self._bonds[key]
        self._apart.add(key)
        if bond.together_s < TOGETHER_S:
            return
        a_stayed, b_stayed = (not _moved(p, box) for p, box in zip((a, b), bond.boxes, strict=True))
        if a_stayed != b_stayed:
            stayed, went = (a, b) if a_stayed else (b, a)
            yield _left_behind(stayed, went, bond)

    def _stayed(self, bond: _Bond, key: Pair, leaver: Presence) -> Presence | None:
        other = self._present.get(key[0] if key[1] == leaver.id else key[1])
        if other is None or not (other.in_sight and other.live) or bond.together_s < TOGETHER_S:
            return None
        return None if _moved(other, bond.boxes[key.index(other.id)]) else other

    def _forget(self, step: Step) -> None:
        self._present = step.presences
        for key in [key for key in self._bonds if not all(i in step.presences for i in key)]:
            del self._bonds[key]
        self._apart = {key for key in self._apart if all(i in step.presences for i in key)}


def _near_and_far(there: list[Presence], aspect: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which of `n` objects are near each other and which are clearly not, both `(n, n)` bool."""
    boxes = np.array([p.last.box for p in there], dtype=np.float64).reshape(-1, 4) * (aspect, 1.0, aspect, 1.0)
    x0, y0, x1, y1 = boxes.T
    dx = np.maximum(0.0, np.maximum(x0[:, None] - x1, x0 - x1[:, None]))
    dy = np.maximum(0.0, np.maximum(y0[:, None] - y1, y0 - y1[:, None]))
    size = np.maximum(x1 - x0, y1 - y0)
    reach = 0.35 * np.minimum(size[:, None], size)
    gaps = np.hypot(dx, dy)
    return gaps <= reach, gaps > 2 * reach


def _lengths(a: Presence, b: Presence, rules: list[Rule]) -> set[float]:
    """For how long the two must be near each other to be told of, in seconds; none where nobody wants to know."""
    beings = class_of(a.label) in BEINGS and class_of(b.label) in BEINGS
    asked = {max(NEAR_S, rule.seconds) for rule in rules if labels_match(rule, (a.label, b.label))}
    return asked | {NEAR_S} if beings else asked


def _move_alike(a: Presence, b: Presence, aspect: float) -> bool:
    (ax, ay), (bx, by) = a.velocity, b.velocity
    fast_a, fast_b = np.hypot(ax * aspect, ay), np.hypot(bx * aspect, by)
    differ = np.hypot((ax - bx) * aspect, ay - by)
    return bool(min(fast_a, fast_b) > 0.03 and differ < 0.5 * max(fast_a, fast_b))


def _moved(presence: Presence, before: BoxXyxy) -> bool:
    (x, y), (x0, y0) = geometry.centre(presence.last.box), geometry.centre(before)
    return max(abs(x - x0), abs(y - y0)) > 0.03


def _left_behind(stayed: Presence, went: Presence, bond: _Bond) -> Meeting:
    text = f"{capital(name(went))} went away from {name(stayed)}, which stayed behind."
    boxes = bond.boxes if stayed.id < went.id else bond.boxes[::-1]
    return Meeting(EventKind.APART, (stayed, went), bond.last_near, boxes, text)
