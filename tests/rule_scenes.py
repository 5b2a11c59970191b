"""Composed walks through zones and over lines, drawn from a seed, with the truth of what happens there.

The truth is read off the exact walks, at 50 looks a second, by definitions that share no code with the rules: who is
inside is decided by winding angles, who crosses by the sign of a cross product. Walks are clear: whoever passes a
border goes well beyond it and stays there for a while. What is tracked trembles, and is out of sight now and then.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np

from agent.perceive.presences import Presences
from agent.perceive.regions import Observed, Regions
from agent.rules import Firing, RegionRules
from agent.types import XY, Direction, Region, RegionKind, RegionRule, RuleKind
from stream.types import Track, TrackState, TrackUpdate
from tests.composed_tracks import HEIGHT, WIDTH, at, seconds, square, track, update

LOOKS = 50
SECONDS = 60
WALKERS = 6
SPELL_S, DEPTH = 1.5, 0.03
"""Each stay on one side of a border lasts so long and goes so deep, in heights of the picture."""
DWELL_S, MANY = 4.0, 2
ASPECT = WIDTH / HEIGHT
WITHIN_S = 0.5


@dataclass(frozen=True, slots=True)
class Happening:
    """What truly happens: the objects, and when, in seconds; `how` is the way over a line, or what the count is."""

    kind: RuleKind
    ids: frozenset[int]
    t: float
    how: str = ""


@dataclass(frozen=True, slots=True)
class Walk:
    """Where an object stands from second `since` on, `(n, 2)` in [0, 1] of the picture, `LOOKS` a second."""

    id: int
    since: float
    path: np.ndarray

    def at(self, t: float) -> XY | None:
        k = round((t - self.since) * LOOKS)
        return (float(self.path[k, 0]), float(self.path[k, 1])) if 0 <= k < len(self.path) else None


@dataclass(frozen=True, slots=True)
class RuleScene:
    zone: Region
    line: Region
    walks: tuple[Walk, ...]
    seed: int

    @property
    def regions(self) -> tuple[Region, ...]:
        return self.zone, self.line

    def updates(self, fps: float = 10.0) -> Iterator[tuple[TrackUpdate, datetime]]:
        """What a tracker tells: boxes that tremble, each object out of sight for a moment now and then."""
        rng = np.random.default_rng([self.seed, 7])
        hidden: dict[int, float] = {}
        for k in range(round(SECONDS * fps)):
            t = k / fps
            tracks = []
            for walk in self.walks:
                spot = walk.at(t)
                if spot is None:
                    continue
                if rng.random() < 0.01:
                    hidden[walk.id] = t + rng.uniform(0.1, 0.4)
                lost = hidden.get(walk.id, -1.0) > t
                tracks.append(_tracked(walk.id, spot, rng.normal(0, 0.003, 2), lost))
            yield update(t, tracks), at(t)

    def truth(self) -> list[Happening]:
        """What happens in the zone and at the line, by time."""
        found = [h for walk in self.walks for h in (*self._stays(walk), *self._crossings(walk))]
        return sorted([*found, *self._counts()], key=lambda h: h.t)

    def _stays(self, walk: Walk) -> Iterator[Happening]:
        who = frozenset({walk.id})
        inside = winds(walk.path, self.zone.points)
        for begin, end in spells(inside):
            yield Happening(RuleKind.ENTER, who, walk.since + begin / LOOKS)
            yield Happening(RuleKind.LEAVE, who, walk.since + end / LOOKS)
            if (end - begin) / LOOKS >= DWELL_S:
                yield Happening(RuleKind.DWELL, who, walk.since + begin / LOOKS + DWELL_S)

    def _crossings(self, walk: Walk) -> Iterator[Happening]:
        side = sides(walk.path, self.line.points)
        for k in np.flatnonzero(side[1:] != side[:-1]):
            way = Direction.FORWARD if side[k + 1] else Direction.BACKWARD
            yield Happening(RuleKind.CROSS, frozenset({walk.id}), walk.since + float(k + 1) / LOOKS, way.value)

    def _counts(self) -> Iterator[Happening]:
        there = self.there()
        for begin, _ in spells(there.sum(0) >= MANY):
            yield Happening(RuleKind.COUNT, self._those(there[:, begin]), begin / LOOKS, ">=")
        for begin, _ in spells(there.sum(0) < MANY):
            yield Happening(RuleKind.COUNT, self._those(there[:, begin]), begin / LOOKS, "<")

    def _those(self, there: np.ndarray) -> frozenset[int]:
        return frozenset(walk.id for walk, inside in zip(self.walks, there, strict=True) if inside)

    def there(self) -> np.ndarray:
        """Who is in the zone, `(walks, looks)` bool."""
        there = np.zeros((len(self.walks), SECONDS * LOOKS), bool)
        for row, walk in zip(there, self.walks, strict=True):
            first = round(walk.since * LOOKS)
            row[first : first + len(walk.path)] = winds(walk.path, self.zone.points)
        return there


def make_scene(seed: int) -> RuleScene:
    """A zone of four corners, a line from edge to edge, people who walk in, about and out again."""
    rng = np.random.default_rng([31, seed])
    while True:
        zone, line = _zone(rng), _line(rng)
        walks = tuple(_walk(rng, i + 1, zone, line) for i in range(WALKERS))
        scene = RuleScene(zone, line, walks, seed)
        if _counts_clearly(scene.there()):
            return scene


def rules_of(scene: RuleScene) -> tuple[Region, ...]:
    """The regions of a scene with a rule for each kind that the truth knows."""
    stays = (
        RegionRule("1" * 32, RuleKind.ENTER, cooldown_s=0),
        RegionRule("2" * 32, RuleKind.LEAVE, cooldown_s=0),
        RegionRule("3" * 32, RuleKind.DWELL, seconds=DWELL_S, cooldown_s=0),
        RegionRule("4" * 32, RuleKind.COUNT, op=">=", value=MANY, cooldown_s=0),
        RegionRule("5" * 32, RuleKind.COUNT, op="<", value=MANY, cooldown_s=0),
    )
    ways = tuple(
        RegionRule(str(6 + n) * 32, RuleKind.CROSS, direction=way, cooldown_s=0) for n, way in enumerate(Direction)
    )
    zone, line = scene.zone, scene.line
    return (
        Region(zone.id, zone.name, zone.kind, zone.points, stays),
        Region(line.id, line.name, line.kind, line.points, ways),
    )


def fire(regions: Sequence[Region], updates: Iterator[tuple[TrackUpdate, datetime]]) -> list[Firing]:
    """What the rules of `regions` raise alerts for."""
    presences, watched, rules = Presences(), Regions(regions), RegionRules(regions)
    fired = []
    for new, when in updates:
        step, changes = presences.step(new, when)
        fired += rules.step(Observed(step, watched.step(step, changes), watched))
    return fired


def happened(firing: Firing, ids: dict[int, int] | None = None) -> Happening:
    """A firing in the words of the truth; `ids` gives what a track follows."""
    rule = firing.rule
    how = rule.op if rule.kind is RuleKind.COUNT else rule.direction.value if rule.direction else ""
    who = (track_id if ids is None else ids.get(track_id, -track_id) for track_id in firing.track_ids)
    return Happening(rule.kind, frozenset(who), seconds(firing.at), how)


def matched(truth: Sequence[Happening], told: Sequence[Happening]) -> int:
    """How many are the same, one to one: kind, objects, direction, and the time to within half a second."""
    free = sorted(told, key=lambda h: h.t)
    count = 0
    for wanted in sorted(truth, key=lambda h: h.t):
        near = [h for h in free if _same(h, wanted)]
        if near:
            free.remove(min(near, key=lambda h: abs(h.t - wanted.t)))
            count += 1
    return count


def spells(states: Sequence[bool]) -> list[tuple[int, int]]:
    """Where `states` is true: first index and the one after the last."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], np.asarray(states, bool), [False]]).astype(int)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _same(told: Happening, wanted: Happening) -> bool:
    return (told.kind, told.ids, told.how) == (wanted.kind, wanted.ids, wanted.how) and abs(
        told.t - wanted.t
    ) <= WITHIN_S


