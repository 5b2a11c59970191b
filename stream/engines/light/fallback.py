"""What can be followed with OpenCV alone: things that move, and regions that were pointed at."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from kernels import cpu
from stream.engines.grid import U8, Grid, Patch
from stream.engines.light.appearance import colour_bins, look_at
from stream.engines.light.crops import MASK_STEP, Crop
from stream.engines.light.gate import Measures
from stream.engines.light.search import colour_map, hunt
from stream.engines.light.sight import Answer, Ask, Candidate, Found, Searched, Sighting, Target, View, Wanted
from stream.engines.light.tuning import Tuning

MOVING = "moving"
MOVING_WORDS = frozenset({"moving", "motion", "movement", "anything that moves", "everything that moves",
                          "what moves", "moving things", "moving objects", "moving thing"})  # fmt: skip
CROP_PIXELS = 512
ROUNDS = 4
CLICK_SHARE = 0.5
"""Side of the crop around a click, in shares of the picture's longer side."""
PLAIN_QUALITY = 0.9
LEARNING_PICTURES = 200
WARM_UP_PICTURES = 12
LEAST_AREA_SHARE = 0.0015
LEAST_PIXELS = 12
FLOOD_TOLERANCE = 40


def is_moving(text: str) -> bool:
    """Whether the words ask for whatever moves."""
    return " ".join(text.casefold().replace("-", " ").split()) in MOVING_WORDS


class MovingThings:
    """Moving blobs by background subtraction (Zivkovic, "Improved Adaptive Gaussian Mixture Model for Background
    Subtraction", 2004), on the flow grid."""

    def __init__(self) -> None:
        self._model = cv2.createBackgroundSubtractorMOG2(LEARNING_PICTURES, 25, False)
        self._seen = 0

    def watch(self, small: U8, grid: Grid) -> list[Found]:
        """Take the next picture `(h, w, 3)` uint8 on the flow grid; returns what moves, on the mask grid, once the
        background is known."""
        self._seen += 1
        on = np.asarray(self._model.apply(small), np.uint8)
        if self._seen < WARM_UP_PICTURES:
            return []
        on = np.asarray(cv2.medianBlur(on, 5), np.uint8)
        joined = cv2.dilate(on, np.ones((7, 7), np.uint8))
        count, _, blobs, _ = cv2.connectedComponentsWithStats(np.asarray(joined, np.uint8), connectivity=8)
        sx, sy = grid.mask_per_flow
        found = []
        for x, y, w, h, _ in blobs[1:count].tolist():
            body = on[y : y + h, x : x + w]
            tight = cpu.box(body)
            area = int(np.count_nonzero(body))
            if tight is None or not LEAST_AREA_SHARE * on.size < area < 0.5 * on.size:
                continue
            box = (x + tight[0]) * sx, (y + tight[1]) * sy, (x + tight[2]) * sx, (y + tight[3]) * sy
            found.append(Found(MOVING, min(0.95, 0.5 + area / (2 * w * h)), box, _blob(body, x, y, grid)))
        return found


