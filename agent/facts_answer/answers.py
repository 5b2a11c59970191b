"""Answers about how many, which and whether."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agent.facts_answer import knowledge
from agent.facts_answer.asked import (
    HAPPENINGS,
    Asked,
    CannotTell,
    at_of,
    back_after,
    happenings,
    is_being,
    is_ever,
    left_behind,
    meetings,
    present,
    unique,
    within,
)
from agent.facts_answer.meaning import Deed, Meaning, Most, Relation, Subject
from agent.facts_answer.phrases import (
    article,
    be,
    counted,
    grouped,
    latest,
    listing,
    name,
    names,
    numbers,
    sentence,
    told,
    where_is,
    word_for,
)
from agent.perceive.matching import COMPARE
from agent.scene import SceneObject
from agent.types import Event, RegionKind

_DID = {
    Deed.ENTER: "came in", Deed.LEAVE: "left", Deed.RETURN: "came back", Deed.VANISH: "went out of sight",
    Deed.CROSS: "crossed", Deed.MEET: "came near", Deed.STAY_BEHIND: "was left behind",
}  # fmt: skip


def did(asked: Asked) -> str:
    """What the objects are said to have done, with the place: `"came in"`, `"crossed the gate"`."""
    meaning = asked.meaning
    deed = meaning.deed or Deed.ENTER
    region = knowledge.region_of(meaning.place, asked.scene)
    if region is None:
        return _DID[deed]
    came = deed is Deed.ENTER or region.kind is RegionKind.ZONE
    verb = "left" if deed is Deed.LEAVE else "came to" if came else "crossed"
    return f"{verb} the {region.name.removeprefix('the ')}"


def how_many(asked: Asked) -> str:
    meaning = asked.meaning
    if meaning.deed in HAPPENINGS:
        return _how_many_did(asked)
    if meaning.deed is Deed.VANISH:
        away = [thing for thing in asked.things() if not thing.visible and within(asked, thing.last_at)]
        each = told(f"{name(thing)}, last seen {asked.wording.at(thing.last_at)}" for thing in away)
        return sentence(f"{counted(word_for(meaning.subject), len(away))} out of sight{': ' + each if away else ''}")
    if meaning.second is not None and meaning.place is None:
        parts = [_number_there(asked, subject) for subject in (meaning.subject, meaning.second)]
        return sentence(f"there are {listing(parts)}")
    return sentence(_count_of(asked, present(asked, asked.things())))


def _number_there(asked: Asked, subject: Subject) -> str:
    there = present(asked, asked.things(subject))
    return counted(word_for(subject), len(there)) + (f" ({names(there)})" if there else "")


def _count_of(asked: Asked, there: Sequence[SceneObject]) -> str:
    meaning, word = asked.meaning, word_for(asked.meaning.subject)
    number, place = len(there), asked.wording.place(asked.meaning.place)
    doing = _doing(meaning)
    if is_ever(meaning) and not meaning.window.instant:
        text = f"I have seen {counted(word, number)}{place}" + (f": {names(there)}" if there else "")
        return text + _narrow(meaning.subject)
    if number == 0 and not asked.things():
        return f"there {be(0)} {counted(word, 0)}: nothing that is tracked is {article(word)}"
    which = f": {_which_ones(there)}" if there else ""
    if meaning.window.instant:
        then = _at_that_moment(asked)
        return f"there {'was' if number == 1 else 'were'} {counted(word, number)}{place}{then}{which}"
    return f"there {be(number)} {counted(word, number)}{doing}{place}{which}{_narrow(meaning.subject)}"


def _at_that_moment(asked: Asked) -> str:
    window = asked.meaning.window
    return f" at {asked.wording.clock(window.since)}" if window.instant and window.since is not None else ""


def _doing(meaning: Meaning) -> str:
    if meaning.negated:
        return " not"
    return {Deed.MOVE: " moving", Deed.REST: " standing still"}.get(meaning.deed or Deed.BE, "")


def _which_ones(there: Sequence[SceneObject]) -> str:
    return numbers(there) if len({thing.label for thing in there}) == 1 else grouped(there)


def _how_many_did(asked: Asked) -> str:
    meaning = asked.meaning
    if meaning.deed is Deed.STAY_BEHIND and all(is_being(thing) for thing in asked.things()):
        raise CannotTell("I keep which things were left behind, not who went away from whom")
    found = happenings(asked)
    things = unique(found)
    word = word_for(meaning.subject)
    if not things:
        return sentence(f"{counted(word, 0)} {did(asked).replace('was ', 'were ')}{_when(meaning)}")
    each = latest([f"{name(thing)} {asked.wording.at(at_of(found, thing))}" for thing in things])
    times = f", {len(found)} times in all" if len(found) > len(things) else ""
    did_so = did(asked) if len(things) == 1 else did(asked).replace("was ", "were ")
    return sentence(f"{counted(word, len(things))} {did_so}{times}: {each}")


def how_often(asked: Asked) -> str:
    if asked.meaning.deed is Deed.MEET:
        met = meetings(asked)
        each = latest([f"{names(_pair(asked, event))} {asked.wording.at(event.at)}" for event in met])
        return sentence(f"{len(met)} {'time' if len(met) == 1 else 'times'}{': ' + each if met else ''}")
    if asked.meaning.deed in (None, Deed.BE) and asked.meaning.place is None:
        return _stays(asked)
    found = happenings(replace(asked, meaning=replace(asked.meaning, deed=asked.meaning.deed or Deed.ENTER)))
    if not found:
        return sentence(f"0 times: {nobody(asked, ' ' + did(asked))}") if asked.things() else nothing_known(asked)
    each = latest([f"{name(deal.thing)} {asked.wording.at(deal.at)}" for deal in found])
    return sentence(f"{len(found)} {'time' if len(found) == 1 else 'times'}: {each}")


def _stays(asked: Asked) -> str:
    stays = [
        (thing, stay.since) for thing in asked.things() for stay in knowledge.stays(thing) if within(asked, stay.since)
    ]
    if not stays:
        return nobody(asked, " was here")
    each = latest([f"{name(thing)} {asked.wording.at(since)}" for thing, since in sorted(stays, key=lambda s: s[1])])
    return sentence(f"{len(stays)} {'time' if len(stays) == 1 else 'times'}: {each}")


def peak(asked: Asked) -> str:
    things = asked.things()
    number, when = knowledge.peak(things, asked.meaning.window)
    word = word_for(asked.meaning.subject)
    if not number or when is None:
        return sentence(f"there were {counted(word, 0)} at any time")
    return sentence(f"at most {counted(word, number)} at once, first {asked.wording.at(when)}")


def compare(asked: Asked) -> str:
    meaning = asked.meaning
    if meaning.second is None:
        raise CannotTell("I do not know what to compare with what")
    first, second = (present(asked, asked.things(subject)) for subject in (meaning.subject, meaning.second))
    a = counted(word_for(meaning.subject), len(first))
    b = counted(word_for(meaning.second), len(second))
    holds = COMPARE[meaning.limit[0] if meaning.limit is not None else ">"](len(first), len(second))
    return sentence(f"{'yes' if holds else 'no'}, there are {a} and {b}")


def which(asked: Asked) -> str:
    meaning = asked.meaning
    if meaning.deed in (Deed.OWN, Deed.STAY_BEHIND):
        return owners(asked)
    if meaning.deed is Deed.MEET:
        return _which_met(asked)
    if meaning.deed in HAPPENINGS:
        return _which_did(asked)
    if meaning.most is not None and meaning.deed is not Deed.VANISH:
        return _outdone(asked)
    if meaning.deed is Deed.VANISH:
        return _which_are_gone(asked)
    return _which_there(asked)


def _which_there(asked: Asked) -> str:
    meaning = asked.meaning
    there = present(asked, asked.things())
    place = asked.wording.place(meaning.place)
    if is_ever(meaning):
        were = f" {'was' if len(there) == 1 else 'were'}{place}" if place else ""
        return sentence(f"{names(there)}{were}{_at_that_moment(asked)}") if there else nobody(asked, been(meaning))
    if not there:
        return nobody(asked, f" {be(1)}{' not' if meaning.negated else ''}") + _nearest(asked)
    doing = _doing(meaning)
    if len(there) == 1 and not (meaning.deed is Deed.MOVE and meaning.past):
        return sentence(f"{name(there[0])} is{doing}{place or ' ' + where_is(there[0])}")
    if meaning.deed is Deed.MOVE and meaning.past:
        return sentence(f"{names(there)} moved{place}")
    if meaning.place is not None or doing:
        return sentence(f"{names(there)} {be(2)}{doing}{place}")
    return sentence("I see " + grouped(there))


def been(meaning: Meaning) -> str:
    if meaning.window.through == "outset":
        return " was there when I began"
    return " has been there all the time" if meaning.window.through else " has been"


def _nearest(asked: Asked) -> str:
    """What is nearest, where nothing is near enough to be named."""
    place, still = asked.meaning.place, asked.meaning.deed in (None, Deed.BE)
    if place is None or place.subject is None or place.relation not in (Relation.AT, Relation.NEAR) or not still:
        return ""
    those = {thing.id for thing in asked.things(place.subject)}
    rivals = [thing for thing in asked.things() if thing.visible and thing.id not in those]
    best = knowledge.outdone(Most.NEAREST, rivals, place, asked.scene, False)
    return f" The nearest: {names(best)}." if best else ""


def _which_met(asked: Asked) -> str:
    met = meetings(asked)
    if not met:
        return nobody(asked, " came near")
    return sentence(latest([f"{names(_pair(asked, e))} came near each other {asked.wording.at(e.at)}" for e in met]))


def _pair(asked: Asked, event: Event) -> list[SceneObject]:
    return [thing for i in event.track_ids if (thing := asked.scene.get(i)) is not None]


def _which_did(asked: Asked) -> str:
    meaning = asked.meaning
    found = happenings(asked)
    if meaning.negated:
        others = [thing for thing in asked.things() if thing not in unique(found)]
        return sentence(f"{names(others)} never {did(asked)}" if others else f"all of them {did(asked)}")
    if not found:
        return nobody(asked, f" {did(asked)}") if meaning.deed is not Deed.ENTER else _who_was_there_first(asked)
    if meaning.most is Most.FIRST:
        found = found[:1]
    elif meaning.most is Most.LAST:
        found = found[-1:]
    parts = []
    for thing in unique(found):
        text = f"{name(thing)} {did(asked)} {asked.wording.at(at_of(found, thing, meaning.deed))}"
        later = back_after(thing) if meaning.deed is Deed.LEAVE and meaning.place is None else None
        parts.append(text + (f" and came back {asked.wording.at(later)}" if later is not None else ""))
    return sentence(latest(parts))


def _who_was_there_first(asked: Asked) -> str:
    there = [thing for thing in asked.things() if knowledge.from_the_start(thing, asked.scene)]
    if there and asked.meaning.window.since is None:
        return sentence(f"nobody came in since I began; {names(there)} {be(len(there))} there from the start")
    return nobody(asked, " came in")


def _which_are_gone(asked: Asked) -> str:
    gone = [thing for thing in asked.things() if not thing.visible and within(asked, thing.last_at)]
    if not gone:
        return nobody(asked, " went out of sight")
    gone.sort(key=lambda thing: thing.last_at)
    if asked.meaning.most in (Most.LONGEST, Most.FIRST):
        gone = gone[:1]
    elif asked.meaning.most is not None:
        gone = gone[-1:]
    return sentence(told(f"{name(thing)}, last seen {asked.wording.at(thing.last_at)}" for thing in gone))


def _outdone(asked: Asked) -> str:
    meaning, most = asked.meaning, asked.meaning.most
    assert most is not None
    if most in (Most.FIRST, Most.LAST) and meaning.place is not None:
        return _first_or_last_there(asked)
    place = meaning.place if most in (Most.NEAREST, Most.FARTHEST) else None
    if place is not None and place.subject is not None and not any(t.visible for t in asked.things(place.subject)):
        raise CannotTell(f"Nothing in sight is {article(word_for(place.subject))}")
    things = asked.things()
    if most in (Most.LONGEST, Most.SHORTEST):
        things = things if meaning.window.ever else [thing for thing in things if thing.visible]
    elif not meaning.past and most not in (Most.FIRST, Most.LAST):
        things = present(asked, things) if place is None else [thing for thing in things if thing.visible]
    if place is not None and place.subject is not None:
        reference = {thing.id for thing in asked.things(place.subject)}
        things = [thing for thing in things if thing.id not in reference]
    over = meaning.window.ever if most in (Most.LONGEST, Most.SHORTEST) else meaning.past
    best = knowledge.outdone(most, things, place, asked.scene, over)
    if not best:
        return nobody(asked, " is in sight")
    if most is Most.FASTEST and not meaning.past and not any(thing.moving for thing in best):
        return sentence(f"nothing{' of these' if meaning.subject.named else ''} is moving")
    reason = _reason(asked, most, best[0])
    return sentence(f"{names(best)}, {reason}" if reason else names(best))


def _first_or_last_there(asked: Asked) -> str:
    meaning = asked.meaning
    region = knowledge.region_of(meaning.place, asked.scene)
    if region is None or region.kind is not RegionKind.ZONE:
        raise CannotTell("I keep who was at zones, not who was where else")
    place = asked.wording.place(meaning.place)
    there = knowledge.placed(asked.things(), meaning.place, asked.scene)
    if meaning.most is Most.LAST and there:
        return sentence(f"{names(there)} {be(len(there))}{place} right now")
    deed = Deed.ENTER if meaning.most is Most.FIRST else Deed.LEAVE
    found = knowledge.deals(deed, asked.things(), asked.scene, meaning.window, meaning.place)
    if not found:
        return nobody(asked, " has been")
    chosen = found[0] if meaning.most is Most.FIRST else found[-1]
    if meaning.most is Most.FIRST:
        return sentence(f"{name(chosen.thing)} came{place.replace(' at ', ' to ', 1)} {asked.wording.at(chosen.at)}")
    return sentence(f"{name(chosen.thing)} was{place} until {asked.wording.clock(chosen.at)}")


def _reason(asked: Asked, most: Most, thing: SceneObject) -> str:
    if most in (Most.LONGEST, Most.SHORTEST):
        stay = knowledge.longest_stay(thing, asked.scene) if asked.meaning.window.ever else knowledge.stays(thing)[-1]
        return "in sight " + asked.wording.long(stay.since, stay.until)
    if most in (Most.FIRST, Most.LAST):
        return "first seen " + asked.wording.at(thing.first_at)
    if most in (Most.FASTEST, Most.SLOWEST) and thing.moving:
        return "moving " + thing.direction
    return where_is(thing) if thing.visible else "which is not in sight any more"


def owners(asked: Asked) -> str:
    """Who came with a thing, or left it behind."""
    found = left_behind(asked)
    if not found:
        meaning = asked.meaning
        word = word_for(meaning.second or meaning.subject)
        raise CannotTell(f"I have not seen anybody leave {article(word)} behind")
    parts = []
    for deal in found:
        other = asked.scene.get(deal.other) if deal.other is not None else None
        who = name(other) if other is not None else "somebody"
        parts.append(f"{who} came with {name(deal.thing)} and went away from it {asked.wording.at(deal.at)}")
    return sentence(told(parts))


def nobody(asked: Asked, done: str) -> str:
    """That none of those who are meant has done it."""
    meaning = asked.meaning
    word = word_for(meaning.subject)
    who = "nobody" if meaning.subject.words == ("person",) else f"no {word}" if meaning.subject.named else "nothing"
    told = meaning.deed in HAPPENINGS and meaning.place is not None and meaning.place.region_id is not None
    place = "" if told else asked.wording.place(meaning.place)
    return sentence(f"{who}{done}{place}{_when(meaning)}")


def nothing_known(asked: Asked) -> str:
    return sentence(f"I have seen no {word_for(asked.meaning.subject)}")


def _narrow(subject: Subject) -> str:
    return f" (I cannot tell a {subject.narrower} from others)" if subject.narrower else ""


def _when(meaning: Meaning) -> str:
    if meaning.window.since is not None or meaning.window.until is not None:
        return " in that time"
    if meaning.window.through == "outset":
        return ""
    return " so far" if meaning.deed in HAPPENINGS or is_ever(meaning) else ""