def _tracked(number: int, spot: XY, tremble: np.ndarray, lost: bool) -> Track:
    """A box of which the lower side's middle is `spot`."""
    size = 0.16
    x, y = spot[0] + tremble[0] / ASPECT, spot[1] + tremble[1]
    return track(number, square(x, y - size / 2, size), state=TrackState.LOST if lost else TrackState.LIVE)


def _zone(rng: np.random.Generator) -> Region:
    """In every third scene it reaches the picture's left edge, so that who leaves the picture leaves it."""
    left = 0.0 if rng.random() < 0.33 else rng.uniform(0.2, 0.3)
    right, top, bottom = rng.uniform(0.55, 0.7), rng.uniform(0.3, 0.4), rng.uniform(0.7, 0.85)
    slant = rng.uniform(-0.05, 0.05)
    points = ((left, top), (right, top + slant), (right + slant, bottom), (left, bottom - slant))
    return Region("a" * 32, "yard", RegionKind.ZONE, points)


def _line(rng: np.random.Generator) -> Region:
    x = rng.uniform(0.35, 0.65)
    return Region("b" * 32, "path", RegionKind.LINE, ((x, -0.01), (x + rng.uniform(-0.15, 0.15), 1.01)))


def _walk(rng: np.random.Generator, number: int, zone: Region, line: Region) -> Walk:
    """Over an edge, to some places and out again, with rests, clear of every border."""
    while True:
        side = rng.random() < 0.5
        stops = [np.array([rng.uniform(0.08, 0.92), rng.uniform(0.22, 0.95)]) for _ in range(rng.integers(2, 6))]
        way = [np.array([0.0 if side else 1.0, rng.uniform(0.3, 0.9)]), *stops]
        way.append(np.array([0.0 if rng.random() < 0.5 else 1.0, rng.uniform(0.3, 0.9)]))
        legs = []
        for a, b in pairwise(way):
            length = math.hypot((b[0] - a[0]) * ASPECT, b[1] - a[1])
            n = max(2, round(length / rng.uniform(0.12, 0.3) * LOOKS))
            legs.append(np.linspace(a, b, n, endpoint=False))
            legs.append(np.repeat(b[None], int(rng.integers(0, 7 * LOOKS)) if b is not way[-1] else 0, 0))
        path = np.concatenate(legs)
        if len(path) > 45 * LOOKS:
            continue
        since = round(rng.uniform(0.5, SECONDS - len(path) / LOOKS - 2), 1)
        if since > 0.4 and _clear(path, zone, line):
            return Walk(number, since, path)


