"""Where a lost object may be: peaks of its colours in the picture."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from stream.engines.light.appearance import colour_bins, histogram
from stream.engines.light.crops import Crop
from stream.engines.light.grid import F32
from stream.engines.light.sight import View, Wanted
from stream.engines.light.tuning import Tuning

BODY_SCALES = (0.75, 1.1)
PEAKS_A_SCALE = 2
COLOUR_FLOOR = 0.3


class Peak(NamedTuple):
    """`strength`, and the place on the mask grid."""

    strength: float
    x: float
    y: float


def colour_map(view: View, wanted: Wanted) -> F32:
    """`(512,)` float32: how much each colour speaks for the object in this picture."""
    everywhere = histogram(view.small)
    own = wanted.memory.first + wanted.memory.recent
    odds: F32 = own / (own + 2 * everywhere + np.float32(1e-5))
    return odds


def peaks(view: View, wanted: Wanted, least: float) -> list[Peak]:
    """Places that have the object's colours in about its size, best first, away from what is followed already.

    A box of the object's size minus half the ring around it (so that large areas of one colour do not win), weighed by
    the distance from the expected place.
    """
    odds = colour_map(view, wanted)
    chance = np.maximum(0, odds[colour_bins(view.small)] - np.float32(COLOUR_FLOOR)).astype(np.float32)
    for patch in view.masks.values():
        chance[patch.small(view.grid) > 100] = 0
    sx, sy = view.grid.mask_per_flow
    height, width = chance.shape
    x = np.arange(width, dtype=np.float32) - wanted.expected[0] / sx
    y = np.arange(height, dtype=np.float32)[:, None] - wanted.expected[1] / sy
    reach = max(1.0, wanted.reach / sx)
    chance *= np.exp(-(x * x + y * y) / (2 * reach * reach))
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
    return _apart(sorted(found, reverse=True), wanted)


def _apart(found: list[Peak], wanted: Wanted) -> list[Peak]:
    """Without those within half an object of a better one."""
    kept: list[Peak] = []
    for peak in found:
        dx, dy = wanted.size[0] / 2, wanted.size[1] / 2
        if not any(abs(peak.x - other.x) < dx and abs(peak.y - other.y) < dy for other in kept):
            kept.append(peak)
    return kept


def search_crop(view: View, wanted: Wanted, pixels: int, tuning: Tuning) -> Crop | None:
    """Where to look for a lost object, as a square of `pixels` by `pixels`: its two likeliest places in turn, one a
    search; None where nothing looks like it."""
    places = peaks(view, wanted, tuning.peak_least)[:2]
    if not places:
        return None
    place = places[wanted.searches % len(places)]
    half = tuning.search_pad * max(wanted.size) / 2
    return Crop(place.x - half, place.y - half, 2 * half, pixels)
