"""Answers about when, since when, how long and how long ago."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

from agent.facts_answer import knowledge, times
from agent.facts_answer.answers import nobody
from agent.facts_answer.asked import Asked, CannotTell, is_away, is_being, left_behind, meetings, present
from agent.facts_answer.carry import carry
from agent.facts_answer.meaning import Ask, Deed, Meaning, Most, Window
from agent.facts_answer.phrases import be, counted, latest, listing, name, names, sentence, told, word_for
from agent.facts_answer.places import gone
from agent.perceive.matching import COMPARE
from agent.scene import SceneObject
from agent.types import EventKind, RegionKind

_DONE = {Deed.ENTER: "came in", Deed.LEAVE: "left the picture", Deed.RETURN: "came back",
         Deed.VANISH: "went out of sight", Deed.CROSS: "crossed", Deed.STAY_BEHIND: "was left behind"}  # fmt: skip


def when(asked: Asked) -> str:
    """One time for each object that is meant, the last one unless the first is asked for."""
    meaning = asked.meaning
    things = asked.things()
    if not things:
        raise CannotTell(f"I have seen no {word_for(meaning.subject)}")
    deed = meaning.deed or Deed.BE
    if deed is Deed.BE and meaning.most is Most.LAST and meaning.place is not None:
        return _last_there(asked, things)
    if deed is Deed.BE and meaning.most is Most.LAST:
        return _last_seen(asked, things)
    whenever = meaning.window.since is None and meaning.window.until is None
    if meaning.place is None and whenever and deed in (Deed.BE, Deed.ENTER):
        return _when_came(asked, things)
    if deed is Deed.MEET:
        return _met(asked)
    if deed is Deed.MOVE and not any(is_being(thing) for thing in things):
        return carry(replace(asked, meaning=replace(meaning, deed=Deed.CARRY)))
    if deed in (Deed.MOVE, Deed.REST):
        return sentence(told(_stood(asked, thing) for thing in things))
    behind = deed is Deed.STAY_BEHIND
    found = left_behind(asked) if behind else knowledge.deals(deed, things, asked.scene, meaning.window, meaning.place)
    hidden = [thing for thing in things if not thing.visible]
    if not found and hidden and deed is Deed.LEAVE and meaning.place is None and whenever and meaning.most is None:
        return sentence(told(gone(asked, thing) for thing in hidden))
    if not found:
        return nobody(asked, f" {_DONE.get(deed, 'was')}")
    return _told(asked, _chosen(found, meaning), deed)


def _when_came(asked: Asked, things: list[SceneObject]) -> str:
    meaning = asked.meaning
    if len(things) > 1 and not meaning.subject.ids:
        found = knowledge.deals(Deed.ENTER, things, asked.scene, meaning.window, None)
        if found:
            chosen = {Most.FIRST: found[:1], Most.LAST: found[-1:]}.get(meaning.most or Most.LONGEST, found)
            return _told(asked, chosen, Deed.ENTER)
    return sentence(told(_arrival(asked, thing) for thing in things))


def _chosen(found: list[knowledge.Deal], meaning: Meaning) -> list[knowledge.Deal]:
    """Of what words name, the first or last of all where one is asked for; else the last of each object."""
    if meaning.most is not None and not meaning.subject.ids:
        return found[:1] if meaning.most is Most.FIRST else found[-1:]
    if meaning.most is Most.FIRST:
        found = found[::-1]
    return sorted({deal.thing.id: deal for deal in found}.values(), key=lambda deal: deal.at)


def _told(asked: Asked, chosen: list[knowledge.Deal], deed: Deed) -> str:
    region = knowledge.region_of(asked.meaning.place, asked.scene)
    where = f" the {region.name.removeprefix('the ')}" if region is not None else ""
    did = _DONE.get(deed, "was there")
    if region is not None and deed is Deed.LEAVE:
        did = "left"
    elif region is not None and (region.kind is RegionKind.ZONE or deed is not Deed.CROSS):
        did = "came to"
    ago = asked.meaning.ask is Ask.HOW_LONG_AGO
    return sentence(latest([f"{name(deal.thing)} {did}{where} {_moment(asked, deal.at, ago)}" for deal in chosen]))


def _moment(asked: Asked, at: datetime, ago: bool) -> str:
    if ago:
        return f"{times.duration(asked.wording.now - at)} ago, at {asked.wording.clock(at)}"
    return asked.wording.at(at)


def _arrival(asked: Asked, thing: SceneObject) -> str:
    first = knowledge.stays(thing)[0]
    ago = asked.meaning.ask is Ask.HOW_LONG_AGO
    if knowledge.from_the_start(thing, asked.scene):
        return f"{name(thing)} has been there since I began {_moment(asked, asked.scene.began_at, ago)}"
    did = "came in" if first.began is EventKind.ENTER else "was first seen"
    return f"{name(thing)} {did} {_moment(asked, first.since, ago)}"


def _last_seen(asked: Asked, things: list[SceneObject]) -> str:
    parts = []
    for thing in things:
        moment = _moment(asked, thing.last_at, asked.meaning.ask is Ask.HOW_LONG_AGO)
        parts.append(f"I see {name(thing)} right now" if thing.visible else f"{name(thing)} was last seen {moment}")
    return sentence(told(parts))


def _last_there(asked: Asked, things: list[SceneObject]) -> str:
    """When any of them was in a zone for the last time."""
    meaning, place = asked.meaning, asked.wording.place(asked.meaning.place)
    there = knowledge.placed(things, meaning.place, asked.scene)
    if there:
        return sentence(f"{names(there)} {be(len(there))}{place} right now")
    left = knowledge.deals(Deed.LEAVE, things, asked.scene, meaning.window, meaning.place)
    if not left:
        return nobody(asked, " has been")
    return sentence(f"{name(left[-1].thing)} was last{place} {asked.wording.at(left[-1].at)}")


def _met(asked: Asked) -> str:
    found = meetings(asked)
    if not found:
        return nobody(asked, " came near each other")
    last = found[0] if asked.meaning.most is Most.FIRST else found[-1]
    pair = [thing for i in last.track_ids if (thing := asked.scene.get(i)) is not None]
    return sentence(f"{listing([name(thing) for thing in pair])} came near each other {asked.wording.at(last.at)}")


def _stood(asked: Asked, thing: SceneObject) -> str:
    if not thing.visible:
        raise CannotTell(f"{name(thing)} is not in sight any more".capitalize())
    if thing.moving:
        return f"{name(thing)} is moving right now"
    return f"{name(thing)} has been where it is {asked.wording.since(thing.resting_since())}"


def how_long(asked: Asked) -> str:
    """For how long, or since when, the objects have been there, or away, or doing so."""
    meaning = asked.meaning
    things = asked.things()
    if not things:
        raise CannotTell(f"I have seen no {word_for(meaning.subject)}")
    if meaning.deed in (Deed.LEAVE, Deed.VANISH, Deed.RETURN):
        return sentence(told(_absence(asked, thing) for thing in things))
    if meaning.deed is Deed.STAY_BEHIND:
        found = left_behind(asked)
        if not found:
            raise CannotTell("I have not seen that anything was left behind")
        if any(is_away(asked, deal) for deal in found):
            raise CannotTell("It is not where it was left any more")
        return sentence(told(f"{name(d.thing)} {asked.wording.long(d.at)}" for d in found))
    if not meaning.subject.ids and len(things) > 1:
        things = present(asked, things) or things
    if meaning.deed in (Deed.MOVE, Deed.REST):
        return sentence(told(_stood(asked, thing) for thing in things))
    region = knowledge.region_of(meaning.place, asked.scene)
    if region is not None and meaning.negated:
        return sentence(told(_since_out(asked, thing) for thing in things))
    if region is not None and region.kind is RegionKind.ZONE:
        return _in_zone(asked, things)
    return sentence(told(_stay(asked, thing) for thing in things))


def _stay(asked: Asked, thing: SceneObject) -> str:
    visits = knowledge.stays(thing)
    if len(visits) > 1 and asked.meaning.window.ever and asked.meaning.ask is Ask.HOW_LONG:
        raise CannotTell("It was here more than once, and I do not add that up")
    stay = visits[0 if asked.meaning.most is Most.FIRST else -1]
    if stay.until is not None:
        return f"{name(thing)} was in sight {asked.wording.long(stay.since, stay.until)}"
    if asked.meaning.ask is Ask.SINCE_WHEN:
        return f"{name(thing)} has been here {asked.wording.since(stay.since)}"
    text = f"{name(thing)} has been here {asked.wording.long(stay.since)}"
    first = visits[0].since
    return text + (f"; first seen {asked.wording.at(first)}" if first != stay.since else "")


def _absence(asked: Asked, thing: SceneObject) -> str:
    visits = knowledge.stays(thing)
    away = [(a.until, b.since) for a, b in pairwise(visits) if a.until is not None]
    if away and asked.meaning.past and asked.meaning.done and not (thing.visible and asked.meaning.deed is Deed.RETURN):
        since, until = away[0 if asked.meaning.most is Most.FIRST else -1]
        again = "" if thing.visible else f", and has been again {asked.wording.long(thing.last_at)}"
        return f"{name(thing)} was away {asked.wording.long(since, until)}{again}"
    if not thing.visible:
        if asked.meaning.ask is Ask.SINCE_WHEN:
            return f"{name(thing)} has been out of sight {asked.wording.since(thing.last_at)}"
        return f"{name(thing)} has been out of sight {asked.wording.long(thing.last_at)}"
    if asked.meaning.deed is Deed.RETURN and len(visits) > 1:
        return f"{name(thing)} has been back {asked.wording.long(visits[-1].since)}"
    if len(visits) > 1 and visits[-2].until is not None:
        return f"{name(thing)} was away {asked.wording.long(visits[-2].until, visits[-1].since)}"
    return f"{name(thing)} has not been away: it has been here {asked.wording.since(visits[-1].since)}"


def lasting(asked: Asked) -> str:
    """Whether, which or how many have been there, or still, for as long as is asked."""
    meaning = asked.meaning
    assert meaning.lasting is not None
    compare, seconds = meaning.lasting
    things = [thing for thing in asked.things() if thing.visible or meaning.subject.ids or meaning.past]
    lengths = {thing.id: _length(asked, thing) for thing in things}
    there = [thing for thing in things if lengths[thing.id]]
    those = [thing for thing in there if COMPARE[compare](lengths[thing.id].total_seconds(), seconds)]
    if meaning.ask is Ask.HOW_MANY:
        return sentence(counted(word_for(meaning.subject), len(those)) + (f": {names(those)}" if those else ""))
    if meaning.ask is Ask.WHICH:
        told_of = (f"{name(thing)}, for {times.duration(lengths[thing.id])}" for thing in those)
        return sentence(told(told_of)) if those else nobody(asked, " has been there as long as that")
    every = meaning.subject.every and len(those) < len(there)
    shown = those if those and not every else there
    holds = bool(those) and not every
    each = told(f"{name(thing)} for {times.duration(lengths[thing.id])}" for thing in shown)
    return sentence(f"{'yes' if holds else 'no'}, {each or 'nothing that is meant has been there'}")


def _length(asked: Asked, thing: SceneObject) -> timedelta:
    """For how long it has been there, or was there the last time."""
    meaning = asked.meaning
    if meaning.deed is Deed.REST:
        resting = thing.visible and not thing.moving
        return asked.wording.now - thing.resting_since() if resting else timedelta()
    region = knowledge.region_of(meaning.place, asked.scene)
    if region is not None:
        since = knowledge.inside_since(thing, region, asked.scene) if region.kind is RegionKind.ZONE else None
        return asked.wording.now - since if since is not None else timedelta()
    stay = knowledge.stays(thing)[-1]
    return (stay.until or asked.wording.now) - stay.since


def _since_out(asked: Asked, thing: SceneObject) -> str:
    """Since when it is not in a zone any more."""
    where = asked.wording.place(asked.meaning.place)
    if knowledge.placed([thing], asked.meaning.place, asked.scene):
        return f"{name(thing)} is{where} right now"
    left = knowledge.deals(Deed.LEAVE, [thing], asked.scene, Window(), asked.meaning.place)
    if not left:
        raise CannotTell(f"I have not seen {name(thing)}{where}")
    return f"{name(thing)} has not been{where} {asked.wording.since(left[-1].at)}"


def _in_zone(asked: Asked, things: list[SceneObject]) -> str:
    region = knowledge.region_of(asked.meaning.place, asked.scene)
    assert region is not None
    where = asked.wording.place(asked.meaning.place)
    parts = []
    for thing in things:
        since = knowledge.inside_since(thing, region, asked.scene)
        if since is not None:
            parts.append(f"{name(thing)} has been{where} {asked.wording.long(since)}")
    if parts:
        return sentence(told(parts))
    entered = knowledge.deals(Deed.ENTER, things, asked.scene, asked.meaning.window, asked.meaning.place)
    left = knowledge.deals(Deed.LEAVE, things, asked.scene, asked.meaning.window, asked.meaning.place)
    for deal in left:
        before = [e.at for e in entered if e.thing.id == deal.thing.id and e.at <= deal.at]
        if before:
            parts.append(f"{name(deal.thing)} was{where} {asked.wording.long(before[-1], deal.at)}")
    return sentence(told(parts)) if parts else nobody(asked, " has been")