def _clear(path: np.ndarray, zone: Region, line: Region) -> bool:
    """Whether every stay on one side is long and deep enough, nobody stops on a border, and no stay is about as long as
    the rule asks for."""
    inside = winds(path, zone.points)
    side = sides(path, line.points)
    border = [(*pair,) for pair in zip(zone.points, (*zone.points[1:], zone.points[0]), strict=True)]
    border = [pair for pair in border if not pair[0][0] == pair[1][0] == 0.0]
    depth = np.min([distances(path, a, b) for a, b in border], axis=0)
    across = distances(path, *line.points)
    for states, deep in ((inside, depth), (side, across)):
        if any(end - begin > 0.5 * LOOKS for begin, end in spells(deep < 0.01)):
            return False
        for begin, end in (*spells(states), *spells(~states)):
            if end - begin < SPELL_S * LOOKS or deep[begin:end].max() < DEPTH:
                return False
    return all(abs((end - begin) / LOOKS - DWELL_S) > 0.8 for begin, end in spells(inside))


def _counts_clearly(there: np.ndarray) -> bool:
    """Whether the count stays on each side of its limit for a while, and nobody else comes or goes just then."""
    many = there.sum(0) >= MANY
    for begin, end in (*spells(many), *spells(~many)):
        around = there[:, max(0, begin - LOOKS // 2) : begin + LOOKS]
        if end - begin < 1.2 * LOOKS or (begin > 0 and (np.diff(around.astype(int)) != 0).sum() > 1):
            return False
    return True


def winds(path: np.ndarray, polygon: Sequence[XY]) -> np.ndarray:
    """Whether a polygon winds around each of the spots `(n, 2)`, `(n,)` bool."""
    total = np.zeros(len(path))
    for start, end in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        a, b = np.asarray(start) - path, np.asarray(end) - path
        total += np.arctan2(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0], (a * b).sum(1))
    return np.asarray(np.abs(total) > math.pi)


def sides(path: np.ndarray, line: Sequence[XY]) -> np.ndarray:
    """True on the right-hand side of a line, seen along it in the picture as shown."""
    (ax, ay), (bx, by) = line
    return np.asarray((bx - ax) * (path[:, 1] - ay) - (by - ay) * (path[:, 0] - ax) > 0)


def distances(path: np.ndarray, a: XY, b: XY, aspect: float = ASPECT) -> np.ndarray:
    """Of each spot from the line from `a` to `b`, in heights of the picture."""
    p, q = np.array([a[0] * aspect, a[1]]), np.array([b[0] * aspect, b[1]])
    spots = path * [aspect, 1.0]
    along = np.clip((spots - p) @ (q - p) / max(float((q - p) @ (q - p)), 1e-12), 0, 1)
    return np.asarray(np.hypot(*(spots - p - along[:, None] * (q - p)).T))