class PlainSight:
    """Masks by GrabCut (Rother, Kolmogorov, Blake, 2004) and colour, where there are no models."""

    def __init__(self, tuning: Tuning) -> None:
        self._tuning = tuning

    def detect(self, view: View, labels: frozenset[str]) -> list[Found]:
        return []

    def glance(self, view: View, ask: Ask) -> Answer | None:
        return None

    def first(self, view: View, ask: Ask) -> Answer | None:
        if ask.mask is not None:
            crop = Crop.around(ask.mask.box() or (0, 0, 1, 1), self._tuning.pad, CROP_PIXELS)
            return self._answer(view, crop, (crop.mask_in(ask.mask) >= 128).astype(np.uint8))
        if ask.box is not None:
            crop = Crop.around(ask.box, self._tuning.pad, CROP_PIXELS)
        else:
            inside = [(x, y) for x, y, positive in ask.points if positive]
            reach = CLICK_SHARE * max(view.grid.mask)
            x, y = inside[0]
            crop = Crop.around((x, y, x, y), 1.0, CROP_PIXELS)
            crop = Crop(x - reach / 2, y - reach / 2, reach, CROP_PIXELS)
        size = CROP_PIXELS // MASK_STEP
        labels = np.full((size, size), cv2.GC_PR_BGD, np.uint8)
        _mark_edges(labels, cv2.GC_BGD)
        if ask.box is not None:
            labels[:] = cv2.GC_BGD
            x0, y0, x1, y1 = (round(v / MASK_STEP) for v in crop.box_in(ask.box))
            labels[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = cv2.GC_PR_FGD
        for px, py, positive in ask.points:
            u, v = (round(value / MASK_STEP) for value in crop.point_in(px, py))
            if positive and ask.box is None:
                labels[self._flooded(view, crop, u, v) > 0] = cv2.GC_PR_FGD
            cv2.circle(labels, (u, v), 3, cv2.GC_FGD if positive else cv2.GC_BGD, -1)
        on = self._cut(view, crop, labels)
        return None if on is None else self._answer(view, crop, on)

    def refresh(self, view: View, targets: Sequence[Target], pad: float) -> dict[int, Sighting]:
        seen = {}
        for target in targets:
            box = target.patch.box()
            if box is None:
                continue
            crop = Crop.around(box, pad, CROP_PIXELS)
            before = (crop.mask_in(target.patch) >= 128).astype(np.uint8)
            labels = np.full(before.shape, cv2.GC_BGD, np.uint8)
            labels[cv2.dilate(before, np.ones((7, 7), np.uint8)) > 0] = cv2.GC_PR_BGD
            labels[before > 0] = cv2.GC_PR_FGD
            labels[cv2.erode(before, np.ones((9, 9), np.uint8)) > 0] = cv2.GC_FGD
            on = self._cut(view, crop, labels)
            if on is not None:
                seen[target.id] = self._sighting(view, crop, on, before, target)
        return seen

    def search(self, view: View, wanted: Sequence[Wanted]) -> Searched | None:
        first = wanted[0]
        where = hunt(view, first, CROP_PIXELS, self._tuning)
        if where is None:
            return None
        crop, place = where.crop, (where.place.x, where.place.y)
        size = CROP_PIXELS // MASK_STEP
        small = np.asarray(cv2.resize(crop.image(view.picture, view.grid), (size, size)), np.uint8)
        odds = cv2.blur(colour_map(view, first)[colour_bins(small)], (5, 5))
        labels = np.where(odds > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
        _mark_edges(labels, cv2.GC_BGD)
        on = self._cut(view, crop, labels)
        if on is None:
            return Searched(place, [])
        patch, look = self._patch(view, crop, on), look_at(small, on)
        area = patch.area()
        measures = {
            lost.id: Measures(1.0, PLAIN_QUALITY, area / max(lost.area, 1), lost.memory.similarity(look))
            for lost in wanted
        }
        return Searched(place, [Candidate(patch, look, measures)])

    def _flooded(self, view: View, crop: Crop, u: int, v: int) -> U8:
        """The region around a click that has its colour, 0/1 on the crop's mask grid: GrabCut needs most of a thing
        to begin with, or it takes the rest for background."""
        size = CROP_PIXELS // MASK_STEP
        image = cv2.resize(crop.image(view.picture, view.grid), (size, size), interpolation=cv2.INTER_AREA)
        image = cv2.bilateralFilter(image, 5, 40, 5)
        filled = np.zeros((size + 2, size + 2), np.uint8)
        seed = min(max(u, 0), size - 1), min(max(v, 0), size - 1)
        around = (FLOOD_TOLERANCE,) * 3
        flags = 8 | (1 << 8) | cv2.FLOODFILL_FIXED_RANGE | cv2.FLOODFILL_MASK_ONLY
        cv2.floodFill(image, filled, seed, (0, 0, 0), around, around, flags)
        return filled[1:-1, 1:-1]

    def _cut(self, view: View, crop: Crop, labels: U8) -> U8 | None:
        """GrabCut from `labels` `(n, n)`; the largest part as 0/1, None where nothing is told apart."""
        fixed = labels.copy()
        if not (_count(fixed, cv2.GC_FGD, cv2.GC_PR_FGD) and _count(fixed, cv2.GC_BGD, cv2.GC_PR_BGD)):
            return None
        size = labels.shape[0]
        image = cv2.resize(crop.image(view.picture, view.grid), (size, size), interpolation=cv2.INTER_AREA)
        background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.setRNGSeed(0)
        cv2.grabCut(image, fixed, (0, 0, 0, 0), background, foreground, ROUNDS, cv2.GC_INIT_WITH_MASK)
        on = ((fixed == cv2.GC_FGD) | (fixed == cv2.GC_PR_FGD)).astype(np.uint8)
        on = np.asarray(cv2.morphologyEx(on, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8)
        on = cpu.clean(on, max_hole=size * size // 50, max_speck=size * size)
        return on if int(on.sum()) >= LEAST_PIXELS else None

    def _patch(self, view: View, crop: Crop, on: U8) -> Patch:
        soft = cv2.GaussianBlur(on.astype(np.float32) * 8 - 4, (3, 3), 0)
        return crop.mask_out(np.asarray(soft, np.float32), view.grid)

    def _answer(self, view: View, crop: Crop, on: U8) -> Answer | None:
        size = on.shape[0]
        small = np.asarray(cv2.resize(crop.image(view.picture, view.grid), (size, size)), np.uint8)
        patch = self._patch(view, crop, on)
        return Answer(patch, look_at(small, on), PLAIN_QUALITY) if patch.box() else None

    def _sighting(self, view: View, crop: Crop, on: U8, before: U8, target: Target) -> Sighting:
        size = on.shape[0]
        small = np.asarray(cv2.resize(crop.image(view.picture, view.grid), (size, size)), np.uint8)
        look = look_at(small, on)
        fit = float(cpu.iou(on[None], before[None])[0, 0])
        area = float(on.sum()) / max(1.0, float(before.sum()))
        measures = Measures(fit, PLAIN_QUALITY, area, target.memory.similarity(look))
        return Sighting(self._patch(view, crop, on), look, measures)


def _blob(body: U8, x: int, y: int, grid: Grid) -> Patch:
    """A blob of the flow grid as a soft mask of the mask grid, closed."""
    sx, sy = grid.mask_per_flow
    closed = cv2.morphologyEx(body, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    size = max(1, round(body.shape[1] * sx)), max(1, round(body.shape[0] * sy))
    soft = cv2.resize(closed, size, interpolation=cv2.INTER_LINEAR)
    x0, y0 = min(round(x * sx), grid.mask[0] - 1), min(round(y * sy), grid.mask[1] - 1)
    return Patch(x0, y0, np.asarray(soft, np.uint8)[: grid.mask[1] - y0, : grid.mask[0] - x0])


def _mark_edges(labels: U8, value: int) -> None:
    labels[:2] = labels[-2:] = value
    labels[:, :2] = labels[:, -2:] = value


def _count(labels: U8, *values: int) -> int:
    return int(np.isin(labels, values).sum())
