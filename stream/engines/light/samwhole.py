"""The whole of an object out of a part of it: what moves along with the part, and otherwise than the background.

Nothing is taken for granted that motion does not show: of what stands still like the background no more is known than
before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from stream.engines.grid import F32, ON, U8, Patch
from stream.engines.light.motion import moves_along, off_motion, strays
from stream.engines.light.samcrops import LEAST_PIXELS, Seen
from stream.engines.light.samprompts import Prompted, inner_points, low_box, share_of
from stream.engines.light.sight import Target, View
from stream.engines.light.tuning import Tuning
from stream.types import BoxXyxyPx

EDGE_REACH = 7
"""Pixels of a crop's mask grid over which flow trails at a mask's edge and says nothing."""


@dataclass(frozen=True, slots=True)
class Company:
    """0/1 on a crop's mask grid: what does not move as the target does, and what moves along with it alone."""

    strays: U8
    along: U8

    @staticmethod
    def none(shape: tuple[int, ...]) -> Company:
        return Company(np.zeros(shape[:2], np.uint8), np.zeros(shape[:2], np.uint8))


def company(view: View, seen: Seen, target: Target, apart: F32 | None) -> Company:
    """How the picture moves in the crop `seen` against the target's carried mask. `apart` `(h, w)` float32: how far
    the flow is off the background's, on the flow grid, where there is one."""
    grid = view.grid
    if view.flow is None:
        return Company.none(seen.image.shape)
    x0, y0, x1, y1 = window = seen.crop.flow_window(grid)
    before = (target.patch.small(grid)[y0:y1, x0:x1] >= ON).astype(np.uint8)
    on = np.asarray(cv2.erode(before, np.ones((3, 3), np.uint8), borderValue=0), np.uint8)
    off = off_motion(on, grid.flow_xy()[y0:y1, x0:x1], view.flow.within(window))
    if off is None:
        return Company.none(seen.image.shape)
    along = np.zeros(off.shape, np.uint8) if apart is None else moves_along(off, apart[y0:y1, x0:x1])
    return Company(_in_crop(view, seen, window, strays(off)), _in_crop(view, seen, window, along))


def _in_crop(view: View, seen: Seen, window: tuple[int, int, int, int], values: U8) -> U8:
    """`values`, 0 or 255, of a window of the flow grid as 0/1 on the crop's mask grid."""
    sx, sy = view.grid.mask_per_flow
    x0, y0, x1, y1 = window
    left, top, right, bottom = round(x0 * sx), round(y0 * sy), round(x1 * sx), round(y1 * sy)
    spread = np.asarray(cv2.resize(values, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR), np.uint8)
    return (seen.crop.mask_in(Patch(left, top, spread)) >= ON).astype(np.uint8)


def moves_beside(part: U8, others: U8, together: Company, tuning: Tuning) -> U8 | None:
    """What moves along with the mask `part` beyond its edge and is no other object's, all `(n, n)` 0/1 of one crop;
    None where that is too little to say anything."""
    apart = 1 - np.asarray(cv2.dilate(part | others, np.ones((EDGE_REACH, EDGE_REACH), np.uint8)), np.uint8)
    beside = together.along & apart
    size = float(part.sum())
    return beside if size >= LEAST_PIXELS and float(beside.sum()) >= tuning.more_least * size else None


def prompts_for_more(prompted: Prompted, beside: U8) -> Iterator[tuple[Prompted, bool]]:
    """How to ask SAM for the whole, and whether with the box: by the points of the part alone, which its box would hold
    back, by one more point where something moves along, and by the box around both."""
    yield prompted, False
    further = inner_points(beside * np.uint8(255), 1)
    points, labels = [*further, *prompted.points], [*[1] * len(further), *prompted.labels]
    (ax, ay, ax1, ay1), (bx, by, bx1, by1) = prompted.box, low_box(beside)
    both = Prompted(points, labels, (min(ax, bx), min(ay, by), max(ax1, bx1), max(ay1, by1)))
    yield both, False
    yield both, True


def largest_whole(
    offers: Iterable[tuple[F32, float]], part: U8, most: float, others: U8, together: Company,
    limit: BoxXyxyPx | None, tuning: Tuning,
) -> tuple[F32, float] | None:  # fmt: skip
    """The largest mask on offer that has the mask `part` in it and more that moves along; None where there is none.

    `offers`: logits `(n, n)` with SAM's estimate of their quality; `part` and `others` (what is shown of other objects)
    `(n, n)` 0/1; `most` the largest area and `limit` the box that it may have. All of one crop.
    """
    best: tuple[F32, float] | None = None
    largest = (1 + tuning.more_least) * float(part.sum())
    for logits, quality in offers:
        on = (logits > 0).astype(np.uint8)
        if quality < tuning.more_quality or not largest < on.sum() < most:
            continue
        if _is_more(on, part, others, together, tuning) and (limit is None or _within(low_box(on), limit)):
            best, largest = (logits, quality), float(on.sum())
    return best


def _is_more(on: U8, part: U8, others: U8, together: Company, tuning: Tuning) -> bool:
    """Whether a mask has most of a part in it, and what it adds moves along and is no other object's."""
    added = on & (1 - part)
    return (
        float((on & part).sum()) > tuning.whole_contains * float(part.sum())
        and share_of(added, together.along) > tuning.more_along
        and share_of(added, others) < tuning.learn_intrusion
    )


def _within(box: BoxXyxyPx, limit: BoxXyxyPx) -> bool:
    return box[0] >= limit[0] and box[1] >= limit[1] and box[2] <= limit[2] and box[3] <= limit[3]
