"""What the detector saw, matched with what is followed: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from stream.engines.assignment import assign
from stream.engines.grid import Patch, box_iou
from stream.engines.light.sight import Found
from stream.engines.light.tuning import Tuning
from stream.types import BoxXyxyPx

DUPLICATE_INSIDE = 0.8


@dataclass(frozen=True, slots=True)
class Known:
    """A followed object on the detector's picture."""

    id: int
    label: str
    from_text: bool
    box: BoxXyxyPx
    expected: BoxXyxyPx | None = None
    """Where the detector's earlier boxes lead one to expect the next: masks of two that cross may be mixed up."""


@dataclass(frozen=True, slots=True)
class Intake:
    """`matched`: object id → detection; `new`: detections of nothing that is followed, best first."""

    matched: dict[int, Found]
    new: list[Found]


def match(found: Sequence[Found], known: Sequence[Known], waiting: Sequence[BoxXyxyPx], tuning: Tuning) -> Intake:
    """Match detections with objects of the same label, or with ones that were pointed at where they agree well.

    `waiting`: boxes of new things that are being looked at already.
    """
    scores = np.full((len(known), len(found)), -np.inf)
    for i, thing in enumerate(known):
        least = tuning.match_iou if thing.from_text else tuning.match_pointed_iou
        for j, seen in enumerate(found):
            overlap = box_iou(thing.box, seen.box)
            foretold = overlap if thing.expected is None else box_iou(thing.expected, seen.box)
            if max(overlap, foretold) >= least and (thing.label == seen.label or not thing.from_text):
                scores[i, j] = (overlap + foretold) / 2
    pairs = assign(scores, 0.0)
    matched = {known[i].id: found[j] for i, j in pairs}
    taken = {j for _, j in pairs}
    new = []
    for j, seen in enumerate(found):
        if j in taken or seen.score < tuning.start_least:
            continue
        same = [thing.box for thing in known if thing.label == seen.label]
        if any(_duplicate(seen.box, box) for box in same) or any(
            box_iou(seen.box, b) > tuning.match_iou for b in waiting
        ):
            continue
        new.append(seen)
    return Intake(matched, sorted(new, key=lambda f: -f.score))


def doubled(matched: Mapping[int, Found], known: Sequence[Known]) -> set[int]:
    """Ids of text tracks without a detection of their own that lie on one that another track has."""
    out = set()
    for thing in known:
        if thing.id in matched or not thing.from_text:
            continue
        rivals = [f.box for i, f in matched.items() if f.label == thing.label]
        if any(_inside(thing.box, box) > DUPLICATE_INSIDE or box_iou(thing.box, box) > 0.5 for box in rivals):
            out.add(thing.id)
    return out


def trimmed(patch: Patch, box: BoxXyxyPx | None, slack: float) -> Patch:
    """The part of a mask that lies in the detector's box, if it has one, widened by `slack` of its longer side: what
    reaches beyond is a leak."""
    if box is None:
        return patch
    margin = slack * max(box[2] - box[0], box[3] - box[1])
    rows, columns = patch.data.shape
    x0, y0 = (max(0, int(v - margin) - corner) for v, corner in ((box[0], patch.x0), (box[1], patch.y0)))
    x1, y1 = int(box[2] + margin) + 1 - patch.x0, int(box[3] + margin) + 1 - patch.y0
    if x0 <= 0 and y0 <= 0 and x1 >= columns and y1 >= rows:
        return patch
    data = np.zeros_like(patch.data)
    x1, y1 = max(x0, x1), max(y0, y1)
    data[y0:y1, x0:x1] = patch.data[y0:y1, x0:x1]
    return Patch(patch.x0, patch.y0, data)


def _duplicate(box: BoxXyxyPx, other: BoxXyxyPx) -> bool:
    """Whether a detection is the same thing as another box, or lies inside of it."""
    return box_iou(box, other) > 0.5 or _inside(box, other) > DUPLICATE_INSIDE


def _inside(box: BoxXyxyPx, other: BoxXyxyPx) -> float:
    """The share of a box that lies in another."""
    width = max(0.0, min(box[2], other[2]) - max(box[0], other[0]))
    height = max(0.0, min(box[3], other[3]) - max(box[1], other[1]))
    return width * height / max((box[2] - box[0]) * (box[3] - box[1]), 1e-6)
