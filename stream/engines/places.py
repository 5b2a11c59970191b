"""Places on a picture of a moment ago, found on the newest: what a user points at is what the user saw."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from stream.engines.flow import Flow, FlowHistory, Moment
from stream.engines.grid import U8, Grid
from stream.errors import FrameTooOld
from stream.types import CLOCK_HZ, BoxXyxyPx, Prompt

SKIPPED_TICKS = CLOCK_HZ // 8
"""A prompt may name a frame that was dropped before the engine; one this near stands in for it."""
SEARCH_PX = 14
PATCH_PX = 3


def moment_of(prompt: Prompt, history: FlowHistory) -> Moment | None:
    """The kept picture that the prompt names, None for the newest. Raises `FrameTooOld`."""
    if prompt.frame is None or history.newest is None:
        return None
    moment = history.at(prompt.frame) or history.nearest(prompt.frame, SKIPPED_TICKS)
    if moment is None:
        raise FrameTooOld("That picture is too far back to point at.")
    return None if moment is history.newest else moment


def carry_points(
    points: Iterable[tuple[float, float, bool]], moment: Moment, history: FlowHistory, grid: Grid
) -> tuple[tuple[float, float, bool], ...]:
    """Points of the mask grid on an older picture, where they are now; those that left the picture are dropped."""
    sx, sy = grid.mask_per_flow
    later = [(later.small, back) for later, back in history.moments_after(moment.step)]
    carried = []
    for x, y, positive in points:
        place: tuple[float, float] | None = (x / sx, y / sy)
        before = moment.small
        for small, back in later:
            place = _forward(place, before, small, back) if place is not None else None
            before = small
        if place is not None:
            carried.append((place[0] * sx, place[1] * sy, positive))
    return tuple(carried)


def carry_box(box: BoxXyxyPx, moment: Moment, history: FlowHistory, grid: Grid) -> BoxXyxyPx:
    """A box on an older picture, moved with what is in its middle."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    moved = carry_points([(x, y, True)], moment, history, grid)
    if not moved:
        return box
    dx, dy = moved[0][0] - x, moved[0][1] - y
    return box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy


def _forward(place: tuple[float, float], before: U8, now: U8, back: Flow) -> tuple[float, float] | None:
    """Where the thing at `place` of `before` is in `now`, on the flow grid; None outside.

    The flow says for each pixel of `now` where it came from. Of those that came from `place`, the one whose
    surroundings look most alike is taken: at an edge both object and uncovered background claim to come from there.
    """
    height, width = now.shape[:2]
    cx, cy = round(place[0]), round(place[1])
    x0, x1 = max(0, cx - SEARCH_PX), min(width, cx + SEARCH_PX + 1)
    y0, y1 = max(0, cy - SEARCH_PX), min(height, cy + SEARCH_PX + 1)
    if x1 <= x0 or y1 <= y0:
        return None
    window = back.within((x0, y0, x1, y1))
    ys, xs = np.mgrid[y0:y1, x0:x1].astype(np.float32)
    off = (xs + window[..., 0] - place[0]) ** 2 + (ys + window[..., 1] - place[1]) ** 2
    order = np.argsort(off.ravel())[:24]
    order = order[off.ravel()[order] < 6]
    if not len(order):
        return None
    template = _patch_at(before, place[0], place[1])
    best, least = None, float("inf")
    for index in order:
        x, y = float(xs.ravel()[index]), float(ys.ravel()[index])
        cost = float(cv2.absdiff(_patch_at(now, x, y), template).mean()) + 2 * float(off.ravel()[index])
        if cost < least:
            best, least = (x, y), cost
    if best is None or not (0 <= best[0] < width and 0 <= best[1] < height):
        return None
    ix, iy = int(best[0]) - x0, int(best[1]) - y0
    # sub-pixel: undo what remains between the chosen pixel's origin and the place itself
    return place[0] - float(window[iy, ix, 0]), place[1] - float(window[iy, ix, 1])


def _patch_at(image: U8, x: float, y: float) -> U8:
    return np.asarray(cv2.getRectSubPix(image, (2 * PATCH_PX + 1, 2 * PATCH_PX + 1), (x, y)), np.uint8)
