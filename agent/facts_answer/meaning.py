"""What a question asks, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto


class Ask(Enum):
    """What is wanted."""

    HOW_MANY = auto()
    PEAK = auto()
    """The highest number at any time."""
    HOW_OFTEN = auto()
    WHICH = auto()
    """Which objects: who, which, what is there."""
    WHETHER = auto()
    WHERE = auto()
    ORIGIN = auto()
    """Where from."""
    DIRECTION = auto()
    WHEN = auto()
    SINCE_WHEN = auto()
    HOW_LONG = auto()
    HOW_LONG_AGO = auto()
    HAPPENED = auto()
    ABOUT = auto()
    """All that is known of the objects."""
    COMPARE = auto()
    """Whether there are more of the one than of the other."""


class Deed(Enum):
    """What the objects are said to be or do."""

    BE = auto()
    ENTER = auto()
    LEAVE = auto()
    RETURN = auto()
    VANISH = auto()
    """To be out of sight, wherever."""
    MOVE = auto()
    REST = auto()
    CROSS = auto()
    MEET = auto()
    STAY_BEHIND = auto()
    OWN = auto()
    CARRY = auto()
    BRING = auto()
    """To have carried it in."""
    TAKE = auto()
    """To have carried it from where it was."""
    HAVE = auto()
    """To be carrying it, as far as that is to be seen."""
    PUT = auto()
    """To have carried it to where it stayed."""
    BEFORE = auto()
    """To have been there before the present stay."""


class Most(Enum):
    """The one of several that is meant."""

    FASTEST = auto()
    SLOWEST = auto()
    BIGGEST = auto()
    SMALLEST = auto()
    NEAREST = auto()
    FARTHEST = auto()
    LONGEST = auto()
    """In sight for the longest time."""
    SHORTEST = auto()
    FIRST = auto()
    LAST = auto()
    LEFTMOST = auto()
    RIGHTMOST = auto()
    TOPMOST = auto()
    LOWEST = auto()


class Relation(Enum):
    AT = auto()
    """In a zone, or near a line or an object."""
    NEAR = auto()
    OTHER_THAN = auto()
    LEFT_OF = auto()
    RIGHT_OF = auto()
    TOWARDS = auto()
    """Moving to that side."""
    ABOVE = auto()
    BELOW = auto()


@dataclass(frozen=True, slots=True)
class Subject:
    """Which objects are meant: by id, or by words, or by what was spoken of before; all of them where nothing is said.

    `words` are names that any of the objects may have; `qualities` words that must be part of the label.
    """

    ids: tuple[int, ...] = ()
    words: tuple[str, ...] = ()
    qualities: tuple[str, ...] = ()
    pronoun: bool = False
    generic: bool = False
    """Only “one”, “things”, “anything” was said."""
    other: bool = False
    every: bool = False
    """All of them together, not any of them."""
    ordinal: int | None = None
    """The first, second, … that came, counted from 1; -1 the last."""
    narrower: str | None = None
    """A word that means less than what tracks tell apart, such as “man”."""
    none: bool = False
    """“Nobody”, “no cups”."""
    plural: bool = False
    some: bool = False
    """“Anybody”, “any cups”: whether there are, not which."""
    clause: Meaning | None = None
    """What those are said to have done that are meant: “the one who left”."""
    unclear: bool = False
    """Whether its words do not say which of several are meant."""

    @property
    def named(self) -> bool:
        return bool(self.ids or self.words or self.qualities or self.clause)


@dataclass(frozen=True, slots=True)
class Place:
    """Relative to a region or to another object, or a part of the picture (`side`: left, right, top, bottom, middle;
    two of them for a corner)."""

    relation: Relation = Relation.AT
    region_id: str | None = None
    subject: Subject | None = None
    sides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """The time that is asked about; None is open. `instant` where one moment is meant."""

    since: datetime | None = None
    until: datetime | None = None
    instant: bool = False
    ever: bool = False
    """All the time so far, said so."""
    now: bool = False
    through: str = ""
    """`"all"` for all the time without a break, `"start"` for from the beginning on, `"outset"` for then alone."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """A question that is understood. `unknown` are words in it that are not, and `beyond` says why it cannot be
    answered at all: then nothing else counts."""

    ask: Ask | None = None
    deed: Deed | None = None
    subject: Subject = field(default_factory=Subject)
    second: Subject | None = None
    """The other objects: what was left, who was met, what the number is compared with."""
    place: Place | None = None
    window: Window = field(default_factory=Window)
    most: Most | None = None
    past: bool = False
    done: bool = False
    """Said to be over: “was”, not “has been”."""
    negated: bool = False
    limit: tuple[str, int] | None = None
    """A number that is asked about, and how it is compared: `">="` for “at least”."""
    lasting: tuple[str, float] | None = None
    """How long it is said to last, in seconds, and how that is compared."""
    again: bool = False
    """Only “who” or “which one” was said: of what was asked before."""
    event: bool = False
    """“That it happened” was said, not what."""
    shaped: bool = True
    """Whether all words together are a question, or part of one."""
    respelt: tuple[tuple[str, str], ...] = ()
    """Words that were taken for others."""
    unknown: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()

    @property
    def understood(self) -> bool:
        return self.ask is not None and self.shaped and not self.unknown and not self.beyond
