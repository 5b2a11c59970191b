"""What the background work should do next: pure choices over the objects of a scene."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from stream.engines.grid import centre_of, plus
from stream.engines.light import gate
from stream.engines.light.crops import Crop
from stream.engines.light.returns import Missing
from stream.engines.light.scene import STILL_SPEED
from stream.engines.light.sight import Target, Wanted
from stream.engines.light.tracks import Object
from stream.engines.light.tuning import Tuning
from stream.types import BoxXyxyPx, TrackState

SEARCH_WEIGHT = 1.5
SEARCH_HEAD_START_S = 0.2
DETECTED_FRESH_S = 1.0
SHARED_SHARE = 1 / 8
"""A neighbour shares another object's crop when it is at least this share of its side: smaller ones are not seen."""
CROWD = 4
MARGIN = 1.2
"""Side of a shared square in sizes of all that it is to show."""
REACH_SPEED = 320.0
"""Pixels of the mask grid a second by which a lost object may have strayed from where it is expected."""


def refresh_need(thing: Object, now_s: float, tuning: Tuning) -> float:
    """How much an object that is followed needs a refresh; 0 for not now."""
    if thing.carried is None or thing.pending or thing.memory is None:
        return 0.0
    speed = float(np.hypot(*thing.carried.velocity))
    gap = tuning.refresh_gap_s
    if thing.hidden_s is not None:
        gap = tuning.hidden_gap_s
    elif thing.calm >= 3 and thing.visible > 0.9 and speed < STILL_SPEED:
        gap = tuning.calm_gap_s
    if now_s - thing.tried_s < gap:
        return 0.0
    weight = 3.0 if thing.hypothesis_s is not None or thing.astray else 1.0
    return weight * gate.urgency(max(now_s - thing.key_s, gap), thing.visible, speed, thing.rejects > 0)


def search_need(thing: Object, now_s: float, tuning: Tuning) -> float:
    """How much a lost object needs a search; 0 for not now."""
    if thing.life.state is not TrackState.LOST or thing.carried is not None or thing.pending or thing.memory is None:
        return 0.0
    if thing.by_detector:
        return 0.0
    away = now_s - thing.life.since_s
    gap = next(seconds for limit, seconds in tuning.search_gaps_s if away < limit)
    if thing.hidden_s is not None:
        gap = max(gap, tuning.hidden_gap_s)
    age = now_s - max(thing.tried_s, thing.life.since_s)
    return SEARCH_WEIGHT * (SEARCH_HEAD_START_S + age) if age > gap or thing.searches == 0 else 0.0


def pick(things: Iterable[Object], now_s: float, jobs_since_search: int, tuning: Tuning) -> Object | None:
    """The object that needs the next job most: a refresh where it is followed, a search where it is lost."""
    things = list(things)
    anything_followed = any(thing.carried is not None for thing in things)
    may_search = jobs_since_search >= tuning.search_share or not anything_followed
    best, most = None, 0.0
    for thing in things:
        need = refresh_need(thing, now_s, tuning)
        if may_search:
            need = max(need, search_need(thing, now_s, tuning))
        if need > most:
            best, most = thing, need
    return best


def crop_pad(followed: Sequence[Object], now_s: float, tuning: Tuning) -> float:
    """Side of a refresh's crop in sizes of its first object: the more is overdue, the more objects share one."""
    if len(followed) <= CROWD:
        return tuning.pad
    mean_age = float(np.mean([now_s - thing.key_s for thing in followed]))
    return tuning.pad_strained if mean_age > tuning.strained_s else tuning.pad_crowded


def overdue(things: Iterable[Object], now_s: float, tuning: Tuning) -> bool:
    """Whether a mask that is shown waits too long for a refresh."""
    return any(
        thing.carried is not None and not thing.pending and now_s - max(thing.key_s, thing.tried_s) > tuning.overdue_s
        for thing in things
    )


