"""The words that answers are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from agent import geometry
from agent.facts_answer import times
from agent.facts_answer.knowledge import region_of
from agent.facts_answer.meaning import Place, Relation, Subject
from agent.scene import Scene, SceneObject
from agent.types import XY
from stream.engines.vocabulary import IRREGULAR_PLURALS

_PLURALS = {single: many for many, single in IRREGULAR_PLURALS.items() if many not in ("busses", "feet", "teeth")}
_UNCOUNTED = frozenset({"luggage", "furniture", "food", "fruit", "cutlery", "electronics", "sheep", "skis", "scissors"})
_PLACES = {
    "left": "on the left", "right": "on the right", "middle": "in the middle", "top middle": "at the top",
    "bottom middle": "at the bottom",
}  # fmt: skip
MOST_LISTED = 12
MOST_TOLD = 8
"""Nobody reads more."""
_EDGES = ("on the left", "at the top", "on the right", "at the bottom")
_RELATIONS = {
    Relation.AT: "near", Relation.NEAR: "near", Relation.OTHER_THAN: "other than",
    Relation.LEFT_OF: "left of", Relation.RIGHT_OF: "right of", Relation.ABOVE: "above",
    Relation.BELOW: "below", Relation.TOWARDS: "to",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wording:
    """How one answer speaks of times and of the scene's regions."""

    scene: Scene
    now: datetime
    zone: tzinfo | None

    def at(self, when: datetime) -> str:
        """`"at 10:00:05 (15 s ago)"`."""
        return f"at {times.clock(when, self.zone)} ({times.duration(self.now - when)} ago)"

    def clock(self, when: datetime) -> str:
        return times.clock(when, self.zone)

    def since(self, when: datetime) -> str:
        """`"since 10:00:05, for 15 s"`."""
        return f"since {times.clock(when, self.zone)}, for {times.duration(self.now - when)}"

    def long(self, since: datetime, until: datetime | None = None) -> str:
        """`"for 15 s (since 10:00:05)"`, or from when to when."""
        if until is None:
            return f"for {times.duration(self.now - since)} (since {self.clock(since)})"
        return f"for {times.duration(until - since)} (from {self.clock(since)} to {self.clock(until)})"

    def place(self, place: Place | None) -> str:
        """`" at the desk"`, `" on the left"`, `" near red cup [#1]"`, or nothing."""
        if place is None:
            return ""
        said = ""
        region = region_of(place, self.scene)
        if region is not None:
            near = "at" if place.relation is Relation.AT else _RELATIONS[place.relation]
            said += f" {near} the {region.name.removeprefix('the ')}"
        if place.subject is not None:
            said += " in sight" if place.relation is Relation.OTHER_THAN else ""
            said += f" {_RELATIONS[place.relation]} {self.reference(place.subject)}"
        if place.sides and place.relation is Relation.TOWARDS:
            said += f" to the {' '.join(place.sides)}"
        elif place.sides:
            said += " " + where(" ".join(place.sides))
        return said

    def reference(self, subject: Subject) -> str:
        if subject.ids:
            known = [self.scene.get(i) for i in subject.ids]
            return listing([name(thing) for thing in known if thing is not None])
        return "the " + (subject.words[0] if subject.words else "one")


def name(thing: SceneObject) -> str:
    """`"red cup [#1]"`."""
    return f"{thing.label} [#{thing.id}]"


def names(things: Iterable[SceneObject]) -> str:
    return listing([name(thing) for thing in things])


def numbers(things: Iterable[SceneObject]) -> str:
    """`"[#3], [#4] and [#7]"`."""
    return listing([f"[#{thing.id}]" for thing in things])


def listing(items: Sequence[str]) -> str:
    """`"a, b and c"`, or the first of many `"and 20 more"`."""
    if len(items) < 2:
        return "".join(items)
    if len(items) > MOST_LISTED:
        return f"{', '.join(items[:MOST_LISTED])} and {len(items) - MOST_LISTED} more"
    return f"{', '.join(items[:-1])} and {items[-1]}"


def told(parts: Iterable[str]) -> str:
    """`"a; b; c"`, or the first of many `"; and 20 more"`."""
    items = list(parts)
    more = len(items) - MOST_TOLD
    return "; ".join(items[:MOST_TOLD]) + (f"; and {more} more" if more > 0 else "")


def latest(parts: Sequence[str]) -> str:
    """The same of what happened, oldest first; of many the newest."""
    more = len(parts) - MOST_TOLD
    return "; ".join(parts[-MOST_TOLD:]) + (f"; and {more} more before" if more > 0 else "")


def grouped(things: Sequence[SceneObject]) -> str:
    """`"2 people [#3] and [#4], and a dog [#5]"`: by label, in the order of ids."""
    by_label: dict[str, list[SceneObject]] = {}
    for thing in things:
        by_label.setdefault(thing.label, []).append(thing)
    parts = []
    for label, group in by_label.items():
        parts.append(
            f"{article(label)} [#{group[0].id}]"
            if len(group) == 1
            else f"{counted(label, len(group))} {numbers(group)}"
        )
    return ", ".join(parts[:-1]) + f", and {parts[-1]}" if len(parts) > 2 else listing(parts)


def article(label: str) -> str:
    return f"an {label}" if label[:1].casefold() in "aeiou" else f"a {label}"


def plural(label: str) -> str:
    """`"people"`, `"red cups"`."""
    head, _, last = label.rpartition(" ")
    if last in _UNCOUNTED:
        many = last
    elif last in ("person", "object", "thing"):
        many = {"person": "people"}.get(last, f"{last}s")
    elif last in _PLURALS:
        many = _PLURALS[last]
    elif last.endswith(("s", "x", "ch", "sh")):
        many = f"{last}es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        many = f"{last[:-1]}ies"
    else:
        many = f"{last}s"
    return f"{head} {many}".strip()


def counted(label: str, number: int) -> str:
    """`"1 person"`, `"3 people"`, `"no cats"`."""
    return f"{number or 'no'} {label if number == 1 else plural(label)}"


def word_for(subject: Subject) -> str:
    """What the objects that are meant are called, in the singular."""
    noun = subject.words[0] if subject.words else "object"
    return " ".join((*subject.qualities, noun))


def where(words: str) -> str:
    """`"bottom left"` → `"in the bottom left"`."""
    return _PLACES.get(words, f"in the {words}" if " " in words else f"at the {words}")


def where_is(thing: SceneObject) -> str:
    return where(thing.where)


def where_at(point: XY) -> str:
    return where(geometry.place_words(point))


def edge(number: int) -> str:
    """`"on the left"`: over which edge of the picture."""
    return _EDGES[number]


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def be(number: int) -> str:
    return "is" if number == 1 else "are"
