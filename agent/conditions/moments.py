"""At which events of the tracks a condition may be true: the rules that propose."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from agent.conditions import words as w
from agent.conditions.reading import Reading, Thing, fill
from agent.labels import BEINGS, CATEGORIES, class_of
from agent.types import EventKind, Rule

LOITERING_S = 30.0
TICK_S = 10.0
"""How often the model looks where no rule can propose."""
_FIXED = frozenset(
    {*CATEGORIES["vehicle"], *CATEGORIES["furniture"], *BEINGS, "animal", "vehicle", "furniture", "toilet", "sink",
     "oven", "microwave", "toaster", "refrigerator", "tv", "traffic light", "fire hydrant", "stop sign",
     "parking meter"} - {"bicycle"}
)  # fmt: skip
"""What nobody carries about and forgets."""


@dataclass(frozen=True, slots=True)
class Moments:
    """`unsure` where the rules only propose, whatever else was said; `assumed_s` where a stay had no length."""

    rules: tuple[Rule, ...]
    unsure: bool = False
    assumed_s: float | None = None


def moments(reading: Reading) -> Moments:
    """The rules of a condition; a rule is chosen only where its event is the right time to look."""
    tick = _tick(reading)
    if reading.crowd:
        return _looking("person")
    if reading.find(w.RANGE):
        return tick
    for read in (_emptied, _parted, _taken, _crossed, _near, _back, _gone, _negated, _counted, _stayed, _came):
        found = read(reading)
        if found is not None:
            return _negated(reading) or _fitting(reading, found, tick)
    return tick


def _negated(reading: Reading) -> Moments | None:
    """What is not so may be so with nobody there."""
    return _looking(None) if reading.find(w.NOT) else None


def _tick(reading: Reading) -> Moments:
    """The model looks, while such an object is there if one was named."""
    labels = [thing.label for thing in reading.things] if "or" in reading.words else [reading.label]
    return _looking(*(labels or [None]))


def _looking(*labels: str | None) -> Moments:
    return Moments(tuple(Rule(EventKind.TICK, label, seconds=TICK_S) for label in labels), unsure=True)


def _fitting(reading: Reading, found: Moments, tick: Moments) -> Moments:
    """The rules that were found, or `tick` where their events are not the right time.

    What else was said must be about the object, not about what it does then. Words before the verb, or before the
    object where there is no verb, only say which one.
    """
    kinds = {rule.kind for rule in found.rules}
    if kinds & {EventKind.APART, EventKind.TICK} or reading.at("taking") is not None:
        return found
    fill(reading)
    found = replace(found, unsure=found.unsure or _both(reading))
    if EventKind.COUNT in kinds:
        # A count is told once, and may not be decided then; of few or none it may be with nobody there.
        fewer = any(rule.op in ("==", "<") for rule in found.rules)
        unclear = bool(reading.rest) or reading.narrow or found.unsure
        return (_looking(None) if fewer and reading.label else tick) if unclear else found
    verb = reading.at("verb")
    last = verb if verb is not None else reading.things[-1].at if reading.things else -1
    if (
        not reading.rest
        or (EventKind.DWELL in kinds and reading.at("staying") is not None)
        or EventKind.LINE in kinds
        or (max(reading.rest) < last and reading.find(w.ORDER) is None)
    ):
        return found
    return tick


def _emptied(reading: Reading) -> Moments | None:
    """A place with nobody and nothing in it."""
    if reading.zone is None or reading.things or not reading.take(w.EMPTY, "count"):
        return None
    return Moments((_none_of(None, reading),))


def _parted(reading: Reading) -> Moments | None:
    """A thing that its person goes away from."""
    things = [thing for thing in reading.things if class_of(thing.label) != "person"]
    if not things:
        return None
    alone = reading.take(w.ALONE, "verb") is not None
    carried = [thing for thing in things if thing.label not in _FIXED]
    verb = reading.find(w.LEAVING)
    left = verb is not None and any(thing.at > _word(verb) for thing in carried)
    people = any(thing.label == "person" for thing in reading.things)
    if not alone and not (left and people):
        return None
    if left:
        reading.take(w.LEAVING, "verb")
    label = (carried or things)[0].label
    rules = [Rule(EventKind.APART, label, near_label="person")]
    if reading.seconds is not None:
        rules.append(Rule(EventKind.TICK, label, seconds=TICK_S))
    return Moments(tuple(rules), unsure=True)


def _taken(reading: Reading) -> Moments | None:
    """A thing that somebody takes: that they come near it or that it is gone is the time to look."""
    thing = next((thing for thing in reading.things if thing.label not in BEINGS), None)
    verb = reading.find(w.TAKING)
    if thing is None or verb is None or "of" in reading.words[_word(verb) : thing.at]:
        return None
    reading.take(w.TAKING, "taking")
    near = Rule(EventKind.PROXIMITY, thing.label, near_label="person")
    return Moments((near, Rule(EventKind.EXIT, thing.label), Rule(EventKind.LOST, thing.label)), unsure=True)


def _crossed(reading: Reading) -> Moments | None:
    if reading.line is None:
        return None
    crossing = reading.take(w.CROSSING, "verb") is not None
    other = not crossing and reading.take(f"{w.GOING}|{w.COMING}", "verb") is not None
    over = reading.take(w.THROUGH, "filling") is not None
    if not (crossing or over or other):
        return None
    if not _named(reading):
        return _looking(None)
    # To come in is to cross it one way, which the line does not know of.
    return Moments(_each(reading, EventKind.LINE, reading.line), unsure=other)


def _near(reading: Reading) -> Moments | None:
    if not reading.things or not reading.take(w.NEARING, "verb"):
        return None
    reading.take(w.STAYING, "staying")
    first, seconds = reading.things[0], reading.seconds or 0.0
    others = _after(reading, "verb")
    if not others or others == reading.things:
        others = [] if "or" in reading.words or reading.regions else reading.things[1:]
    if not others and (reading.count is not None or reading.words[first.at] == "people"):
        reading.count, others = None, [first]
    if not others:
        return _tick(reading)
    subjects = [thing for thing in reading.things if thing not in others] or [first]
    other = others[0].label
    return Moments(tuple(Rule(EventKind.PROXIMITY, thing.label, other, seconds=seconds) for thing in subjects))


def _back(reading: Reading) -> Moments | None:
    if reading.count is not None or not reading.take(w.BACK, "verb"):
        return None
    if not _named(reading):
        return _looking(None)
    if reading.zone is not None:
        return Moments(_each(reading, EventKind.ZONE_ENTER, reading.zone))
    return Moments(_each(reading, EventKind.FOUND, None) + _arrivals(reading))


def _gone(reading: Reading) -> Moments | None:
    if reading.count is not None:
        return None
    if reading.find(w.EVERYONE) and reading.find(w.GOING):
        reading.take(w.EVERYONE, "count")
        reading.take(w.GOING, "verb")
        return Moments((_none_of("person", reading),))
    if not reading.take(w.GOING, "verb"):
        return None
    if not _named(reading):
        return _looking(None)
    if reading.seconds is not None and reading.things and not _object(reading):
        return Moments(tuple(_none_of(thing.label if thing else None, reading) for thing in _alternatives(reading)))
    if reading.zone is not None:
        return Moments(_each(reading, EventKind.ZONE_LEAVE, reading.zone))
    if _object(reading):
        return _tick(reading)
    return Moments(_each(reading, EventKind.EXIT, None) + _each(reading, EventKind.LOST, None))


def _counted(reading: Reading) -> Moments | None:
    if reading.count is None:
        return None
    op, value = reading.count
    reading.take(w.COMING, "verb")
    reading.take(w.STAYING, "staying")
    if len(reading.things) > 1:
        return _looking(None)
    label, seconds = reading.label, reading.seconds or 0.0
    return Moments((Rule(EventKind.COUNT, label, region_id=reading.zone, seconds=seconds, op=op, value=value),))


def _stayed(reading: Reading) -> Moments | None:
    posture = reading.seconds is not None and reading.take(w.POSTURES, "staying") is not None
    loitering = reading.find(w.LOITERING) is not None
    reading.take(w.STAYING, "staying")
    if not _named(reading) or not (reading.seconds is not None or loitering):
        return None
    seconds = reading.seconds or LOITERING_S
    rules = tuple(
        Rule(EventKind.DWELL, thing.label if thing else None, region_id=reading.zone, seconds=seconds)
        for thing in _alternatives(reading)
    )
    return Moments(rules, unsure=posture, assumed_s=None if reading.seconds else LOITERING_S)


def _came(reading: Reading) -> Moments | None:
    came = reading.take(w.COMING, "verb") is not None
    if not _named(reading):
        return None
    if reading.zone is not None:
        return Moments(_each(reading, EventKind.ZONE_ENTER, reading.zone), unsure=_object(reading))
    if reading.line is not None or (came and _object(reading)) or (not came and len(reading.things) > 1):
        return _tick(reading)
    return Moments(_arrivals(reading))


def _none_of(label: str | None, reading: Reading) -> Rule:
    return Rule(EventKind.COUNT, label, None, reading.zone, reading.seconds or 0.0, "==", 0.0)


def _arrivals(reading: Reading) -> tuple[Rule, ...]:
    return tuple(
        Rule(kind, thing.label if thing else None)
        for thing in _alternatives(reading)
        for kind in (EventKind.ENTER, EventKind.APPEAR)
    )


def _each(reading: Reading, kind: EventKind, region_id: str | None) -> tuple[Rule, ...]:
    return tuple(Rule(kind, thing.label if thing else None, region_id=region_id) for thing in _alternatives(reading))


def _alternatives(reading: Reading) -> list[Thing | None]:
    """The kinds of object of which any will do, those before the verb; None is any object."""
    verb = reading.at("verb")
    before = [thing for thing in reading.things if verb is None or thing.at < verb]
    return [*(before or reading.things)] or [None]


def _both(reading: Reading) -> bool:
    """Whether two kinds must be there at once."""
    return len(_alternatives(reading)) > 1 and "and" in reading.words and "or" not in reading.words


def _named(reading: Reading) -> bool:
    return bool(reading.things) or bool(w.THINGS & set(reading.words))


def _object(reading: Reading) -> bool:
    """Whether something is named that the verb is done to."""
    return bool(_after(reading, "verb")) and len(reading.things) > 1


def _after(reading: Reading, role: str) -> list[Thing]:
    at = reading.at(role)
    return [] if at is None else [thing for thing in reading.things if thing.at > at]


def _word(found: re.Match[str]) -> int:
    return found.string[: found.start()].count(" ")
