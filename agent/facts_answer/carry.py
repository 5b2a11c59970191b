"""Who moved along with a thing: as near as tracks come to carrying, bringing and taking.

A thing does not move of its own accord. A being that stays near it, and goes the same way as fast, has it; which of
its stays in one place it was brought to or taken from follows from when that began.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from agent import geometry
from agent.facts_answer.asked import Asked, CannotTell, is_being
from agent.facts_answer.knowledge import widened
from agent.facts_answer.meaning import Ask, Deed, Most, Subject
from agent.facts_answer.phrases import name, names, sentence, told, where_is, word_for
from agent.facts_answer.places import direction, where
from agent.scene import PathPoint, Scene, SceneObject
from agent.types import BoxXyxy

_LEAST_MOVE = 0.03
"""Of a centre from one point of a path to the next, in heights of the picture: less is trembling."""
_ALIKE = 0.4
"""The most by which the two ways may differ, as a part of the thing's."""
_LONGEST_STEP = timedelta(seconds=5)
_PAUSE = timedelta(seconds=2)
_WITH = timedelta(seconds=2)
"""What moves so soon after it was first seen was brought."""


@dataclass(frozen=True, slots=True)
class Carried:
    """`by` moved along with `thing` all of that time."""

    thing: SceneObject
    by: SceneObject
    since: datetime
    until: datetime


def carry(asked: Asked) -> str:
    """Who carried, brought or took what, whether, and when."""
    meaning = asked.meaning
    things, beings = _parties(asked)
    things = [thing for thing in things if not is_being(thing)] or things
    if any(is_being(thing) for thing in things):
        raise CannotTell("I can tell who moved along with a thing, not with a person or an animal")
    found = [one for thing in things for one in carried(thing, asked.scene) if _is_meant(one, asked)]
    found = {Most.FIRST: found[:1], Most.LAST: found[-1:]}.get(meaning.most or Most.LONGEST, found)
    if beings is not None:
        found = [one for one in found if one.by.id in beings]
    if meaning.ask is Ask.WHETHER:
        return sentence(_whether(asked, things, found))
    if meaning.ask is Ask.HOW_OFTEN:
        each = told(_told(asked, one) for one in found)
        return sentence(f"{len(found)} {'time' if len(found) == 1 else 'times'}{': ' + each if found else ''}")
    if found and meaning.ask in (Ask.WHERE, Ask.DIRECTION):
        ids = tuple(dict.fromkeys(one.thing.id for one in found))
        answer = where if meaning.ask is Ask.WHERE else direction
        return answer(replace(asked, meaning=replace(meaning, subject=Subject(ids=ids), second=None, deed=None)))
    if not found:
        what = names(things) if 0 < len(things) <= 3 else "anything that is meant"
        raise CannotTell(f"I have not seen anybody move along with {what}")
    return sentence(told(_told(asked, one) for one in found))


def _parties(asked: Asked) -> tuple[list[SceneObject], set[int] | None]:
    """The things, and those who may have had them: None for anybody."""
    meaning = asked.meaning
    agent, objects = meaning.subject, meaning.second
    if objects is None and not agent.some and not all(is_being(thing) for thing in asked.things(agent)):
        agent, objects = Subject(some=True), agent
    lifeless = [thing for thing in asked.scene.objects if not is_being(thing)]
    things = asked.things(objects) if objects is not None and not objects.generic else lifeless
    return things, None if agent.some else {thing.id for thing in asked.things(agent)}


def _is_meant(one: Carried, asked: Asked) -> bool:
    brought = one.since - one.thing.first_at <= _WITH
    if (
        asked.meaning.past
        and asked.meaning.deed in (Deed.BRING, Deed.TAKE)
        and brought is (asked.meaning.deed is Deed.TAKE)
    ):
        return False
    if asked.meaning.deed is Deed.PUT:
        return one.thing.visible or one.thing.last_at - one.until > _PAUSE
    going_on = asked.meaning.past or (one.thing.moving and asked.wording.now - one.until <= _PAUSE)
    window = widened(asked.meaning.window)
    begun = window.until is None or one.since <= window.until
    return going_on and begun and (window.since is None or one.until >= window.since)


def carriers(asked: Asked) -> tuple[int, ...]:
    """Who moved along with the second things for the last time."""
    things, beings = _parties(asked)
    found = [one for thing in things if not is_being(thing) for one in carried(thing, asked.scene)]
    found.sort(key=lambda one: one.until)
    return tuple(one.by.id for one in found[-1:] if beings is None or one.by.id in beings)


