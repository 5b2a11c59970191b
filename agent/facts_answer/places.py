"""Answers about where, where from and which way."""

from __future__ import annotations

from agent import geometry
from agent.facts_answer import knowledge
from agent.facts_answer.answers import nobody
from agent.facts_answer.asked import Asked, CannotTell, is_away, left_behind
from agent.facts_answer.meaning import Deed, Most
from agent.facts_answer.phrases import edge, name, sentence, told, where_at, where_is, word_for
from agent.scene import SceneObject
from agent.types import EventKind


def where(asked: Asked) -> str:
    """Where each object is, or was at the time asked about, or how it went out of sight."""
    meaning = asked.meaning
    things = asked.things()
    if not things:
        raise CannotTell(f"I have seen no {word_for(meaning.subject)}")
    if meaning.window.instant:
        return _where_then(asked, things)
    if meaning.most is Most.FIRST and meaning.deed in (None, Deed.BE):
        return _where_first(asked, things)
    if not meaning.subject.ids and len(things) > 1:
        in_sight = [thing for thing in things if thing.visible]
        gone = meaning.deed in (Deed.LEAVE, Deed.VANISH)
        things = [thing for thing in things if not thing.visible] if gone else in_sight or things
    if not things:
        return nobody(asked, " is out of sight")
    if meaning.deed is Deed.STAY_BEHIND and meaning.past:
        found = left_behind(asked)
        if not found or any(is_away(asked, deal) for deal in found):
            raise CannotTell("I do not keep where it was left")
    if meaning.deed is Deed.MEET:
        raise CannotTell("I keep when they met, not where")
    return sentence(told(_where_now(asked, thing) for thing in things))


def _where_then(asked: Asked, things: list[SceneObject]) -> str:
    when = asked.meaning.window.since
    assert when is not None
    parts = []
    for thing in things:
        box = thing.box_at(when)
        if box is not None:
            parts.append(f"{name(thing)} was {where_at(geometry.centre(box))} at {asked.wording.clock(when)}")
        elif len(things) == 1 or asked.meaning.subject.ids:
            parts.append(f"{name(thing)} was not in sight at {asked.wording.clock(when)}")
    return sentence(told(parts)) if parts else nobody(asked, " was in sight")


def _where_first(asked: Asked, things: list[SceneObject]) -> str:
    if not asked.meaning.subject.ids:
        things = sorted(things, key=lambda thing: (thing.first_at, thing.id))[:1]
    parts = []
    for thing in things:
        since = knowledge.stays(thing)[0].since
        box = thing.box_at(since)
        if box is None:
            raise CannotTell("I do not know any more where that was")
        parts.append(
            f"{name(thing)} was {where_at(geometry.centre(box))} when I first saw it {asked.wording.at(since)}"
        )
    return sentence(told(parts))


def _where_now(asked: Asked, thing: SceneObject) -> str:
    if asked.meaning.deed is Deed.LEAVE and thing.visible:
        return _left_before(asked, thing)
    if thing.visible:
        text = f"{name(thing)} is {where_is(thing)}{_zone(asked, thing)}"
        if thing.moving:
            return f"{text}, moving {thing.direction}"
        went = asked.meaning.past and asked.meaning.deed is not Deed.BE and thing.moved_since()
        return f"{text}, there since {asked.wording.clock(thing.resting_since())}" if went else text
    return gone(asked, thing)


def _left_before(asked: Asked, thing: SceneObject) -> str:
    """Where an object that is back went out of the picture the last time."""
    exits = [stay for stay in knowledge.stays(thing) if stay.ended is EventKind.EXIT]
    here = f"{where_is(thing)}{_zone(asked, thing)}"
    if not exits or exits[-1].edge_out is None or exits[-1].until is None:
        return f"{name(thing)} has not left: it is {here}"
    left = f"{name(thing)} left the picture {edge(exits[-1].edge_out)} {asked.wording.at(exits[-1].until)}"
    return f"{left}, and is now back {here}"


def _zone(asked: Asked, thing: SceneObject) -> str:
    zones = [
        region.name.removeprefix("the ") for region in asked.scene.regions if thing in asked.scene.in_region(region)
    ]
    return f" (at the {zones[0]})" if zones else ""


def gone(asked: Asked, thing: SceneObject) -> str:
    """How an object that is not in sight went out of it."""
    stay = knowledge.stays(thing)[-1]
    if stay.ended is EventKind.EXIT and stay.edge_out is not None:
        return f"{name(thing)} left the picture {edge(stay.edge_out)} {asked.wording.at(thing.last_at)}"
    return f"{name(thing)} is out of sight: last seen {where_is(thing)} {asked.wording.at(thing.last_at)}"


def origin(asked: Asked) -> str:
    """Where the objects came from."""
    things = asked.things()
    if not things:
        raise CannotTell(f"I have seen no {word_for(asked.meaning.subject)}")
    return sentence(told(_came_from(asked, thing) for thing in things))


def _came_from(asked: Asked, thing: SceneObject) -> str:
    visits, back = knowledge.stays(thing), asked.meaning.deed is Deed.RETURN
    if back and len(visits) < 2:
        raise CannotTell("I have not seen it come back")
    index = {Most.FIRST: int(back), Most.LAST: -1}.get(asked.meaning.most or Most.LONGEST, -int(back))
    first = visits[index]
    if first.began is not EventKind.FOUND and knowledge.from_the_start(thing, asked.scene):
        return f"{name(thing)} was there when I began {asked.wording.at(asked.scene.began_at)}"
    if first.edge_in is not None:
        return f"{name(thing)} came in {edge(first.edge_in)} {asked.wording.at(first.since)}"
    box = thing.box_at(first.since)
    place = where_at(geometry.centre(box)) if box is not None else "in the picture"
    return f"{name(thing)} was first seen {place} {asked.wording.at(first.since)}"


def direction(asked: Asked) -> str:
    """Which way the objects go, or crossed a line."""
    meaning, things = asked.meaning, asked.things()
    if not things:
        raise CannotTell(f"I have seen no {word_for(meaning.subject)}")
    if meaning.deed is Deed.CROSS:
        found = knowledge.deals(Deed.CROSS, things, asked.scene, meaning.window, meaning.place)
        if not found:
            return nobody(asked, " crossed it")
        chosen = {Most.FIRST: found[:1], Most.LAST: found[-1:]}.get(meaning.most or Most.LONGEST, found)
        return sentence(told(f"{_crossed(deal)} {asked.wording.at(deal.at)}" for deal in chosen))
    if not meaning.subject.ids and len(things) > 1:
        things = [thing for thing in things if thing.visible] or things
    return sentence(told(_way(asked, thing) for thing in things))


def _crossed(deal: knowledge.Deal) -> str:
    assert deal.event is not None
    return deal.event.text.rstrip(".").replace(deal.event.text.split(" [#")[0], deal.thing.label, 1)


def _way(asked: Asked, thing: SceneObject) -> str:
    if not thing.visible:
        return gone(asked, thing)
    if asked.meaning.deed is Deed.LEAVE:
        return _left_before(asked, thing)
    if not thing.moving:
        return f"{name(thing)} is not moving: it is {where_is(thing)}"
    return f"{name(thing)} is moving {thing.direction}, and is {where_is(thing)}"
