"""What a stream hides, and how. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from stream.errors import BadInput

MOST_CLASSES = 16
MOST_ZONES = 32
MOST_CORNERS = 64
MOST_CHARS = 80
HEAD = "head"

XY = tuple[float, float]


class Style(StrEnum):
    """`PIXELATE`: a few squares of mean colour; `BLUR`: the same, smoothed; `FILL`: grey, of which nothing can be
    guessed."""

    PIXELATE = "pixelate"
    BLUR = "blur"
    FILL = "fill"


@dataclass(frozen=True, slots=True)
class Zone:
    """A part of the picture, as corners in [0, 1]; `region_id` names the region that it follows, if any."""

    points: tuple[XY, ...]
    region_id: str | None = None


@dataclass(frozen=True, slots=True)
class Privacy:
    """`classes` are concepts as an engine understands them; `person: head` is the upper part of each person."""

    classes: tuple[str, ...] = ()
    zones: tuple[Zone, ...] = ()
    style: Style = Style.PIXELATE

    @property
    def words(self) -> str:
        """For people: what is hidden."""
        zones = len(self.zones)
        parts = [*self.classes, *([f"{zones} zone{'s' if zones > 1 else ''}"] if zones else [])]
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Target:
    """One class to look for, and whether only the upper part of what is found is hidden."""

    concept: str
    head: bool = False


def make_privacy(classes: Iterable[str], zones: Iterable[Zone], style: Style = Style.PIXELATE) -> Privacy | None:
    """Checked settings; None where nothing is to be hidden. Raises `BadInput`."""
    named = tuple(dict.fromkeys(" ".join(name.split()) for name in classes))
    kept = tuple(zones)
    if len(named) > MOST_CLASSES or len(kept) > MOST_ZONES:
        raise BadInput(f"At most {MOST_CLASSES} classes and {MOST_ZONES} zones can be hidden.", code="too_long")
    for name in named:
        if not name:
            raise BadInput("A class to hide has no name.", code="empty_text", action="Name it, such as person.")
        if len(name) > MOST_CHARS:
            raise BadInput(f"A class has at most {MOST_CHARS} characters.", code="too_long")
        target_of(name)
    for zone in kept:
        _check(zone.points)
    return Privacy(named, kept, style) if named or kept else None


def target_of(name: str) -> Target:
    """`person` → the whole person; `person: head` → the upper part. Raises `BadInput` for any other part."""
    concept, colon, part = (text.strip() for text in name.partition(":"))
    if not colon:
        return Target(concept)
    if part.casefold() != HEAD or not concept:
        raise BadInput(f"“{name}” cannot be hidden.", action="The only part is the head: person: head.")
    return Target(concept, head=True)


def _check(points: Sequence[XY]) -> None:
    if not 3 <= len(points) <= MOST_CORNERS:
        raise BadInput(f"A zone to hide has 3 to {MOST_CORNERS} corners.", action="Draw it again.")
    if not all(math.isfinite(v) and 0 <= v <= 1 for point in points for v in point):
        raise BadInput("A zone to hide lies outside the picture.", code="out_of_picture", action="Use 0 to 1.")
