"""Where a lost object may be: peaks of its colours in the picture, above all where something moves by itself."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from stream.engines.grid import F32
from stream.engines.light.appearance import colour_bins, histogram
from stream.engines.light.crops import Crop
from stream.engines.light.motion import by_itself, off_background
from stream.engines.light.sight import View, Wanted
from stream.engines.light.tuning import Tuning
from stream.types import BoxXyxyPx

BODY_SCALES = (0.75, 1.1)
PEAKS_A_SCALE = 2
COLOUR_FLOOR = 0.3
AROUND_FOLLOWED = np.ones((7, 7), np.uint8)
"""Flow beside a followed object is dragged along with it."""
FOLLOWED = 100
MOVING = 0.5
BODY_RATIO = 1.6
"""What moves has about the object's size where its sides differ by no more than this factor."""
REFUSED_REACH = 0.75
"""How far around it a refusal holds, in sizes of the object: a look takes in all of that."""


class Peak(NamedTuple):
    """`strength`, and the place on the mask grid."""

    strength: float
    x: float
    y: float


class Hunt(NamedTuple):
    """Where to look for a lost object: the likeliest place with its crop, and on the flow grid `(h, w)` float32 0..1
    `chance` and `moving`, what moves by itself and is not followed. `body` is the box of what moves at that place where
    that has about the object's size, else a box of that size."""

    place: Peak
    crop: Crop
    chance: F32
    moving: F32
    body: BoxXyxyPx


def colour_map(view: View, wanted: Wanted) -> F32:
    """`(512,)` float32: how much each colour speaks for the object in this picture."""
    everywhere = histogram(view.small)
    own = wanted.memory.first + wanted.memory.recent
    odds: F32 = own / (own + 2 * everywhere + np.float32(1e-5))
    return odds


def chance_map(view: View, wanted: Wanted, moving: F32, tuning: Tuning) -> F32:
    """`(h, w)` float32 on the flow grid: how much speaks for the lost object being there.

    Its colours, not followed already, near the expected place. What stands still like the background counts for less,
    and for nothing where it was looked at shortly before: it will look no better now.
    """
    odds = colour_map(view, wanted)
    chance = np.maximum(0, odds[colour_bins(view.small)] - np.float32(COLOUR_FLOOR)).astype(np.float32)
    sx, sy = view.grid.mask_per_flow
    still = np.full(chance.shape, tuning.still_share, np.float32)
    width, height = REFUSED_REACH * wanted.size[0], REFUSED_REACH * wanted.size[1]
    for x, y in wanted.refused:
        corners = (int((x - width) / sx), int((y - height) / sy)), (int((x + width) / sx), int((y + height) / sy))
        cv2.rectangle(still, *corners, 0.0, -1)
    chance *= np.maximum(moving, still)
    for patch in view.masks.values():
        chance[patch.small(view.grid) > FOLLOWED] = 0
    across = np.arange(chance.shape[1], dtype=np.float32) - wanted.expected[0] / sx
    down = np.arange(chance.shape[0], dtype=np.float32)[:, None] - wanted.expected[1] / sy
    reach = max(1.0, wanted.reach / sx)
    near: F32 = np.exp(-(across * across + down * down) / (2 * reach * reach)).astype(np.float32)
    return np.asarray(chance * near, np.float32)


def moving_map(view: View) -> F32:
    """`(h, w)` float32 0..1 on the flow grid: what moves by itself and is not followed."""
    apart = None if view.flow is None else off_background(view.grid.flow_xy(), view.flow.whole())
    if apart is None:
        return np.zeros(view.small.shape[:2], np.float32)
    moving = by_itself(apart)
    for patch in view.masks.values():
        moving[cv2.dilate(patch.small(view.grid), AROUND_FOLLOWED) > FOLLOWED] = 0
    return moving


def peaks(chance: F32, view: View, wanted: Wanted, least: float) -> list[Peak]:
    """Places where the chances are good over about the object's size, best first.

    A box of the object's size minus half the ring around it, so that large areas of one colour do not win.
    """
    sx, sy = view.grid.mask_per_flow
    found: list[Peak] = []
    for scale in BODY_SCALES:
        w = max(3, int(wanted.size[0] / sx * scale)) | 1
        h = max(3, int(wanted.size[1] / sy * scale)) | 1
        body = cv2.boxFilter(chance, -1, (w, h), borderType=cv2.BORDER_CONSTANT)
        ring = cv2.boxFilter(chance, -1, (2 * w + 1, 2 * h + 1), borderType=cv2.BORDER_CONSTANT)
        strength = body - 0.5 * ring
        for _ in range(PEAKS_A_SCALE):
            _, best, _, (px, py) = cv2.minMaxLoc(strength)
            if best < least:
                break
            found.append(Peak(float(best), (px + 0.5) * sx, (py + 0.5) * sy))
            cv2.rectangle(strength, (px - w, py - h), (px + w, py + h), -1, -1)
    return sorted(found, reverse=True)


def hunt(view: View, wanted: Wanted, pixels: int, tuning: Tuning) -> Hunt | None:
    """Where to look for a lost object, with a crop of `pixels` by `pixels`; None where no place is worth a look."""
    moving = moving_map(view)
    chance = chance_map(view, wanted, moving, tuning)
    places = peaks(chance, view, wanted, tuning.peak_least)
    if not places:
        return None
    x, y = places[0].x, places[0].y
    half = tuning.search_pad * max(wanted.size) / 2
    crop = Crop(x - half, y - half, 2 * half, pixels)
    return Hunt(places[0], crop, chance, moving, _body(view, wanted, moving, x, y))


def _body(view: View, wanted: Wanted, moving: F32, x: float, y: float) -> BoxXyxyPx:
    """The box that the object would have at a place of the mask grid."""
    sx, sy = view.grid.mask_per_flow
    width, height = wanted.size
    _, labels, stats, _ = cv2.connectedComponentsWithStats((moving > MOVING).astype(np.uint8), connectivity=4)
    label = int(labels[min(int(y / sy), labels.shape[0] - 1), min(int(x / sx), labels.shape[1] - 1)])
    if label:
        left, top, w, h = (int(v) for v in stats[label, :4])
        alike = all(1 / BODY_RATIO < a / b < BODY_RATIO for a, b in ((w * sx, width), (h * sy, height)))
        if alike:
            return left * sx, top * sy, (left + w) * sx, (top + h) * sy
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2
