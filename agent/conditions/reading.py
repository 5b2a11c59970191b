"""What is said in a condition: each word is accounted for by a role, or is one that no rule knows of."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from agent.conditions import words as w
from agent.labels import category, is_narrower
from agent.types import Region, RegionKind
from stream.engines.words import resolve
from stream.errors import UnknownWord


@dataclass(frozen=True, slots=True)
class Thing:
    """A kind of object that was named. `narrow`: the word means only some of what tracks call `label`."""

    label: str
    at: int
    narrow: bool = False


@dataclass(slots=True)
class Reading:
    """The words of a condition and their roles; None where nothing accounts for a word."""

    words: list[str]
    roles: list[str | None] = field(default_factory=list)
    things: list[Thing] = field(default_factory=list)
    regions: list[Region] = field(default_factory=list)
    seconds: float | None = None
    count: tuple[str, float] | None = None
    timed: bool = False
    heard: bool = False
    crowd: bool = False

    def __post_init__(self) -> None:
        self.roles = [None] * len(self.words)

    def take(self, pattern: str, role: str) -> re.Match[str] | None:
        """The first place where free words match; they have `role` then."""
        found = self.find(pattern)
        if found is not None:
            self._give(found, role)
        return found

    def find(self, pattern: str) -> re.Match[str] | None:
        """The first place where words match that have no role yet."""
        for found in re.finditer(rf"\b(?:{pattern})(?= |$)", " ".join(self.words)):
            if all(self.roles[i] is None for i in _span(found)):
                return found
        return None

    def at(self, role: str) -> int | None:
        """Where the first word of a role stands."""
        return self.roles.index(role) if role in self.roles else None

    @property
    def rest(self) -> list[int]:
        """Where the words stand that nothing accounts for."""
        return [i for i, role in enumerate(self.roles) if role is None]

    @property
    def zone(self) -> str | None:
        return next((region.id for region in self.regions if region.kind is RegionKind.ZONE), None)

    @property
    def line(self) -> str | None:
        return next((region.id for region in self.regions if region.kind is RegionKind.LINE), None)

    @property
    def label(self) -> str | None:
        return self.things[0].label if self.things else None

    @property
    def narrow(self) -> bool:
        return any(thing.narrow for thing in self.things)

    def _give(self, found: re.Match[str], role: str) -> None:
        for i in _span(found):
            self.roles[i] = role


def read(condition: str, regions: tuple[Region, ...]) -> Reading:
    """Understand regions, times, durations, counts and things. Verbs are left to the rules."""
    reading = Reading(_words(condition))
    for region in sorted(regions, key=lambda region: -len(region.name)):
        name = " ".join(_words(region.name))
        if name and reading.take(rf"{re.escape(name)}(?: (?:zone|line|area))?", "region"):
            reading.regions.append(region)
    reading.heard = reading.find(w.SOUNDS) is not None
    reading.seconds = _duration(reading)
    for pattern in w.TIMES:
        reading.timed |= reading.take(pattern, "time") is not None
    reading.crowd = reading.take(w.CROWD, "crowd") is not None
    _name_things(reading)
    reading.count = _count(reading)
    return reading


def fill(reading: Reading) -> None:
    """Account for the words that say nothing of their own."""
    for i in reading.rest:
        word, last = reading.words[i], i == len(reading.words) - 1
        if (word in w.FILLING and not (last and word in ("on", "in"))) or word in w.PEOPLE or word in w.THINGS:
            reading.roles[i] = "filling"


def _words(text: str) -> list[str]:
    plain = text.casefold().replace("’", "'")
    plain = re.sub(r"\b(can|won|ca|do|does|is|are|has|have|did|was|were)n?'t\b", r"\1 not", plain)
    plain = re.sub(r"'(?:s|re|ve|m)\b", "", plain).replace("'", "")
    plain = re.sub(r"(\d)(s|sec|min|m|h|am|pm)\b", r"\1 \2", plain)
    return re.findall(r"[^\W_]+(?:\.\d+)?", plain)


def _duration(reading: Reading) -> float | None:
    found = reading.take(w.DURATION, "duration")
    if found is None:
        return None
    return _number(found["n"]) * w.UNITS[found["unit"][0]]


def _number(text: str) -> float:
    return w.PARTS.get(text) or w.NUMBERS.get(text) or float(text)


def _name_things(reading: Reading) -> None:
    i = 0
    while i < len(reading.words):
        for length in (3, 2, 1):
            span = range(i, min(i + length, len(reading.words)))
            phrase = " ".join(reading.words[j] for j in span)
            free = len(span) == length and all(reading.roles[j] is None for j in span)
            label = _label(phrase) if free else None
            if label is not None:
                if label not in {thing.label for thing in reading.things}:
                    reading.things.append(Thing(label, i, is_narrower(phrase)))
                for j in span:
                    reading.roles[j] = "thing"
                i += length - 1
                break
        i += 1


def _label(phrase: str) -> str | None:
    if phrase in w.PEOPLE:
        return "person"
    if phrase in w.FILLING or phrase in w.NUMBERS or phrase in ("left", "light", "lights", "back", "orange"):
        return None
    group = category(phrase)
    if group is not None:
        return group
    try:
        concept = resolve(phrase)
    except UnknownWord:
        return None
    # A phrase is taken only as a whole: "red cup" is a word that is not known and a cup.
    return None if concept.ignored or len(concept.word.split()) < len(phrase.split()) else concept.label


def _count(reading: Reading) -> tuple[str, float] | None:
    """How many there must be, in words before the things that are counted."""
    if reading.take(w.NEGATIVE, "count") is not None:
        reading.things.insert(0, Thing("person", 0))
        return "==", 0.0
    first = reading.things[0].at if reading.things else 0
    none = reading.find("no(?! longer)")
    if none is not None and _span(none).start < first:
        reading.take("no", "count")
        return "==", 0.0
    found = reading.find(w.COUNT) if reading.things and not reading.find(w.RANGE) else None
    if found is None or _span(found).start > first:
        return None
    reading.take(w.COUNT, "count")
    if found["op"]:
        return w.OPS[found["op"]], _number(found["n"])
    value = _number(found["least"] or found["plain"])
    return (">=", value) if value != 1 or found["least"] else None


def _span(found: re.Match[str]) -> range:
    """The words that a match covers."""
    first = found.string[: found.start()].count(" ")
    return range(first, first + found[0].strip().count(" ") + 1)
