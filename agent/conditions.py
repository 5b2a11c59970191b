"""Watches in words, compiled to cheap rules; what the rules do not say is left to the model.

“Tell me when someone leaves a bag” is an object of a kind that was near a person and is now alone: the rule proposes
at the moment when they part, and the model decides from the pictures whether that is what was meant.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass

from agent.labels import category, class_of
from agent.types import EventKind, Region, RegionKind, Rule
from stream.engines.light.words import resolve
from stream.errors import UnknownWord

LOITERING_S = 30.0
TICK_S = 10.0
"""How often the model looks where no rule can propose."""

_COMING = "come comes coming came enter enters entering arrive arrives arriving appear appears shows walks in"
_GOING = "leave leaves leaving left go goes going gone exit exits disappear disappears vanishes out"
_STAYING = "stay stays staying wait waits waiting stand stands standing loiter loiters loitering sit sits dwell remains"
_NEARING = "touch touches near approach approaches meet meets take takes pick picks grab grabs next close"
_PEOPLE = frozenset({"someone", "somebody", "anyone", "anybody", "nobody", "noone", "person", "people"})
_THINGS = frozenset(["something", "anything", "object", "thing"])
_FILLING = frozenset(
    re.findall(
        r"\w+",
        "tell me when if as soon alert notify warn let know a an the is are there any one of to at on in into by it "
        "that this please up off from room picture frame scene view sight camera again he she they",
    )
)
_NUMBERS = {
    w: i for i, w in enumerate(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"])
}
_UNITS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("min", "minute", "minutes"), 60),
    **dict.fromkeys(("hour", "hours"), 3600),
}


@dataclass(frozen=True, slots=True)
class Compiled:
    rules: tuple[Rule, ...]
    verify: str | None
    note: str | None = None


@dataclass(slots=True)
class _Reading:
    """What has been understood of a condition. `rest` are words that no rule accounts for."""

    words: list[str]
    labels: list[str]
    regions: list[Region]
    seconds: float | None
    count: tuple[str, float] | None
    rest: set[str]

    @property
    def label(self) -> str | None:
        return self.labels[0] if self.labels else None

    @property
    def zone(self) -> str | None:
        return next((region.id for region in self.regions if region.kind is RegionKind.ZONE), None)

    def says(self, words: str) -> bool:
        """Whether one of `words` was said; it is accounted for then."""
        found = set(words.split()) & set(self.words)
        self.rest -= found
        return bool(found)


def compile_condition(condition: str, regions: Iterable[Region] = ()) -> Compiled:
    """The rules that propose, and the question that decides where they do not say it all."""
    reading = _read(condition, tuple(regions))
    rules = _rules(reading)
    if not rules:
        note = "No rule fits this, so the model looks every 10 seconds."
        return Compiled((Rule(EventKind.TICK, seconds=TICK_S),), condition, note)
    if reading.rest:
        return Compiled(rules, condition)
    return Compiled(rules, None)


def _rules(reading: _Reading) -> tuple[Rule, ...]:
    for read in (_of_count, _of_line, _of_parting, _of_stay, _of_meeting, _of_zone, _of_coming_and_going):
        rules = read(reading)
        if rules:
            return rules
    # The model must decide it all: it looks while such an object is there.
    return (Rule(EventKind.DWELL, reading.label, seconds=TICK_S),) if reading.label is not None else ()


def _of_count(reading: _Reading) -> tuple[Rule, ...]:
    if reading.count is None:
        return ()
    op, value = reading.count
    seconds = reading.seconds or 0.0
    return (Rule(EventKind.COUNT, reading.label, region_id=reading.zone, seconds=seconds, op=op, value=value),)


def _of_line(reading: _Reading) -> tuple[Rule, ...]:
    line = next((region.id for region in reading.regions if region.kind is RegionKind.LINE), None)
    if line is None or not reading.says("cross crosses crossing pass passes over"):
        return ()
    return (Rule(EventKind.LINE, reading.label, region_id=line),)


def _of_parting(reading: _Reading) -> tuple[Rule, ...]:
    """A thing that its person goes away from."""
    things = [label for label in reading.labels if class_of(label) != "person"]
    alone = reading.says("unattended abandoned behind alone")
    if not things or not (alone or "person" in reading.labels):
        return ()
    if not (reading.says("leave leaves left leaving drops forgets forget") or alone):
        return ()
    return (Rule(EventKind.APART, things[0], near_label="person"),)


def _of_stay(reading: _Reading) -> tuple[Rule, ...]:
    if reading.seconds is None and not reading.says("loiter loiters loitering"):
        return ()
    reading.says(_STAYING)
    seconds = reading.seconds or LOITERING_S
    return (Rule(EventKind.DWELL, reading.label, region_id=reading.zone, seconds=seconds),)


def _of_meeting(reading: _Reading) -> tuple[Rule, ...]:
    if len(reading.labels) < 2 or not reading.says(_NEARING):
        return ()
    return (Rule(EventKind.PROXIMITY, reading.labels[0], near_label=reading.labels[1]),)


def _of_zone(reading: _Reading) -> tuple[Rule, ...]:
    if reading.zone is None:
        return ()
    going = reading.says(_GOING)
    reading.says(_COMING)
    return (Rule(EventKind.ZONE_LEAVE if going else EventKind.ZONE_ENTER, reading.label, region_id=reading.zone),)


def _of_coming_and_going(reading: _Reading) -> tuple[Rule, ...]:
    label = reading.label
    if label is None and not _THINGS & set(reading.words):
        return ()
    if reading.says("back returns return"):
        reading.says(_COMING)
        return (Rule(EventKind.FOUND, label),)
    if reading.says(_COMING) or not reading.rest:
        return (Rule(EventKind.ENTER, label), Rule(EventKind.APPEAR, label))
    if reading.says(_GOING):
        return (Rule(EventKind.EXIT, label), Rule(EventKind.LOST, label))
    return ()


def _read(condition: str, regions: tuple[Region, ...]) -> _Reading:
    words = re.findall(r"[a-z0-9]+(?:\.[0-9]+)?", condition.casefold().replace("’", "'").replace("'s", ""))
    rest = set(words) - _FILLING - _PEOPLE - _THINGS
    named = [region for region in regions if set(region.name.casefold().split()) <= set(words)]
    for region in named:
        rest -= {*region.name.casefold().split(), "zone", "line", "area"}
    seconds, count = _duration(words, rest), _count(words, rest)
    labels: list[str] = []
    for i, word in enumerate(words):
        label = _label(" ".join(words[i : i + 2])) or _label(word)
        if label is not None and label not in labels and not any(word in r.name.casefold().split() for r in named):
            labels.append(label)
            rest -= {word, *label.split()}
    return _Reading(words, labels, named, seconds, count, rest)


def _label(word: str) -> str | None:
    if word in _PEOPLE:
        return "person"
    group = category(word)
    if group is not None:
        return group
    if word in _FILLING or word in _NUMBERS or word in _UNITS:
        return None
    try:
        concept = resolve(word)
    except UnknownWord:
        return None
    return None if concept.ignored else concept.label


def _duration(words: list[str], rest: set[str]) -> float | None:
    for before, unit in itertools.pairwise(words):
        number = _number(before)
        if number is not None and unit in _UNITS:
            rest -= {before, unit, "for", "longer", "more", "than", "over"}
            return number * _UNITS[unit]
    return None


def _count(words: list[str], rest: set[str]) -> tuple[str, float] | None:
    text = " ".join(words)
    found = re.search(r"\b(more than|over|at least|fewer than|less than|exactly) (\w+)(?! (?:s|sec|min|hour))", text)
    if found is None or (number := _number(found[2])) is None:
        if re.search(r"\b(nobody|no one|noone)\b", text):
            rest -= {"nobody", "noone", "no", "one"}
            return "==", 0
        return None
    if words[words.index(found[2]) + 1 : words.index(found[2]) + 2] and words[words.index(found[2]) + 1] in _UNITS:
        return None
    rest -= set(found[0].split())
    ops = {"more than": ">", "over": ">", "at least": ">=", "fewer than": "<", "less than": "<", "exactly": "=="}
    return ops[found[1]], number


def _number(word: str) -> float | None:
    if word in _NUMBERS:
        return float(_NUMBERS[word])
    return float(word) if re.fullmatch(r"\d+(?:\.\d+)?", word) else None
