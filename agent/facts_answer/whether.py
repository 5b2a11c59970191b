"""Answers of yes or no."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from agent.facts_answer import knowledge
from agent.facts_answer.answers import been, did, nobody
from agent.facts_answer.asked import (
    HAPPENINGS,
    Asked,
    CannotTell,
    at_of,
    back_after,
    happenings,
    is_ever,
    left_behind,
    meetings,
    present,
    unique,
    within,
)
from agent.facts_answer.meaning import Deed, Meaning, Most, Place, Relation, Subject
from agent.facts_answer.phrases import (
    article,
    be,
    counted,
    grouped,
    latest,
    name,
    names,
    sentence,
    told,
    where_is,
    word_for,
)
from agent.facts_answer.places import gone
from agent.labels import stands_for
from agent.perceive.matching import COMPARE
from agent.scene import SceneObject


def whether(asked: Asked) -> str:
    """Whether it is, or was, or happened."""
    text = _whether(asked)
    if asked.meaning.negated:
        # Of “is nobody there?” the answer is yes where nobody is.
        said, rest = text[: text.index(",")], text[text.index(",") :]
        text = ("no" if said == "yes" else "yes") + rest
    return sentence(text)


def _whether(asked: Asked) -> str:
    meaning = asked.meaning
    if meaning.most is not None:
        return _outdoes(asked) if meaning.second is None else _more_than(asked, meaning.most, meaning.second)
    if (
        meaning.second is not None
        and (meaning.subject.ids or meaning.subject.pronoun)
        and meaning.deed in (None, Deed.BE)
    ):
        return _is_a(asked)
    if meaning.limit is not None and meaning.deed not in HAPPENINGS:
        return _as_many(asked, *meaning.limit)
    if meaning.deed in _OF_DEEDS:
        return _OF_DEEDS[meaning.deed](asked)
    if meaning.deed in HAPPENINGS:
        return _did(asked)
    if meaning.deed is Deed.MOVE and meaning.past:
        return _moved(asked)
    if meaning.deed is Deed.OWN:
        raise CannotTell("Who owns what is not to be seen")
    return _there(asked)


def _as_many(asked: Asked, compare: str, number: int) -> str:
    meaning = asked.meaning
    if is_ever(meaning) and not meaning.window.instant and meaning.deed is None:
        return _ever_as_many(asked, compare, number)
    there = present(asked, asked.things())
    verb = be(len(there)) if not is_ever(meaning) else "was" if len(there) == 1 else "were"
    said = f"there {verb} {counted(word_for(asked.meaning.subject), len(there))}"
    said += asked.wording.place(asked.meaning.place) + (f": {names(there)}" if there else "")
    return f"{'yes' if COMPARE[compare](len(there), number) else 'no'}, {said}"


def _ever_as_many(asked: Asked, compare: str, number: int) -> str:
    """Whether there were as many at once."""
    if asked.meaning.place is not None:
        raise CannotTell("I keep how many there were at once in all, not at each place")
    most, when = knowledge.peak(asked.things(), asked.meaning.window)
    holds = COMPARE[">=" if compare == "==" else compare](most, number)
    at = f", first {asked.wording.at(when)}" if when is not None else ""
    return f"{'yes' if holds else 'no'}, at most {counted(word_for(asked.meaning.subject), most)} at once{at}"


def _outdoes(asked: Asked) -> str:
    meaning = asked.meaning
    assert meaning.most is not None
    rivals = [thing for thing in asked.scene.objects if thing.visible]
    best = knowledge.outdone(meaning.most, rivals, meaning.place, asked.scene, False)
    things = asked.things()
    if not best or not things:
        raise CannotTell("Nothing in sight can be compared")
    return f"{'yes' if any(thing in best for thing in things) else 'no'}, it is {names(best)}"


def _more_than(asked: Asked, most: Most, second: Subject) -> str:
    """Whether the one is nearer, faster, longer there … than the other."""
    meaning = asked.meaning
    pair = (asked.things(), asked.things(second))
    timed = most in (Most.FIRST, Most.LAST) or meaning.window.ever
    if any(len(things) != 1 for things in pair) or not (timed or all(things[0].visible for things in pair)):
        raise CannotTell("I can only compare one thing in sight with another")
    if most in (Most.FIRST, Most.LAST) and meaning.deed in HAPPENINGS - {Deed.ENTER}:
        return _did_before(asked, most, pair[0][0], pair[1][0])
    best = knowledge.outdone(most, [pair[0][0], pair[1][0]], meaning.place, asked.scene, meaning.window.ever)
    if len(best) > 1:
        return f"no, they are level: {names(best)}"
    return f"{'yes' if best[0] is pair[0][0] else 'no'}, it is {name(best[0])}"


def _did_before(asked: Asked, most: Most, one: SceneObject, other: SceneObject) -> str:
    assert asked.meaning.deed is not None
    found = knowledge.deals(asked.meaning.deed, [one, other], asked.scene, asked.meaning.window, asked.meaning.place)
    if [deal.thing.id for deal in found] not in ([one.id, other.id], [other.id, one.id]):
        raise CannotTell("I can only compare what each of them did once")
    holds = (found[0].thing is one) is (most is Most.FIRST)
    each = told(f"{name(deal.thing)} {did(asked)} {asked.wording.at(deal.at)}" for deal in found)
    return f"{'yes' if holds else 'no'}, {each}"


def _is_a(asked: Asked) -> str:
    second = asked.meaning.second
    assert second is not None
    if second.ids or second.ordinal is not None or second.other or asked.meaning.place is not None:
        raise CannotTell("I cannot compare these")
    things = asked.things()
    if second.narrower is not None:
        raise CannotTell(f"Whether it is {article(second.narrower)} I cannot tell: I know {word_for(second)}s only")
    same = all(stands_for(word_for(second), thing.label) for thing in things)
    what = grouped(things) if things else "nothing I know"
    return f"{'yes' if things and same else 'no'}, it is {what}"


def _left_behind(asked: Asked) -> str:
    meaning = asked.meaning
    found = left_behind(asked)
    if not found and meaning.second is not None and meaning.second.named:
        others = left_behind(replace(asked, meaning=replace(meaning, subject=meaning.second, second=None)))
        by = [other for deal in others if deal.other is not None and (other := asked.scene.get(deal.other)) is not None]
        if by:
            return f"no, {name(others[0].thing)} was left by {names(by)}"
    if not found:
        return "no, I have not seen anything being left behind"
    parts = []
    for deal in found:
        other = asked.scene.get(deal.other) if deal.other is not None else None
        who = f" by {name(other)}" if other is not None else ""
        parts.append(f"{name(deal.thing)} was left{who} {asked.wording.at(deal.at)}")
    return f"yes, {told(parts)}"


def _before(asked: Asked) -> str:
    """Whether they were there before they came the last time, or before they went."""
    things = asked.things()
    if not things:
        return f"no, {_seen_none(asked)}"
    earlier = {thing.id: [v for v in knowledge.stays(thing) if v.until is not None] for thing in things}
    seen = [(thing, visit) for thing in things for visit in earlier[thing.id][-1:]]
    if seen:
        return "yes, " + told(f"{name(thing)} was here {asked.wording.long(v.since, v.until)}" for thing, v in seen)
    return "no, " + told(f"{name(t)} came {asked.wording.at(t.first_at)}, for the first time" for t in things)


def _met(asked: Asked) -> str:
    meaning = asked.meaning
    if not meaning.past and meaning.window.since is None:
        return _are_near(asked)
    events = meetings(asked)
    if not events:
        return "no, I have not seen them come near each other"
    parts = []
    for event in events[-3:]:
        pair = [thing for i in event.track_ids if (thing := asked.scene.get(i)) is not None]
        parts.append(f"{names(pair)} {asked.wording.at(event.at)}")
    return f"yes, {told(parts)}"


def _are_near(asked: Asked) -> str:
    """Whether those that are meant are near each other now, or near the second ones."""
    meaning = asked.meaning
    first = [thing for thing in asked.things() if thing.visible]
    second = first if meaning.second is None else [t for t in asked.things(meaning.second) if t.visible]
    place = Place(Relation.NEAR, subject=Subject(ids=tuple(thing.id for thing in second)))
    near = knowledge.placed(first, place, asked.scene) if second else []
    if near:
        return f"yes, {names(near)} {be(len(near))} near {'each other' if meaning.second is None else names(second)}"
    those = list({thing.id: thing for thing in (*asked.things(), *asked.things(meaning.second))}.values())
    return f"no, {told(_state(asked, thing) for thing in those[:4])}" if those else f"no, {_seen_none(asked)}"


def _did(asked: Asked) -> str:
    meaning = asked.meaning
    found = happenings(asked)
    if not found:
        return _did_not(asked)
    things = unique(found)
    if meaning.limit is not None:
        compare, number = meaning.limit
        told_of = f"{counted(word_for(meaning.subject), len(things))} {did(asked)}: {names(things)}"
        return f"{'yes' if COMPARE[compare](len(things), number) else 'no'}, {told_of}"
    if meaning.subject.every:
        others = [thing for thing in asked.things() if thing not in things]
        back = meaning.deed is Deed.LEAVE and meaning.place is None and not meaning.subject.ids
        here = [thing for thing in things if back and thing.visible]
        if others or here:
            did_not = f"{names(others)} did not" if others else f"{names(here)} {be(len(here))} back"
            return f"no, not all of them: {did_not}"
    parts = []
    for thing in things:
        text = f"{name(thing)} {did(asked)} {asked.wording.at(at_of(found, thing))}"
        later = back_after(thing) if meaning.deed is Deed.LEAVE and meaning.place is None else None
        parts.append(text + (f" and came back {asked.wording.at(later)}" if later is not None else ""))
    return f"yes, {latest(parts)}"


def _did_not(asked: Asked) -> str:
    things = asked.things()
    if not things:
        return f"no, {_seen_none(asked)}"
    if len(things) == 1:
        return f"no, {_state(asked, things[0])}"
    none = nobody(asked, f" {did(asked)}")
    return f"no, {none[0].lower()}{none[1:]}"


def _gone(asked: Asked) -> str:
    things = asked.things()
    here = [thing for thing in things if thing.visible]
    away = [thing for thing in things if not thing.visible and within(asked, thing.last_at)]
    if not things:
        return f"no, {_seen_none(asked)}"
    went = [] if not asked.meaning.done or asked.meaning.subject.every else happenings(asked)
    back = [deal.thing for deal in went if deal.thing.visible]
    if not away and back:
        each = told(f"{name(t)} went out of sight {asked.wording.at(at_of(went, t))}" for t in dict.fromkeys(back))
        return f"yes, {each}, and {'is' if len(set(back)) == 1 else 'are'} back"
    if not away and not here:
        return f"no, {told(gone(asked, thing) for thing in things)}"
    if away and not (asked.meaning.subject.every and here):
        return f"yes, {told(gone(asked, thing) for thing in away)}"
    return f"no, {told(_state(asked, thing) for thing in here[:4])}"


def _moved(asked: Asked) -> str:
    things = asked.things()
    if not things:
        return f"no, {_seen_none(asked)}"
    moved = [thing for thing in things if thing.moved_since(asked.meaning.window.since)]
    if not moved:
        return f"no, {names(things)} {be(len(things))} where {'it was' if len(things) == 1 else 'they were'}"
    return "yes, " + told(f"{name(thing)} moved{_and_is(asked, thing)}" for thing in moved)


def _and_is(asked: Asked, thing: SceneObject) -> str:
    return f" and is now {where_is(thing)}" if thing.visible else f"; {gone(asked, thing)}"


def _there(asked: Asked) -> str:
    meaning = asked.meaning
    things = asked.things()
    there = present(asked, things)
    place = asked.wording.place(meaning.place)
    doing = {Deed.MOVE: " moving", Deed.REST: " standing still"}.get(meaning.deed or Deed.BE, "")
    if there and meaning.subject.ids and not meaning.subject.some and len(there) < len(things):
        return f"no, only {names(there)} {be(len(there))}{doing}{place}"
    lacking = [w for w in meaning.subject.words if not any(stands_for(w, thing.label) for thing in there)]
    if there and meaning.subject.every and lacking:
        return f"no, there is no {lacking[0]}: I see {grouped(there)}"
    if there and meaning.subject.every:
        resting = meaning.deed in (Deed.MOVE, Deed.REST)
        others = [thing for thing in things if thing not in there and (thing.visible or not resting)]
        if others:
            return f"no, not all of them: {names(others)} {be(len(others))} not"
    if there:
        verb = "was" if meaning.past and not meaning.window.now else ""
        now = "" if all(thing.visible for thing in there) else _not_any_more(asked, there)
        where = place or (f" {where_is(there[0])}" if len(there) == 1 else "" if doing else " in sight")
        note = f" (I cannot tell {article(meaning.subject.narrower)} from others)" if meaning.subject.narrower else ""
        if verb and meaning.window.instant and meaning.window.since is not None:
            at = asked.wording.clock(meaning.window.since)
            return f"yes, {names(there)} {'was' if len(there) == 1 else 'were'}{place or ' in sight'} at {at}"
        if verb:
            return f"yes, I have seen {names(there)}{place}{now}"
        those = names(there) if len(there) < 2 else grouped(there)
        return f"yes, {those} {be(len(there))}{doing}{where}{note}"
    if meaning.subject.none:
        none = nobody(asked, f" {be(1)}{doing}").rstrip(".")
        return f"no, {none[0].lower()}{none[1:]}"
    return f"no, {_absent(asked, things, doing + place)}"


def _not_any_more(asked: Asked, things: list[SceneObject]) -> str:
    away = [thing for thing in things if not thing.visible]
    return "; " + told(gone(asked, thing) for thing in away[:3])


def _absent(asked: Asked, things: list[SceneObject], what: str) -> str:
    meaning: Meaning = asked.meaning
    if not things:
        return _seen_none(asked)
    then = is_ever(meaning) and (meaning.window.since is not None or meaning.window.until is not None)
    if (meaning.subject.ids or len(things) <= 2) and not then:
        return told(_state(asked, thing) for thing in things)
    if then:
        return f"{names(things)} {'was' if len(things) == 1 else 'were'} not{what or ' in sight'} in that time"
    if meaning.window.through:
        none = nobody(asked, been(meaning)).rstrip(".")
        return f"{none[0].lower()}{none[1:]}"
    who = "nobody" if meaning.subject.words == ("person",) else f"no {word_for(meaning.subject)}"
    return f"{who} is{what or ' in sight'}"


def _state(asked: Asked, thing: SceneObject) -> str:
    return f"{name(thing)} is {where_is(thing)}" if thing.visible else gone(asked, thing)


def _seen_none(asked: Asked) -> str:
    word = word_for(asked.meaning.subject)
    return f"I have seen no {word}" if asked.meaning.subject.named else "nothing is tracked"


_OF_DEEDS: dict[Deed, Callable[[Asked], str]] = {
    Deed.BEFORE: _before, Deed.STAY_BEHIND: _left_behind, Deed.MEET: _met, Deed.VANISH: _gone,
}  # fmt: skip
