"""What can be answered at all. A part of a question that its answer would pass over makes that answer a guess."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agent.facts_answer import knowledge
from agent.facts_answer.asked import HAPPENINGS, Asked, CannotTell, present
from agent.facts_answer.carry import carriers
from agent.facts_answer.meaning import Ask, Deed, Meaning, Most, Relation, Subject, Window
from agent.facts_answer.phrases import grouped, plural, word_for
from agent.facts_answer.spans import takes_window
from agent.labels import is_of_its_own
from agent.scene import SceneObject
from agent.types import EventKind, RegionKind

_OF_SOMETHING = frozenset(
    {Ask.WHETHER, Ask.WHERE, Ask.ORIGIN, Ask.DIRECTION, Ask.WHEN, Ask.HOW_LONG_AGO, Ask.SINCE_WHEN, Ask.HOW_LONG}
)
"""What can be asked of objects that are named only."""
_TELLING_APART = frozenset({Ask.HOW_MANY, Ask.PEAK, Ask.WHETHER, Ask.WHICH, Ask.COMPARE})
_OF_ONE = frozenset({Ask.WHERE, Ask.ORIGIN, Ask.DIRECTION, Ask.ABOUT, Ask.SINCE_WHEN, Ask.HOW_LONG})
"""Where a place or a superlative says which object is meant."""
_WITH_NUMBER = frozenset({Ask.WHETHER, Ask.WHICH, Ask.COMPARE, Ask.WHERE, Ask.ABOUT})
_STAYS = frozenset({Most.LONGEST, Most.SHORTEST})
_SIZES = frozenset({Most.BIGGEST, Most.SMALLEST})
_SPEEDS = frozenset({Most.FASTEST, Most.SLOWEST})
_LENGTHS = frozenset({Ask.SINCE_WHEN, Ask.HOW_LONG})
_ORDER = frozenset({Most.FIRST, Most.LAST})
_CARRYING = frozenset({Deed.CARRY, Deed.BRING, Deed.TAKE, Deed.PUT, Deed.HAVE})
_COMPARABLE = frozenset({None, Deed.BE, Deed.MOVE, Deed.ENTER, Deed.LEAVE, Deed.RETURN})
_OF_TWO = frozenset({Deed.MEET, Deed.STAY_BEHIND, Deed.OWN}) | _CARRYING
_TO_OR_FROM = frozenset({Deed.ENTER, Deed.LEAVE, Deed.RETURN, Deed.VANISH})
_CARRIED = frozenset({Ask.WHICH, Ask.WHETHER, Ask.WHEN, Ask.HOW_LONG_AGO, Ask.WHERE, Ask.DIRECTION, Ask.HOW_OFTEN})
_NOW_ONLY = frozenset({Most.NEAREST, Most.FARTHEST, Most.LEFTMOST, Most.RIGHTMOST, Most.TOPMOST, Most.LOWEST})


def narrowed(asked: Asked) -> Asked:
    """“The person on the right” and “the biggest thing” as the objects that they are now."""
    meaning = asked.meaning
    region = knowledge.region_of(meaning.place, asked.scene)
    zone = region is not None and region.kind is RegionKind.ZONE
    if meaning.ask not in _OF_ONE or (zone and meaning.ask in _LENGTHS) or meaning.deed is Deed.CROSS:
        return asked
    things = asked.things()
    if meaning.place is not None and meaning.most not in (Most.NEAREST, Most.FARTHEST):
        things = knowledge.placed(things, meaning.place, asked.scene)
    elif meaning.most in _ORDER and meaning.deed in HAPPENINGS and meaning.ask not in _LENGTHS:
        # “Where is the cup that appeared last?”
        found = knowledge.deals(meaning.deed, things, asked.scene, meaning.window, None)
        things = [deal.thing for deal in (found[:1] if meaning.most is Most.FIRST else found[-1:])]
        _check_once(meaning, things)
    elif meaning.most is None or meaning.most in _ORDER:
        return asked
    if meaning.most is not None and meaning.most not in _ORDER:
        there = [thing for thing in things if thing.visible]
        things = knowledge.outdone(meaning.most, there, meaning.place, asked.scene, False)
    if not things:
        raise CannotTell("Nothing in sight is that" if meaning.ask is not Ask.ABOUT else "I see nothing there")
    subject = Subject(ids=tuple(thing.id for thing in things))
    most = meaning.most if meaning.ask is Ask.ORIGIN and meaning.most in _ORDER else None
    return replace(asked, meaning=replace(meaning, subject=subject, place=None, most=most))


def _check_once(meaning: Meaning, things: Sequence[SceneObject]) -> None:
    """Where something went out is told of the last time."""
    if meaning.most is Most.FIRST and meaning.deed is Deed.LEAVE:
        left = [stay for thing in things for stay in knowledge.stays(thing) if stay.ended is EventKind.EXIT]
        if len(left) > 1:
            raise CannotTell("It left more than once")


def resolved(asked: Asked) -> Asked:
    """“The one who left” as the objects that did."""
    meaning = asked.meaning
    if meaning.subject.clause is not None:
        meaning = replace(meaning, subject=_of_clause(asked, meaning.subject))
    if meaning.second is not None and meaning.second.clause is not None:
        meaning = replace(meaning, second=_of_clause(asked, meaning.second))
    place = meaning.place
    if place is not None and place.subject is not None and place.subject.clause is not None:
        meaning = replace(meaning, place=replace(place, subject=_of_clause(asked, place.subject)))
    return replace(asked, meaning=meaning)


def _of_clause(asked: Asked, subject: Subject) -> Subject:
    clause = subject.clause
    assert clause is not None
    said = replace(asked, meaning=clause)
    if clause.deed is Deed.CARRY:
        ids = carriers(said)
    elif clause.deed is Deed.VANISH:
        ids = tuple(thing.id for thing in said.things() if not thing.visible)
    elif clause.deed is not None and clause.deed in HAPPENINGS - {Deed.MEET, Deed.STAY_BEHIND}:
        found = knowledge.deals(clause.deed, said.things(), asked.scene, clause.window, clause.place)
        found = {Most.FIRST: found[:1], Most.LAST: found[-1:]}.get(clause.most or Most.LONGEST, found)
        ids = tuple(dict.fromkeys(deal.thing.id for deal in found))
    elif clause.deed in (Deed.MOVE, Deed.REST) and clause.most is None:
        ids = tuple(thing.id for thing in present(said, said.things()))
    else:
        raise CannotTell("I cannot tell which one is meant")
    if not ids:
        raise CannotTell("I know of none that did that")
    return replace(subject, ids=ids, clause=None, generic=False)


def check(asked: Asked) -> None:
    """Raise `CannotTell` where the question is beyond what is known, or beyond what would be answered."""
    meaning = asked.meaning
    if meaning.beyond:
        raise CannotTell(meaning.beyond[0])
    _check_understood(meaning)
    _check_named(asked)
    if meaning.event and meaning.deed in (None, Deed.BE):
        raise CannotTell("I do not know which event is meant")
    elsewhere = meaning.ask is not Ask.WHETHER or meaning.place is not None or meaning.most is not None
    if meaning.deed is Deed.BEFORE and (elsewhere or meaning.window != Window()):
        raise CannotTell("I only know whether a thing has been here before")
    _check_watched(asked)
    _check_region(asked)
    for subject in (meaning.subject, meaning.second, meaning.place.subject if meaning.place is not None else None):
        if subject is not None:
            _check_kind(asked, subject)
    passed_over = _passed_over(meaning)
    if passed_over is not None:
        raise CannotTell(f"I cannot answer that together with {passed_over}")


def _check_understood(meaning: Meaning) -> None:
    if meaning.unknown:
        words = ", ".join(f"“{word}”" for word in meaning.unknown[:3])
        raise CannotTell(f"I do not know about {words}")
    if not meaning.shaped:
        raise CannotTell("I know the words, but not what they ask together")
    if meaning.ask is None:
        raise CannotTell("I did not understand the question")


def _check_named(asked: Asked) -> None:
    meaning = asked.meaning
    missing = [i for i in meaning.subject.ids if asked.scene.get(i) is None]
    if missing:
        raise CannotTell(f"I know no object number {missing[0]}")
    if (meaning.subject.pronoun and not meaning.subject.named) or (meaning.ask in _OF_SOMETHING and _silent(meaning)):
        raise CannotTell("I do not know which object is meant")
    counted = meaning.subject.generic and (meaning.subject.ordinal or 0) > 0 and meaning.most is None
    if counted and meaning.ask in _OF_SOMETHING | _OF_ONE:
        raise CannotTell("I do not know which object is meant")
    besides = meaning.place is not None and meaning.place.relation is Relation.OTHER_THAN
    if meaning.subject.other and not asked.before and not besides and meaning.deed in (None, Deed.BE):
        raise CannotTell("I do not know other than which one")


def _check_kind(asked: Asked, subject: Subject) -> None:
    strict = subject.narrower if is_of_its_own(subject.narrower) else None
    things = asked.things(subject)
    if strict is not None and (len(things) != 1 or asked.meaning.ask in _TELLING_APART):
        others = f": I know of {grouped(things)}" if things else ""
        raise CannotTell(f"I cannot tell a {strict} from {plural(word_for(subject))} in general{others}")


def _check_watched(asked: Asked) -> None:
    """What was before the stream began, or is still to come, is not known."""
    until = asked.meaning.window.until
    if until is not None and until < asked.scene.began_at:
        raise CannotTell(f"I have been watching since {asked.wording.clock(asked.scene.began_at)} only")


def _check_region(asked: Asked) -> None:
    """Of a line only crossings are kept, and who is near it now."""
    meaning = asked.meaning
    region = knowledge.region_of(meaning.place, asked.scene)
    if region is None:
        return
    if meaning.deed in _OF_TWO:
        raise CannotTell("I do not keep where that was")
    still = meaning.deed in (None, Deed.BE)
    dated = meaning.ask in _LENGTHS | {Ask.WHEN, Ask.HOW_LONG_AGO, Ask.HOW_OFTEN}
    if region.kind is RegionKind.LINE and (meaning.deed in _TO_OR_FROM or (still and dated)):
        raise CannotTell("I keep who crossed a line, not who came to it")


def _silent(meaning: Meaning) -> bool:
    """Whether nothing is said about which objects are meant, and no deed, place or superlative says it."""
    subject = meaning.subject
    said = subject.named or subject.generic or subject.pronoun or subject.ordinal is not None
    happened = meaning.deed in HAPPENINGS and meaning.place is not None
    whether_there = meaning.ask is Ask.WHETHER and meaning.place is not None
    one = meaning.ask in _OF_ONE and meaning.most is not None and meaning.most not in _ORDER
    return not (said or happened or whether_there or one)


def _passed_over(meaning: Meaning) -> str | None:
    """The part of the question that its answer does not take into account."""
    rules = (
        ("who had what", meaning.deed in _CARRYING and (meaning.ask not in _CARRIED or meaning.place is not None)),
        ("a second thing", meaning.second is not None and not _takes_second(meaning)),
        ("where that was", meaning.ask is Ask.WHERE and meaning.deed in (Deed.CROSS, Deed.MEET)),
        ("how often that was", meaning.ask is Ask.HOW_OFTEN and not _is_counted(meaning)),
        ("what is near what now", _met_now(meaning)),
        ("that order", meaning.subject.ordinal is not None and not _takes_ordinal(meaning)),
        ("a place", meaning.place is not None and not _takes_place(meaning)),
        ("that comparison", meaning.most is not None and not _takes_most(meaning)),
        ("that length of time", meaning.lasting is not None and not _takes_lasting(meaning)),
        ("that number", meaning.limit is not None and meaning.ask not in _WITH_NUMBER),
        ("that time", not takes_window(meaning)),
        ("“not”", meaning.negated and not _takes_not(meaning)),
        ("“no”", meaning.subject.none and meaning.ask is not Ask.WHETHER),
    )
    return next((part for part, passed_over in rules if passed_over), None)


def _takes_second(meaning: Meaning) -> bool:
    still = meaning.deed in (None, Deed.BE)
    if meaning.deed is Deed.MEET and meaning.ask is Ask.HOW_MANY:
        return False
    if meaning.deed not in _CARRYING and meaning.ask in (Ask.WHERE, Ask.DIRECTION, Ask.ORIGIN):
        return False
    if meaning.deed in _OF_TWO or meaning.ask is Ask.COMPARE:
        return True
    if meaning.most is not None and meaning.ask is Ask.WHETHER:
        return meaning.deed in _COMPARABLE
    if meaning.ask is Ask.HOW_MANY:
        return still and meaning.place is None
    return meaning.ask is Ask.WHETHER and still and bool(meaning.subject.ids or meaning.subject.pronoun)


def _takes_place(meaning: Meaning) -> bool:
    place = meaning.place
    moved = meaning.deed is Deed.MOVE and meaning.past and meaning.ask in _TELLING_APART
    if meaning.deed in (Deed.RETURN, Deed.VANISH) or moved:
        return False
    if place is None:
        return True
    if place.relation is Relation.TOWARDS:
        return meaning.ask in (Ask.WHETHER, Ask.WHICH, Ask.HOW_MANY) and not meaning.past
    beside = place.relation in (Relation.LEFT_OF, Relation.RIGHT_OF)
    if beside and (meaning.past or meaning.deed in HAPPENINGS or meaning.ask in _LENGTHS):
        return False
    if place.region_id is not None:
        return meaning.ask not in (Ask.PEAK, Ask.COMPARE)
    if meaning.ask in _LENGTHS and meaning.subject.ids:
        return False
    if meaning.ask in (Ask.PEAK, Ask.COMPARE, Ask.HAPPENED):
        return False
    if meaning.deed in HAPPENINGS or meaning.ask in (Ask.HOW_OFTEN, Ask.WHEN, Ask.HOW_LONG_AGO):
        return bool(place.sides) and place.subject is None and meaning.deed in (Deed.ENTER, Deed.LEAVE, Deed.CROSS)
    return True


def _takes_ordinal(meaning: Meaning) -> bool:
    """Objects are in the order in which they came into the picture, not to a place."""
    at = meaning.ask is Ask.WHICH and meaning.place is not None and meaning.deed in (None, Deed.BE)
    return meaning.ask is not Ask.HAPPENED and not at


def _takes_most(meaning: Meaning) -> bool:
    most = meaning.most
    if most in _ORDER:
        return _takes_order(meaning)
    if meaning.deed in _CARRYING:
        return False
    if most in _STAYS and (meaning.place is not None or meaning.deed in (Deed.MOVE, Deed.REST)):
        return False
    if meaning.past and (most in _SIZES or (most in _SPEEDS and meaning.place is not None)):
        return False
    if meaning.ask is Ask.WHETHER and meaning.second is not None:
        return most not in _NOW_ONLY or not meaning.past
    if meaning.ask is Ask.WHETHER:
        return bool(meaning.subject.ids or meaning.subject.words) and not meaning.past
    if meaning.past and most in _NOW_ONLY:
        return False
    return meaning.ask is Ask.WHICH or meaning.ask in _OF_ONE


def _takes_order(meaning: Meaning) -> bool:
    """Of the first and the last time, and the first and the last one."""
    ask, deed = meaning.ask, meaning.deed
    if (ask in _LENGTHS and meaning.place is not None) or deed in (Deed.MOVE, Deed.REST):
        return False
    if deed in _CARRYING or (ask is Ask.WHETHER and meaning.second is not None):
        return True
    if ask is Ask.WHICH and deed is Deed.BE and meaning.most is Most.LAST and meaning.place is None:
        # Who was seen last is not who came last.
        return False
    if deed not in HAPPENINGS and ask in (Ask.DIRECTION, Ask.ABOUT):
        return False
    if deed not in HAPPENINGS and ask is Ask.WHERE and meaning.most is Most.FIRST:
        return deed in (None, Deed.BE)
    return ask not in (Ask.HOW_MANY, Ask.WHETHER, Ask.COMPARE, Ask.PEAK, Ask.HOW_OFTEN)


def _takes_not(meaning: Meaning) -> bool:
    if meaning.ask is Ask.WHETHER:
        return not meaning.subject.every
    still = meaning.deed in (None, Deed.BE) and meaning.most is None and not meaning.past
    if meaning.ask is Ask.WHICH and meaning.deed in HAPPENINGS - {Deed.MEET, Deed.STAY_BEHIND}:
        return meaning.most is None
    if meaning.ask in _LENGTHS:
        return still and meaning.place is not None and meaning.place.region_id is not None
    return still and meaning.place is not None and meaning.ask in (Ask.WHICH, Ask.HOW_MANY) and not meaning.window.until


def _met_now(meaning: Meaning) -> bool:
    return meaning.deed is Deed.MEET and not meaning.past and meaning.ask not in (Ask.WHETHER, Ask.WHEN, Ask.HAPPENED)


def _is_counted(meaning: Meaning) -> bool:
    zone = meaning.place is None or meaning.place.region_id is not None
    return (zone and meaning.deed in (None, Deed.BE)) or meaning.deed in HAPPENINGS or meaning.deed in _CARRYING


def _takes_lasting(meaning: Meaning) -> bool:
    place = meaning.place
    still = meaning.deed in (None, Deed.BE, Deed.REST) and meaning.most is None and meaning.limit is None
    zone = place is None or (place.region_id is not None and not place.sides and meaning.deed is not Deed.REST)
    now = meaning.window.since is None and meaning.window.until is None and meaning.second is None
    return still and zone and now and meaning.ask in (Ask.WHETHER, Ask.WHICH, Ask.HOW_MANY)
