"""What the background work is asked and what it answers. `Sight` is implemented with SAM and with OpenCV alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from stream.engines.flow import Flow, FlowHistory
from stream.engines.grid import U8, Grid, Patch
from stream.engines.light.appearance import Look, Memory
from stream.engines.light.gate import Measures
from stream.types import BoxXyxyPx


@dataclass(frozen=True, slots=True)
class Found:
    """A detection on the mask grid, with its mask where the detector has one."""

    label: str
    score: float
    box: BoxXyxyPx
    patch: Patch | None = None


@dataclass(frozen=True, slots=True)
class View:
    """One picture and what was known on it. All coordinates are of the mask grid.

    `picture` `(h, w, 3)` uint8 BGR, of any size with the grid's aspect; `small` the same on the flow grid; `masks` the
    objects that were followed then.
    """

    step: int
    time_s: float
    grid: Grid
    picture: U8
    small: U8
    history: FlowHistory
    """The flows of its grid: what it shows is carried through these, also when the pictures get another size."""
    masks: Mapping[int, Patch] = field(default_factory=dict)
    shown: Mapping[int, Patch] = field(default_factory=dict)
    """The same after every pixel was given to one object, without those that the user removed."""
    flow: Flow | None = None
    """To the picture before, where there is one."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a user pointed at: points `(x, y, positive)`, a box or a mask, or several of them."""

    points: tuple[tuple[float, float, bool], ...] = ()
    box: BoxXyxyPx | None = None
    mask: Patch | None = None
    look_for_whole: bool = True
    """Whether a detected object around the points may be taken instead of the part that was clicked."""
    region: BoxXyxyPx | None = None
    """The square to look at where several boxes of one picture share a look; by default the surroundings of `box`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A first mask. `whole` and `part` are the boxes that the user may have meant, where a detected object contains the
    points; `label` is that object's name where it was taken."""

    patch: Patch
    look: Look
    quality: float
    label: str | None = None
    whole: BoxXyxyPx | None = None
    part: BoxXyxyPx | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """An object to refresh: its carried mask, what is remembered of its look and of its area, and the detector's box
    for it, if any. `whole` is the box that the whole object has now, for all that is known of its size and motion.

    `agreed` is how many looks saw more that moves along with the mask, none against it, None where no more is wanted;
    `limit` is the box that it may fill then.
    """

    id: int
    patch: Patch
    memory: Memory
    area: float = 0.0
    detected: BoxXyxyPx | None = None
    whole: BoxXyxyPx | None = None
    agreed: int | None = None
    limit: BoxXyxyPx | None = None


class More(Enum):
    """Whether an object is more than its mask, by what moves along with it."""

    NOTHING = "nothing else moves along"
    UNKNOWN = "something may, of which no mask was found"
    SEEN = "a mask of more that moves along was found"
    TAKEN = "the sighting's mask is that one: what was remembered of the object was of a part"


@dataclass(frozen=True, slots=True)
class Sighting:
    """A refreshed mask and how it compares."""

    patch: Patch
    look: Look
    measures: Measures
    more: More = More.NOTHING


@dataclass(frozen=True, slots=True)
class Wanted:
    """A lost object: `size` `(width, height)` and `area` of its mask, `expected` where its motion would have brought
    it, `reach` how far from there it may be by now, `refused` where it was not found lately."""

    id: int
    memory: Memory
    size: tuple[float, float]
    area: float
    expected: tuple[float, float]
    reach: float
    refused: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A mask where a lost object may be, measured against every one that is wanted."""

    patch: Patch
    look: Look
    measures: Mapping[int, Measures]


@dataclass(frozen=True, slots=True)
class Searched:
    """A search that looked at `place`, and what it saw there."""

    place: tuple[float, float]
    candidates: list[Candidate]


class Sight(Protocol):
    """Looks at pictures. Called on one thread at a time."""

    def detect(self, view: View, labels: frozenset[str]) -> list[Found]:
        """The things of these classes."""
        ...

    def first(self, view: View, ask: Ask) -> Answer | None:
        """The thing that was pointed at; None where nothing can be told apart there."""
        ...

    def glance(self, view: View, ask: Ask) -> Answer | None:
        """A first idea of what was pointed at, to be shown until `first` is done; None where that takes no longer, or
        nothing can be told apart there."""
        ...

    def refresh(self, view: View, targets: Sequence[Target], pad: float) -> dict[int, Sighting]:
        """New masks of the targets, all of them in one crop around the first; those that vanished are left out."""
        ...

    def search(self, view: View, wanted: Sequence[Wanted]) -> Searched | None:
        """Look where the first of the lost objects may be, and compare what is there with all of them; None where no
        place is worth a look."""
        ...
