"""One question on one scene, and what in the scene it means: objects, what they did, and who met whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from agent import geometry
from agent.facts_answer import knowledge
from agent.facts_answer.meaning import Ask, Deed, Meaning, Relation, Subject
from agent.facts_answer.phrases import Wording, word_for
from agent.labels import BEINGS, class_of
from agent.scene import Scene, SceneObject
from agent.types import Event, EventKind, RegionKind

HAPPENINGS = frozenset({Deed.ENTER, Deed.LEAVE, Deed.RETURN, Deed.CROSS, Deed.MEET, Deed.STAY_BEHIND})


@dataclass(frozen=True, slots=True)
class Asked:
    """One question on one scene. `before` are objects that were spoken of."""

    meaning: Meaning
    scene: Scene
    wording: Wording
    before: tuple[int, ...] = ()

    def things(self, subject: Subject | None = None) -> list[SceneObject]:
        return knowledge.meant(subject or self.meaning.subject, self.scene, self.before)


class CannotTell(Exception):
    """The question is understood, and nothing that is tracked answers it. The text says what is missing."""


def left_behind(asked: Asked) -> list[knowledge.Deal]:
    """When the things that are meant were left: the second ones where it is said who left them."""
    meaning = asked.meaning
    agent = meaning.subject if meaning.second is not None or meaning.subject.words == ("person",) else None
    objects = meaning.second if agent is not None else meaning.subject
    things = asked.things(objects) if objects is not None else list(asked.scene.objects)
    found = knowledge.deals(Deed.STAY_BEHIND, things, asked.scene, meaning.window, None)
    if objects is not None and objects.named and things and all(is_being(thing) for thing in things):
        raise CannotTell("I keep which things were left behind, not who went away from whom")
    if agent is None or agent.some:
        return found
    by = {thing.id for thing in asked.things(agent)}
    return [deal for deal in found if deal.other in by]


def is_away(asked: Asked, left: knowledge.Deal) -> bool:
    """Whether a thing that was left behind is not there any more."""
    return not left.thing.visible or left.thing.moved_since(left.at)


def happenings(asked: Asked) -> list[knowledge.Deal]:
    """What the objects that are meant did, as the question's deed says."""
    meaning = asked.meaning
    return knowledge.deals(meaning.deed or Deed.ENTER, asked.things(), asked.scene, meaning.window, meaning.place)


def meetings(asked: Asked) -> list[Event]:
    """When those that are meant came near each other, or near the second ones."""
    meaning = asked.meaning
    first = {thing.id for thing in asked.things()}
    others = first if len(first) > 1 else {thing.id for thing in asked.scene.objects}
    second = {thing.id for thing in asked.things(meaning.second)} if meaning.second is not None else others
    lifeless = [t for t in (*asked.things(), *asked.things(meaning.second or meaning.subject)) if not is_being(t)]
    if lifeless and (meaning.subject.named or meaning.second is not None):
        raise CannotTell("I keep which people and animals met, not who came near which thing")
    window = knowledge.widened(meaning.window)
    events = asked.scene.events_between(window.since, window.until, (EventKind.PROXIMITY,))
    return [
        event for event in events
        for a, b in [event.track_ids]
        if (a in first and b in second) or (b in first and a in second)
    ]  # fmt: skip


def within(asked: Asked, at: datetime) -> bool:
    """Whether it was in the time that is asked about."""
    window = knowledge.widened(asked.meaning.window)
    return (window.since is None or at >= window.since) and (window.until is None or at <= window.until)


def is_being(thing: SceneObject) -> bool:
    """Whether it moves of its own accord."""
    return class_of(thing.label) in BEINGS


def unique(found: Sequence[knowledge.Deal]) -> list[SceneObject]:
    return list({deal.thing.id: deal.thing for deal in found}.values())


def at_of(found: Sequence[knowledge.Deal], thing: SceneObject, deed: Deed | None = None) -> datetime:
    own = [deal.at for deal in found if deal.thing.id == thing.id]
    return own[0] if deed is Deed.ENTER else own[-1]


