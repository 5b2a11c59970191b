"""Answers about what happened, what is there, and all about one object."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from agent.facts_answer import knowledge
from agent.facts_answer.asked import Asked, CannotTell
from agent.facts_answer.carry import told_of
from agent.facts_answer.meaning import Deed, Most
from agent.facts_answer.phrases import article, edge, grouped, name, sentence, told, where_is, word_for
from agent.facts_answer.places import gone
from agent.scene import SceneObject, Visit
from agent.types import Event, EventKind, RegionKind

MOST_TOLD = 12
_DONE = {
    Deed.CROSS: (EventKind.LINE,), Deed.MEET: (EventKind.PROXIMITY,), Deed.STAY_BEHIND: (EventKind.APART,),
    Deed.ENTER: (EventKind.ENTER, EventKind.APPEAR, EventKind.FOUND), Deed.LEAVE: (EventKind.EXIT,),
    Deed.RETURN: (EventKind.FOUND,), Deed.VANISH: (EventKind.LOST, EventKind.EXIT),
}  # fmt: skip
_LATELY = timedelta(seconds=15)
"""What has just happened is part of what is going on right now."""
_WEIGHT = {
    EventKind.ALERT: 0, EventKind.ENTER: 1, EventKind.EXIT: 1, EventKind.APART: 1, EventKind.FOUND: 1,
    EventKind.LOST: 1, EventKind.APPEAR: 1, EventKind.COUNT: 2, EventKind.DWELL: 2, EventKind.LINE: 3,
    EventKind.PROXIMITY: 4, EventKind.CHANGE: 4, EventKind.ZONE_ENTER: 5, EventKind.ZONE_LEAVE: 5,
}  # fmt: skip
"""What is told first where there is much to tell; what is not named here is not told."""


def happened(asked: Asked) -> str:
    """The events of the time, at the place, of the objects that are meant."""
    events = list(_chosen(asked))
    if asked.meaning.window.now and asked.meaning.window.since is None:
        lately = asked.wording.now - _LATELY
        return " ".join([scene_now(asked), *(_line(asked, event) for event in events if event.at >= lately)])
    if not events:
        return sentence(_nothing(asked))
    if asked.meaning.most in (Most.FIRST, Most.LAST):
        events = events[:1] if asked.meaning.most is Most.FIRST else events[-1:]
    if asked.meaning.subject.named and len(events) <= MOST_TOLD and asked.meaning.place is None:
        return "\n".join(_with_carrying(asked, events))
    chosen = sorted(sorted(events, key=lambda e: (_WEIGHT[e.kind], -e.at.timestamp()))[:MOST_TOLD], key=lambda e: e.at)
    lines = [_line(asked, event) for event in chosen]
    more = len(events) - len(chosen)
    if more:
        lines.append(f"And {more} smaller {'thing' if more == 1 else 'things'}.")
    return "\n".join(lines)


def _with_carrying(asked: Asked, events: Sequence[Event]) -> list[str]:
    """The events of those that are named, and who moved along with them, in the order of time."""
    window = knowledge.widened(asked.meaning.window)
    lines = [(event.at, event.text) for event in events]
    lines += [
        (at, text)
        for at, text in told_of(asked, asked.things())
        if (window.since is None or at >= window.since) and (window.until is None or at <= window.until)
    ]
    return [f"{asked.wording.clock(at)} {text}" for at, text in sorted(lines)]


def _line(asked: Asked, event: Event) -> str:
    return f"{asked.wording.clock(event.at)} {event.text}"


def _chosen(asked: Asked) -> Iterable[Event]:
    meaning, scene = asked.meaning, asked.scene
    window = knowledge.widened(meaning.window)
    kinds = _DONE.get(meaning.deed) if meaning.deed is not None else None
    about = {thing.id for thing in asked.things()} if meaning.subject.named else None
    region = knowledge.region_of(meaning.place, scene)
    for event in scene.events_between(window.since, window.until, _WEIGHT):
        if (region is not None and event.region_id != region.id) or (kinds is not None and event.kind not in kinds):
            continue
        if about is not None and not about & set(event.track_ids):
            continue
        zones = event.kind in (EventKind.ZONE_ENTER, EventKind.ZONE_LEAVE)
        if zones and region is None and about is None:
            continue
        if event.kind is EventKind.APPEAR and _was_there(event, asked):
            continue
        yield event


def _was_there(event: Event, asked: Asked) -> bool:
    things = [asked.scene.get(i) for i in event.track_ids]
    return any(thing is not None and knowledge.from_the_start(thing, asked.scene) for thing in things)


def _nothing(asked: Asked) -> str:
    window = asked.meaning.window
    time = "in that time" if window.since is not None or window.until is not None else "so far"
    return f"nothing happened{asked.wording.place(asked.meaning.place)} {time}"


def about(asked: Asked) -> str:
    """All that is known of the objects that are meant; of the whole scene where none is."""
    meaning = asked.meaning
    if not meaning.subject.named and meaning.subject.ordinal is None:
        return scene_now(asked)
    things = asked.things()
    if not things:
        raise CannotTell(f"I have seen no {word_for(meaning.subject)}")
    if len(things) > 3:
        return briefly(asked, things)
    return " ".join(_life(asked, thing) for thing in things)


def scene_now(asked: Asked) -> str:
    """What is in sight."""
    there = knowledge.placed(asked.scene.objects, asked.meaning.place, asked.scene)
    return sentence("I see " + grouped(there)) if there else "Nothing that is tracked is in sight."


def briefly(asked: Asked, things: Sequence[SceneObject]) -> str:
    """Where each of them is, or how it went out of sight."""
    return sentence(told(_short(asked, thing) for thing in things))


def _short(asked: Asked, thing: SceneObject) -> str:
    return f"{name(thing)} is {where_is(thing)}" if thing.visible else gone(asked, thing)


def _life(asked: Asked, thing: SceneObject) -> str:
    visits = knowledge.stays(thing)
    text = f"[#{thing.id}] is {article(thing.label)}"
    if knowledge.from_the_start(thing, asked.scene):
        text += f", there since I began {asked.wording.at(asked.scene.began_at)}"
    else:
        first = visits[0]
        over = f" {edge(first.edge_in)}" if first.edge_in is not None else ""
        did = "came in" if first.began is EventKind.ENTER else "first seen"
        text += (
            f" that {did}{over} {asked.wording.at(first.since)}"
            if did == "came in"
            else f", {did} {asked.wording.at(first.since)}"
        )
    parts = [sentence(text), *(_later(asked, visits[1:]))]
    if thing.visible:
        doing = f"moving {thing.direction}" if thing.moving else "not moving"
        zones = [r.name for r in asked.scene.regions if r.kind is RegionKind.ZONE and thing in asked.scene.in_region(r)]
        at = f", at the {zones[0].removeprefix('the ')}" if zones else ""
        parts.append(f"It is {where_is(thing)}{at}, {doing}.")
    else:
        parts.append(sentence(gone(asked, thing)))
    parts += [
        event.text for event in asked.scene.events_between(kinds=(EventKind.APART,)) if thing.id in event.track_ids
    ]
    if thing.caption:
        parts.append(sentence(f"described as: {thing.caption}"))
    return " ".join(parts)


def _later(asked: Asked, visits: Sequence[Visit]) -> Iterable[str]:
    for visit in visits:
        yield sentence(f"it came back {asked.wording.at(visit.since)}")