def shared_region(boxes: Sequence[BoxXyxyPx], pad: float, most: float) -> tuple[list[int], BoxXyxyPx]:
    """Which of `boxes` one look can take together with the first, and the square to look at.

    The square is `pad` times its largest box and at most `most` times its smallest, so that none is seen too coarsely.
    """
    first = boxes[0]
    chosen, union = [0], first
    longest = smallest = max(first[2] - first[0], first[3] - first[1])
    x, y = centre_of(first)
    order = sorted(range(1, len(boxes)), key=lambda i: float(np.hypot(*np.subtract(centre_of(boxes[i]), (x, y)))))
    for i in order:
        b = boxes[i]
        size = max(b[2] - b[0], b[3] - b[1])
        wider = min(union[0], b[0]), min(union[1], b[1]), max(union[2], b[2]), max(union[3], b[3])
        side = max(pad * max(longest, size), MARGIN * max(wider[2] - wider[0], wider[3] - wider[1]))
        if side <= most * min(smallest, size):
            chosen.append(i)
            union, longest, smallest = wider, max(longest, size), min(smallest, size)
    half = max(pad * longest, MARGIN * max(union[2] - union[0], union[3] - union[1])) / 2
    x, y = centre_of(union)
    return chosen, (x - half, y - half, x + half, y + half)


def expected_box(thing: Object, now_s: float, tuning: Tuning) -> BoxXyxyPx | None:
    """Where the motion of the detector's boxes puts the next one; None where that is too long ago."""
    ahead = now_s - thing.detected_s
    if thing.seen_box is None or ahead > tuning.expect_s:
        return None
    dx, dy = (v * ahead for v in thing.seen_velocity)
    x0, y0, x1, y1 = thing.seen_box
    return x0 + dx, y0 + dy, x1 + dx, y1 + dy


def companions(first: Object, things: Sequence[Object], pad: float, pixels: int, now_s: float) -> list[Object]:
    """`first`, and the neighbours that lie wholly in its crop and are due as well: they cost one decoding each."""
    box = first.raw.box() if first.raw is not None else None
    if box is None:
        return [first]
    crop = Crop.around(box, pad, pixels)
    together = [first]
    for thing in things:
        if thing is first or thing.pending or thing.raw is None or thing.memory is None or now_s - thing.tried_s < 0.1:
            continue
        other = thing.raw.box()
        if other and crop.covers(other) and max(other[2] - other[0], other[3] - other[1]) > crop.side * SHARED_SHARE:
            together.append(thing)
    return together


def target(thing: Object, now_s: float, tuning: Tuning) -> Target | None:
    """What a refresh needs to know of an object."""
    if thing.raw is None or thing.carried is None or thing.memory is None:
        return None
    box = thing.raw.box()
    detected: BoxXyxyPx | None = None
    if box and thing.detected is not None and now_s - thing.detected_s < DETECTED_FRESH_S:
        detected = plus(box, thing.detected)
    known = thing.by_detector or thing.settled or detected is not None
    unsure = thing.hypothesis_s is not None or thing.rejects > 0
    wanted = thing.shown and not known and not unsure and thing.moving_looks < tuning.more_within
    limit: BoxXyxyPx | None = None
    if box and thing.reach is not None:
        slack = tuning.box_slack * max(box[2] - box[0], box[3] - box[1])
        limit = plus(plus(box, thing.reach), (-slack, -slack, slack, slack))
    agreed = thing.agreed if wanted else None
    return Target(thing.id, thing.carried.plain(), thing.memory, thing.area, detected, thing.whole, agreed, limit)


def wanted(first: Object, things: Iterable[Object], now_s: float, tuning: Tuning) -> list[Wanted]:
    """The lost objects that a search compares with, the one that it is for at the front."""
    lost = [t for t in things if t.life.state is TrackState.LOST and t.memory is not None and t is not first]
    out = []
    for thing in (first, *lost):
        if thing.memory is None:
            continue
        away = now_s - thing.life.since_s
        reach = 2 * max(thing.size) + REACH_SPEED * away
        refused = tuple((x, y) for x, y, at_s in thing.refused if now_s - at_s < tuning.refused_s)
        out.append(
            Wanted(thing.id, thing.memory, thing.size, thing.area, expected_place(thing, now_s, tuning), reach, refused)
        )  # fmt: skip
    return out


def expected_place(thing: Object, now_s: float, tuning: Tuning) -> tuple[float, float]:
    """Where the last velocity would have brought a lost object, for as long as that says anything."""
    ahead = min(now_s - thing.life.since_s, tuning.prior_s)
    x, y = thing.centre
    return x + float(thing.velocity[0]) * ahead, y + float(thing.velocity[1]) * ahead


def missing(lost: Iterable[Object], now_s: float, tuning: Tuning) -> list[Missing]:
    """What the assignment of candidates needs to know of lost objects."""
    return [
        Missing(
            thing.id, expected_place(thing, now_s, tuning), max(thing.size), float(np.hypot(*thing.velocity)),
            now_s - thing.life.since_s, now_s - thing.held_s if thing.held_s is not None else 0.0,
        )
        for thing in lost
    ]  # fmt: skip
