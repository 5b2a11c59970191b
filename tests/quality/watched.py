"""Zones and lines in a composed scene: what truly happens there, and what an engine's tracks make of it.

Objects stand where the middle of the lower edge of their whole shape is, hidden or not. Regions are drawn from a seed
and kept where they are fair by that alone: every stay on one side is long and goes deep enough, nobody stops on a
border, and nobody is inside before he is followed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np

from agent.types import Direction, Region, RegionKind, RegionRule, RuleKind
from stream.engines.base import Engine, StepError
from stream.types import Prompt, TrackUpdate
from tests.composed_tracks import BEGIN
from tests.quality.metrics import Mask, decode
from tests.quality.paths import F64, HEIGHT, WIDTH
from tests.quality.play import SHOWN, prompt_of
from tests.quality.scenes import FPS, Scene, box_of
from tests.rule_scenes import Happening, distances, sides, spells, winds

SPELL_S, DEPTH, NEAR = 0.8, 0.04, 0.015
FOLLOWED_S = 1.0
DWELL_S, MANY = 1.0, 2
ZONES, LINES = 20, 12
_TRIES = 8000


@dataclass(frozen=True, slots=True)
class Watched:
    """A scene as an engine saw it: its updates, and the identity that each track follows."""

    scene: Scene
    updates: tuple[tuple[TrackUpdate, datetime], ...]
    follows: dict[int, int]


def watch(engine: Engine, scene: Scene) -> Watched:
    """Play a scene. Raises what a step failed with."""
    tracker = engine.open_tracker()
    updates, asked = [], dict[int, Prompt]()
    overlaps: dict[tuple[int, int], int] = {}
    try:
        for k in range(scene.frames):
            frame, truth = scene.at(k)
            for number, ask in enumerate(scene.asks, start=1):
                if ask.seen == k:
                    asked[number] = prompt_of(scene, number, ask, frame, truth)
                if ask.heard == k:
                    tracker.add_prompt(asked[number])
            update = engine.step([(tracker, frame)])[0]
            if isinstance(update, StepError):
                raise update.error
            updates.append((update, BEGIN + timedelta(seconds=k / FPS)))
            if k % 10 == 0:
                _note(update, truth.masks, overlaps)
    finally:
        tracker.close()
    follows = {track: max(_of(track, overlaps), key=lambda i: overlaps[track, i]) for track, _ in overlaps}
    return Watched(scene, tuple(updates), follows)


def stands(scene: Scene) -> dict[int, F64]:
    """By identity, where it stands, `(frames, 2)` in [0, 1] of the picture."""
    found = {}
    for identity in scene.identities:
        alone = replace(scene, movers=(scene.mover(identity),))
        boxes = (box_of(alone.truth(k).masks[identity]) for k in range(scene.frames))
        found[identity] = np.array([((x0 + x1) / 2 / WIDTH, y1 / HEIGHT) for x0, _, x1, y1 in boxes])
    return found


def regions_of(paths: dict[int, F64], seed: int) -> tuple[Region, ...]:
    """Fair zones and lines, with a rule of each kind that the truth knows."""
    rng = np.random.default_rng([77, seed])
    zones: list[Region] = []
    lines: list[Region] = []
    for _ in range(_TRIES):
        if len(zones) < ZONES and _fair(zone := _zone(rng, len(zones)), paths):
            zones.append(zone)
        if len(lines) < LINES and _fair(line := _line(rng, len(lines)), paths):
            lines.append(line)
    return (*zones, *lines)


def happenings(region: Region, paths: dict[int, F64]) -> Iterator[Happening]:
    """What truly happens at a region."""
    if region.kind is RegionKind.LINE:
        for identity, path in paths.items():
            side = sides(path, region.points)
            for k in np.flatnonzero(side[1:] != side[:-1]):
                way = Direction.FORWARD if side[k + 1] else Direction.BACKWARD
                yield Happening(RuleKind.CROSS, frozenset({identity}), float(k + 1) / FPS, way.value)
        return
    there = {identity: winds(path, region.points) for identity, path in paths.items()}
    for identity, inside in there.items():
        who = frozenset({identity})
        for begin, end in spells(inside):
            yield Happening(RuleKind.ENTER, who, begin / FPS)
            if end < len(inside):
                yield Happening(RuleKind.LEAVE, who, end / FPS)
            if (end - begin) / FPS > DWELL_S:
                yield Happening(RuleKind.DWELL, who, begin / FPS + DWELL_S)
    many = np.sum(list(there.values()), 0) >= MANY
    for how, states in ((">=", many), ("<", ~many)):
        for begin, _ in spells(states):
            yield Happening(RuleKind.COUNT, frozenset(i for i, row in there.items() if row[begin]), begin / FPS, how)


def _fair(region: Region, paths: dict[int, F64]) -> bool:
    """By the truth alone, and with something to tell."""
    changes = []
    for path in paths.values():
        if region.kind is RegionKind.ZONE:
            states = winds(path, region.points)
            border = zip(region.points, (*region.points[1:], region.points[0]), strict=True)
            deep = np.min([distances(path, a, b, WIDTH / HEIGHT) for a, b in border], axis=0)
        else:
            states = sides(path, region.points)
            deep = distances(path, *region.points, WIDTH / HEIGHT)
        if any(end - begin > 0.35 * FPS for begin, end in spells(deep < NEAR)):
            return False
        for begin, end in (*spells(states), *spells(~states)):
            if end - begin < SPELL_S * FPS or deep[begin:end].max() < DEPTH:
                return False
            stay = region.kind is RegionKind.ZONE and bool(states[begin])
            if stay and (begin < FOLLOWED_S * FPS or abs((end - begin) / FPS - DWELL_S) < 0.3 or end > len(path) - FPS):
                return False
        changes += [int(k) for k in np.flatnonzero(states[1:] != states[:-1])]
    changes.sort()
    apart = all(b - a > 0.8 * FPS for a, b in pairwise(changes))
    return bool(changes) and apart and changes[0] > FOLLOWED_S * FPS and changes[-1] < len(path) - FPS


def _zone(rng: np.random.Generator, number: int) -> Region:
    x, y = rng.uniform(0.05, 0.6), rng.uniform(0.15, 0.65)
    wide, tall, slant = rng.uniform(0.25, 0.6), rng.uniform(0.25, 0.6), rng.uniform(-0.06, 0.06)
    right, bottom = min(0.98, x + wide), min(0.98, y + tall)
    points = ((x, y), (right, max(0.02, y + slant)), (min(0.98, right + slant), bottom), (x, min(0.98, bottom - slant)))
    stays = (
        RegionRule(f"{number:x}1".ljust(32, "0"), RuleKind.ENTER, cooldown_s=0),
        RegionRule(f"{number:x}2".ljust(32, "0"), RuleKind.LEAVE, cooldown_s=0),
        RegionRule(f"{number:x}3".ljust(32, "0"), RuleKind.DWELL, seconds=DWELL_S, cooldown_s=0),
        RegionRule(f"{number:x}4".ljust(32, "0"), RuleKind.COUNT, op=">=", value=MANY, cooldown_s=0),
        RegionRule(f"{number:x}5".ljust(32, "0"), RuleKind.COUNT, op="<", value=MANY, cooldown_s=0),
    )
    return Region(f"zone {number}", f"zone {number}", RegionKind.ZONE, points, stays)


def _line(rng: np.random.Generator, number: int) -> Region:
    if rng.random() < 0.5:
        x = rng.uniform(0.15, 0.85)
        points = ((x, 0.0), (x + rng.uniform(-0.1, 0.1), 1.0))
    else:
        y = rng.uniform(0.3, 0.85)
        points = ((0.0, y), (1.0, y + rng.uniform(-0.1, 0.1)))
    ways = tuple(
        RegionRule(f"{number:x}{6 + n}".ljust(32, "f"), RuleKind.CROSS, direction=way, cooldown_s=0)
        for n, way in enumerate(Direction)
    )
    return Region(f"line {number}", f"line {number}", RegionKind.LINE, points, ways)


def _of(track: int, overlaps: dict[tuple[int, int], int]) -> list[int]:
    return [identity for other, identity in overlaps if other == track]


def _note(update: TrackUpdate, masks: dict[int, Mask], overlaps: dict[tuple[int, int], int]) -> None:
    for track in update.tracks:
        if track.state in SHOWN and track.mask is not None:
            shown = decode(track.mask, HEIGHT, WIDTH)
            for identity, mask in masks.items():
                common = int(np.count_nonzero(shown & mask))
                overlaps[track.id, identity] = overlaps.get((track.id, identity), 0) + common