def told_of(asked: Asked, things: Iterable[SceneObject]) -> list[tuple[datetime, str]]:
    """When each was carried, and what to say of it."""
    found = [one for thing in things if not is_being(thing) for one in carried(thing, asked.scene)]
    return [(one.since, sentence(f"{name(one.by)} moved along with {name(one.thing)}")) for one in found]


def _told(asked: Asked, one: Carried) -> str:
    if asked.meaning.deed is Deed.PUT:
        return f"{name(one.by)} went with {name(one.thing)} until {asked.wording.clock(one.until)}, and it stayed"
    since, until = asked.wording.clock(one.since), asked.wording.clock(one.until)
    return f"{name(one.by)} moved along with {name(one.thing)} from {since} to {until}"


def _whether(asked: Asked, things: Sequence[SceneObject], found: Sequence[Carried]) -> str:
    if not things:
        return f"no, I have seen no {word_for(asked.meaning.second or asked.meaning.subject)}"
    if found:
        return f"yes, {told(_told(asked, one) for one in found)}"
    if asked.meaning.deed is Deed.HAVE:
        raise CannotTell(f"I have not seen anybody move along with {names(things)}, and no more tells who has it")
    others = [one for thing in things for one in carried(thing, asked.scene)]
    if others and asked.meaning.past and len(things) == 1:
        return f"no, I have only seen that {told(_told(asked, one) for one in others)}"
    if any(t.moving if not asked.meaning.past else t.moved_since(asked.meaning.window.since) for t in things):
        raise CannotTell(f"I have not seen who moved along with {names(things)}")
    still = [f"{name(t)} is {where_is(t)}" if t.visible else f"{name(t)} is out of sight" for t in things[:4]]
    return f"no, {told(still)}"


def carried(thing: SceneObject, scene: Scene) -> list[Carried]:
    """Each time that somebody moved along with it, oldest first."""
    beings = [being for being in scene.objects if is_being(being) and being.id != thing.id]
    found: list[Carried] = []
    path = _path(thing)
    for a, b in pairwise(path):
        by = _alongside(a, b, beings, scene.aspect)
        if by is None:
            continue
        last = found[-1] if found else None
        if last is not None and last.by.id == by.id and a.at - last.until <= _PAUSE:
            found[-1] = replace(last, until=b.at)
        else:
            found.append(Carried(thing, by, a.at, b.at))
    return found


def _alongside(a: PathPoint, b: PathPoint, beings: Iterable[SceneObject], aspect: float) -> SceneObject | None:
    """Who went the same way from `a` to `b`, near all the while; the one that went most alike."""
    start, end = geometry.centre(a.box), geometry.centre(b.box)
    way = geometry.distance(start, end, aspect)
    best, least = None, _ALIKE * way
    if way < _LEAST_MOVE or b.at - a.at > _LONGEST_STEP:
        return None
    for being in beings:
        first, last = _box(being, a.at), _box(being, b.at)
        if first is None or last is None or not (_near(first, a.box, aspect) and _near(last, b.box, aspect)):
            continue
        x0, y0 = geometry.centre(first)
        x1, y1 = geometry.centre(last)
        unlike = geometry.distance((x1 - x0, y1 - y0), (end[0] - start[0], end[1] - start[1]), aspect)
        if unlike <= least:
            best, least = being, unlike
    return best


def _path(thing: SceneObject) -> tuple[PathPoint, ...]:
    """The points of its path and where it was last."""
    last = PathPoint(thing.last_at, thing.box)
    return thing.path if thing.path and thing.path[-1].at >= last.at else (*thing.path, last)


def _box(thing: SceneObject, at: datetime) -> BoxXyxy | None:
    """Where it was, between the two points of its path around that time."""
    path = _path(thing)
    after = bisect_left(path, at, key=lambda point: point.at)
    if not 0 < after < len(path) or not thing.seen_at(at):
        return thing.box_at(at)
    a, b = path[after - 1], path[after]
    part = (at - a.at) / (b.at - a.at)
    x0, y0, x1, y1 = (p + part * (q - p) for p, q in zip(a.box, b.box, strict=True))
    return x0, y0, x1, y1


def _near(a: BoxXyxy, b: BoxXyxy, aspect: float) -> bool:
    return geometry.gap(a, b, aspect) <= 1.5 * geometry.reach(a, b, aspect)
