"""Refreshes: the mask of a followed object looked at anew, among what SAM offers for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from stream.engines.grid import F32, ON, U8, box_iou
from stream.engines.light.appearance import Look, Similarity, histogram, look_at
from stream.engines.light.crops import MASK_STEP
from stream.engines.light.gate import Measures
from stream.engines.light.hiding import seen_part
from stream.engines.light.motion import by_itself
from stream.engines.light.sam import Sam
from stream.engines.light.samcrops import LEAST_PIXELS, Seen, mean_under, patch_of
from stream.engines.light.samprompts import (
    Prompted,
    as_logits,
    foreign_part,
    grown,
    low_box,
    missing_place,
    overlap,
    prompts_of,
    share_of,
    strange_islands,
)
from stream.engines.light.samwhole import Company, company, largest_whole, moves_beside, prompts_for_more
from stream.engines.light.sight import More, Sighting, Target, View
from stream.engines.light.tuning import Tuning
from stream.types import BoxXyxyPx

LEAST_FIT = 0.2
TOUCH_REACH = 9
"""Pixels of the mask grid of a crop within which another object touches."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One of SAM's masks: logits and `on` (0/1) on the crop's mask grid, and how it compares with what was before."""

    logits: F32
    on: U8
    quality: float
    look: Look
    similarity: Similarity
    fit: float
    score: float
    intrusion: float


@dataclass(frozen=True, slots=True)
class Before:
    """What is known before SAM is asked, 0/1 on the crop's mask grid: the carried mask `on`, what is `foreign` to it,
    what moves otherwise or along with it, and what is shown as another's."""

    on: U8
    foreign: U8
    company: Company
    others: U8