def back_after(thing: SceneObject) -> datetime | None:
    """When an object that left came back for the last time, if it is there."""
    visits = knowledge.stays(thing)
    return visits[-1].since if thing.visible and len(visits) > 1 else None


def present(asked: Asked, things: Sequence[SceneObject]) -> list[SceneObject]:
    """Those that are, or at the time asked about were, there and doing so."""
    meaning = asked.meaning
    if meaning.window.through and meaning.deed in (None, Deed.BE):
        return _all_along(asked, things)
    if is_ever(meaning):
        if meaning.place is not None:
            return _were_there(asked, things)
        return [thing for thing in things if knowledge.seen_during(thing, meaning.window)]
    near = meaning.place.subject if meaning.place is not None else None
    if near is not None and not any(thing.visible for thing in asked.things(near)):
        raise CannotTell(f"No {word_for(near)} is tracked in sight")
    there = knowledge.placed(things, meaning.place, asked.scene)
    if meaning.negated and meaning.ask is not Ask.WHETHER:
        return [thing for thing in things if thing.visible and thing not in there]
    if meaning.deed in (Deed.MOVE, Deed.REST) and meaning.past and not meaning.window.now:
        things = there if meaning.place is not None or meaning.deed is Deed.REST else things
        moved = meaning.deed is Deed.MOVE
        return [thing for thing in things if thing.moved_since(meaning.window.since) is moved]
    if meaning.deed is Deed.MOVE:
        there = [thing for thing in there if thing.moving]
        if meaning.place is not None and meaning.place.relation is Relation.TOWARDS:
            there = [t for t in there if all(knowledge.WAYS[side] in t.direction for side in meaning.place.sides)]
    elif meaning.deed is Deed.REST:
        there = [thing for thing in there if not thing.moving]
    return there


def _all_along(asked: Asked, things: Sequence[SceneObject]) -> list[SceneObject]:
    """Those that were there at the beginning, and where that is said, ever since."""
    meaning = asked.meaning
    if meaning.place is not None:
        raise CannotTell("I keep who was there all the time, not where")
    first = [thing for thing in things if knowledge.from_the_start(thing, asked.scene)]
    if meaning.window.through == "outset" or (meaning.window.through == "start" and meaning.done):
        return first
    return [thing for thing in first if thing.visible and len(knowledge.stays(thing)) == 1]


def _were_there(asked: Asked, things: Sequence[SceneObject]) -> list[SceneObject]:
    """Those that were at a place at any time of the window: zones, and who was near whom, are kept."""
    meaning = asked.meaning
    place = meaning.place
    window = meaning.window
    if place is not None and place.sides and window.instant and window.since is not None:
        boxes = [(thing, thing.box_at(window.since)) for thing in things]
        return [t for t, box in boxes if box is not None and knowledge.on_sides(geometry.centre(box), place.sides)]
    if (
        place is None
        or place.sides
        or (place.region_id is None and (place.subject is None or place.relation not in (Relation.AT, Relation.NEAR)))
    ):
        raise CannotTell("I keep who was at zones and who met whom, not who was where else")
    region = knowledge.region_of(place, asked.scene)
    if region is not None and (region.kind is RegionKind.LINE or place.relation is not Relation.AT):
        raise CannotTell("I keep who crossed a line and who was in a zone, not who was near them")
    if region is not None:
        return [thing for thing in things if knowledge.was_inside(thing, region, asked.scene, window)]
    assert place.subject is not None
    others = {thing.id for thing in asked.things(place.subject)}
    deals = knowledge.deals(Deed.MEET, things, asked.scene, meaning.window, None)
    near = unique([deal for deal in deals if deal.other in others])
    if not near and (window.since is not None or window.until is not None):
        raise CannotTell("I keep when who met whom, not for how long")
    if not near and not all(is_being(thing) for thing in asked.things(place.subject)):
        raise CannotTell("I keep which people and animals met, not who was near which thing")
    return near


def is_ever(meaning: Meaning) -> bool:
    """Whether it is about any time, not about now."""
    if meaning.window.now or meaning.deed in (Deed.MOVE, Deed.REST):
        return False
    window = meaning.window
    return meaning.past or window.ever or window.since is not None or window.until is not None