class Refresher:
    """Chooses among SAM's masks for objects that are followed."""

    def __init__(self, sam: Sam, tuning: Tuning) -> None:
        self._sam = sam
        self._tuning = tuning

    def refresh(self, view: View, seen: Seen, target: Target, apart: F32 | None) -> Sighting | None:
        """The new mask of `target` in the crop `seen`; None where there is nothing to ask with. `apart`: how far the
        picture's flow is off the background's, in pixels of the flow grid, where there is one."""
        others = [seen.crop.mask_in(patch) for i, patch in view.shown.items() if i != target.id]
        low = seen.crop.mask_in(target.patch)
        shown = foreign_part(others, np.zeros_like(low))
        low = seen_part(low, shown)
        before = (low >= 128).astype(np.uint8)
        own = view.shown.get(target.id, target.patch)
        foreign = foreign_part(others, (seen.crop.mask_in(own) >= ON).astype(np.uint8))
        known = Before(before, foreign, company(view, seen, target, apart), shown)
        prompted = prompts_of(low, others)
        if prompted is None:
            return None
        shrunk = False
        if target.detected is not None:
            detected = seen.crop.box_in(target.detected)
            if box_iou(prompted.box, detected) < self._tuning.astray_iou:
                return self._corrected(view, seen, detected, target)
            shrunk = box_iou(prompted.box, detected) < self._tuning.part_iou
            if shrunk:
                prompted = Prompted(prompted.points, prompted.labels, detected)
        # the old mask is no prompt, since it would lock in its own leaks and losses, except where a neighbour touches:
        # there it keeps the two apart
        reach = np.ones((TOUCH_REACH, TOUCH_REACH), np.uint8)
        touched = bool(cv2.bitwise_and(cv2.dilate(foreign, reach), before).any()) and not shrunk
        best = self._best(seen, prompted, prompted.box, as_logits(low) if touched else None, known, target)
        if best.similarity.look < self._tuning.doubtful_look and not shrunk:
            again = self._best(seen, prompted, grown(prompted.box), as_logits(low), known, target)
            best = again if again.score > best.score else best
        best = self._whole_again(seen, prompted, best, known, target) or best
        best = self._together_again(seen, prompted, best, known, target) or best
        best = self._with_other_part(seen, prompted, best, known, target) or best
        whole, more = self._moving_whole(seen, prompted, best, known, target)
        if whole is not None and (target.agreed or 0) + 1 >= self._tuning.more_looks:
            return self._renewed(view, seen, whole, target)
        area = float(best.on.sum() + 1) / float(before.sum() + 1)
        fit = max(best.fit, box_iou(low_box(best.on), prompted.box)) if shrunk else best.fit
        there = seen.crop.mask_out(best.logits, view.grid)
        share = None if apart is None else mean_under(there, by_itself(apart), view.grid)
        measures = Measures(fit, best.quality, area, best.similarity, best.intrusion, share)
        colours = (target.memory.first, target.memory.recent)
        strange = strange_islands(best.on, seen.image, colours, self._tuning.island_colour)
        logits = np.where(strange > 0, np.float32(-1), best.logits).astype(np.float32)
        return Sighting(patch_of(view.grid, seen.crop, logits), best.look, measures, more)

    def _moving_whole(
        self, seen: Seen, prompted: Prompted, best: Choice, known: Before, target: Target
    ) -> tuple[tuple[F32, float] | None, More]:
        """A mask of more than what was known of the object, where that may be learnt and the mask is no doubt the
        object's, not a part of it, for which what is remembered must not be given up."""
        t, usual, size = self._tuning, self._usual(seen, target), float(best.on.sum())
        sure = best.similarity.look > t.same_look and best.fit > t.gate_iou and size > t.shrunk * usual
        beside = moves_beside(best.on, known.others, known.company, t) if target.agreed is not None and sure else None
        if beside is None:
            return None, More.NOTHING if sure else More.UNKNOWN
        limit = seen.crop.box_in(target.limit) if target.limit is not None else None
        offers = self._offers(seen, prompted, beside)
        whole = largest_whole(offers, best.on, t.more_most * size, known.others, known.company, limit, t)
        if whole is not None and float((whole[0] > 0).sum()) < (1 + t.more_least) * usual:
            whole = None
        return whole, More.UNKNOWN if whole is None else More.SEEN

    def _offers(self, seen: Seen, prompted: Prompted, beside: U8) -> Iterator[tuple[F32, float]]:
        for asked, boxed in prompts_for_more(prompted, beside):
            logits, quality = self._sam.decode(seen.embedding, asked.points, asked.labels, asked.box if boxed else None)
            yield from zip(logits, (float(q) for q in quality), strict=True)

    def _renewed(self, view: View, seen: Seen, whole: tuple[F32, float], target: Target) -> Sighting:
        """The whole of what was known in part, which changes what the object looks like."""
        logits, quality = whole
        there = look_at(seen.image, (logits > 0).astype(np.uint8), seen.embedding)
        measures = Measures(1.0, quality, 1.0, target.memory.similarity(there))
        return Sighting(patch_of(view.grid, seen.crop, logits), there, measures, More.TAKEN)

    def _corrected(self, view: View, seen: Seen, box: BoxXyxyPx, target: Target) -> Sighting:
        """The mask for the detector's box where the carried one lies elsewhere. Nothing that is carried is a prompt or
        counts as another's: where two crossed, each may lie on the other."""
        logits, quality = self._sam.decode(seen.embedding, [], [], box)
        on = (logits[0] > 0).astype(np.uint8)
        there = look_at(seen.image, on, seen.embedding)
        area = float(on.sum() + 1) / (self._usual(seen, target) + 1)
        measures = Measures(box_iou(low_box(on), box), float(quality[0]), area, target.memory.similarity(there))
        return Sighting(patch_of(view.grid, seen.crop, logits[0]), there, measures)

    def _usual(self, seen: Seen, target: Target) -> float:
        """The remembered area in pixels of the crop's mask grid."""
        return target.area * (seen.crop.scale / MASK_STEP) ** 2

    def _whole_again(
        self, seen: Seen, prompted: Prompted, part: Choice, known: Before, target: Target
    ) -> Choice | None:
        """The whole object where a refresh has shrunk to a part of it: asked for by points alone and by the box that
        the whole would have, since the old mask and its box would lock it in. None where nothing larger looks like
        the object."""
        usual, size = self._usual(seen, target), float(part.on.sum())
        if size > self._tuning.shrunk * usual or size < LEAST_PIXELS:
            return None
        boxes: list[BoxXyxyPx | None] = [None]
        if target.whole is not None:
            boxes.append(seen.crop.box_in(target.whole))
        found: Choice | None = None
        for box in boxes:
            logits, quality = self._sam.decode(seen.embedding, prompted.points, prompted.labels, box)
            for one, expected in zip(logits, quality, strict=True):
                larger = self._larger(seen, one, float(expected), part, known, target, box)
                if larger is not None and (found is None or larger.score > found.score):
                    found = larger
        return found

    def _together_again(
        self, seen: Seen, prompted: Prompted, part: Choice, known: Before, target: Target
    ) -> Choice | None:
        """The whole of what was left of an object where something hid it: the rest moves along, and with it the object
        looks more as it is remembered, or about as much where it has shrunk."""
        t, usual, size = self._tuning, self._usual(seen, target), float(part.on.sum())
        if target.detected is not None or part.similarity.look < t.same_look or part.fit < t.gate_iou:
            return None
        beside = moves_beside(part.on, known.others, known.company, t)
        if beside is None:
            return None
        offers = self._offers(seen, prompted, beside)
        whole = largest_whole(offers, part.on, t.more_most * size, known.others, known.company, None, t)
        if whole is None:
            return None
        on = (whole[0] > 0).astype(np.uint8)
        look = look_at(seen.image, on, seen.embedding)
        similarity = target.memory.similarity(look)
        shrunk = size < t.shrunk * usual and on.sum() < t.whole_most * usual
        if similarity.look < part.similarity.look + (-t.whole_look if shrunk else t.whole_gain):
            return None
        fit = max(overlap(on, known.on), overlap(on, part.on))
        return Choice(whole[0], on, whole[1], look, similarity, fit, similarity.look, share_of(on, known.foreign))

    def _with_other_part(
        self, seen: Seen, prompted: Prompted, part: Choice, known: Before, target: Target
    ) -> Choice | None:
        """A part with the one beyond what covers the object's middle, which SAM sees as two things. None where nothing
        within the box of the whole has the object's colours, or where the detector says what the whole is."""
        t, usual = self._tuning, self._usual(seen, target)
        if target.whole is None or target.detected is not None or float(part.on.sum()) > t.shrunk * usual:
            return None
        box = seen.crop.box_in(target.whole)
        near = np.asarray(cv2.dilate(part.on, np.ones((3, 3), np.uint8)), np.uint8)
        place = missing_place(seen.image, target.memory, box, near | known.others, t.part_least * usual)
        if place is None:
            return None
        away = [p for p, label in zip(prompted.points, prompted.labels, strict=True) if not label]
        logits, quality = self._sam.decode(seen.embedding, [place, *away], [1, *[0] * len(away)])
        found: Choice | None = None
        for one, expected in zip(logits, quality, strict=True):
            both = self._joined(seen, one, float(expected), part, known, target, box)
            if both is not None and (found is None or both.score > found.score):
                found = both
        return found

    def _joined(
        self, seen: Seen, logits: F32, quality: float, part: Choice, known: Before, target: Target, box: BoxXyxyPx
    ) -> Choice | None:
        """A part and one of SAM's masks for another part, where both may be of one object: what covers it touches
        both, and together they look more like it."""
        t = self._tuning
        more = (logits > 0).astype(np.uint8)
        on = more | part.on
        added = more & (1 - part.on)
        if (
            quality < t.whole_quality
            or added.sum() < LEAST_PIXELS
            or on.sum() > t.whole_most * self._usual(seen, target)
        ):
            return None
        within = box_iou(low_box(on), box)
        between = cv2.dilate(known.others, np.ones((5, 5), np.uint8))
        covered = all(bool(cv2.bitwise_and(between, piece).any()) for piece in (added, part.on))
        if within < t.gate_iou or not covered or share_of(added, known.others) > t.learn_intrusion:
            return None
        own = float(np.sqrt(histogram(seen.image, added) * target.memory.first).sum())
        look = look_at(seen.image, on, seen.embedding)
        similarity = target.memory.similarity(look)
        if own < t.whole_own or similarity.look < part.similarity.look:
            return None
        joined = np.maximum(logits, part.logits)
        return Choice(joined, on, part.quality, look, similarity, within, similarity.look + within, part.intrusion)

    def _larger(
        self,
        seen: Seen,
        logits: F32,
        quality: float,
        part: Choice,
        known: Before,
        target: Target,
        box: BoxXyxyPx | None,
    ) -> Choice | None:
        """One of SAM's masks, where it may be the whole of what `part` is of."""
        t = self._tuning
        usual, size = self._usual(seen, target), float(part.on.sum())
        on = (logits > 0).astype(np.uint8)
        if not (quality > t.whole_quality and size < on.sum() < t.whole_most * usual):
            return None
        intrusion = share_of(on, known.foreign)
        fills = box is not None and box_iou(low_box(on), box) > t.whole_fills
        if intrusion > (t.whole_intrusion if fills else t.learn_intrusion):
            return None
        if float((on & part.on).sum()) < t.whole_contains * size:
            return None
        look = look_at(seen.image, on, seen.embedding)
        similarity = target.memory.similarity(look)
        if similarity.look < part.similarity.look - t.whole_look:
            return None
        added = on & (1 - part.on)
        if share_of(added, known.company.strays) > t.whole_strays:
            return None
        added_colours = histogram(seen.image, added)
        own = float(np.sqrt(added_colours * target.memory.first).sum())
        if own < t.whole_own and similarity.look < part.similarity.look:
            return None
        fit = overlap(on, part.on)
        if fills and box is not None:
            # it is where the whole was expected, and what it takes back was its own
            fit, intrusion = max(fit, box_iou(low_box(on), box)), min(intrusion, t.learn_intrusion + 0.01)
        return Choice(logits, on, quality, look, similarity, fit, similarity.look, intrusion)

    def _best(
        self, seen: Seen, prompted: Prompted, box: BoxXyxyPx, low: F32 | None, known: Before, target: Target
    ) -> Choice:
        """Of SAM's four masks, the one that fits the carried mask and looks like the object."""
        logits, quality = self._sam.decode(seen.embedding, prompted.points, prompted.labels, box, low)
        usual = self._usual(seen, target)
        best: Choice | None = None
        for one, expected in zip(logits, quality, strict=True):
            on = (one > 0).astype(np.uint8)
            fit = overlap(on, known.on)
            if fit < LEAST_FIT and best is not None:
                continue
            look = look_at(seen.image, on, seen.embedding)
            similarity = target.memory.similarity(look)
            change = abs(float(np.log((on.sum() + 1) / (known.on.sum() + 1))))
            excess = max(0.0, float(np.log((on.sum() + 1) / (usual + 1))))
            intrusion = share_of(on, known.foreign)
            score = fit + 0.3 * float(expected) + 0.8 * similarity.look - 0.1 * change - 0.3 * excess - intrusion
            score -= self._tuning.odd_weight * max(0.0, self._tuning.odd_look - similarity.look)
            score -= self._tuning.stray_weight * share_of(on, known.company.strays & (1 - known.on))
            if best is None or score > best.score:
                best = Choice(one, on, float(expected), look, similarity, fit, score, intrusion)
        assert best is not None
        return best
