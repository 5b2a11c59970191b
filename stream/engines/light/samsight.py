"""Sight with models: SAM on crops around objects, the detector for names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from kernels import cpu
from stream.engines.light.appearance import Look, Similarity, colour_bins, look_at
from stream.engines.light.crops import MASK_STEP, Crop
from stream.engines.light.detector import Detector
from stream.engines.light.gate import Measures
from stream.engines.light.grid import F32, ON, U8, Grid, Patch, box_iou
from stream.engines.light.sam import Sam
from stream.engines.light.samprompts import (
    Prompted,
    as_logits,
    edge_share,
    foreign_part,
    grown,
    inner_points,
    low_box,
    obeys,
    prompts_of,
    share_of,
)
from stream.engines.light.search import colour_map, peaks
from stream.engines.light.sight import Answer, Ask, Candidate, Found, Sighting, Target, View, Wanted
from stream.engines.light.tuning import Tuning
from stream.models.store import ModelStore
from stream.types import BoxXyxyPx

LEAST_PIXELS = 8
CLICK_SHARE = 0.45
"""Side of the crop around a click, in shares of the picture's longer side: things that people click are mostly smaller,
and in the whole picture SAM sees districts rather than things."""
LARGE_EDGE = 0.15
"""A mask that has this share of the crop's edge goes on beyond it."""
CLOSE_SHARE = 0.26
"""A clicked thing smaller than this share of the picture gets a closer look."""
LEAST_FIT = 0.2
TOUCH_REACH = 9
"""Pixels of the mask grid of a crop within which another object touches."""
INSIDE_SHARE = 0.7


@dataclass(frozen=True, slots=True)
class Seen:
    """One crop, encoded. `image` is at the size of SAM's masks."""

    crop: Crop
    image: U8
    embedding: F32


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


class SamSight:
    """Implements `Sight`. One thread at a time."""

    def __init__(self, sam: Sam, detector: Detector, tuning: Tuning) -> None:
        self._sam = sam
        self._detector = detector
        self._tuning = tuning

    @staticmethod
    def load(models: ModelStore, tuning: Tuning) -> SamSight:
        """Raises `ModelMissing`."""
        return SamSight(Sam.load(models), Detector.load(models), tuning)

    def detect(self, view: View, labels: frozenset[str]) -> list[Found]:
        return [f for f in self._detections(view, self._tuning.match_least) if f.label in labels]

    def _detections(self, view: View, least: float) -> list[Found]:
        height, width = view.picture.shape[:2]
        sx, sy = view.grid.mask[0] / width, view.grid.mask[1] / height
        found = []
        for seen in self._detector(view.picture, least):
            x0, y0, x1, y1 = seen.box_xyxy_px
            found.append(Found(seen.label, seen.score, (x0 * sx, y0 * sy, x1 * sx, y1 * sy)))
        return found

    # --- a first mask

    def first(self, view: View, ask: Ask) -> Answer | None:
        if ask.mask is not None:
            return self._refined(view, ask, ask.mask) if ask.points else self._given(view, ask.mask)
        if ask.box is not None:
            seen = self._look(view, Crop.around(ask.box, self._tuning.pad, self._sam.side))
            logits, quality = self._decode(seen, ask.points, ask.box)
            return self._answer(view, seen, logits[0], float(quality[0]))
        return self._clicked(view, ask)

    def _given(self, view: View, mask: Patch) -> Answer | None:
        """A mask that the user gave is taken as it is."""
        box = mask.box()
        if box is None:
            return None
        seen = self._look(view, Crop.around(box, self._tuning.pad, self._sam.side))
        on = (seen.crop.mask_in(mask) >= 128).astype(np.uint8)
        return Answer(mask, look_at(seen.image, on, seen.embedding), 1.0)

    def _refined(self, view: View, ask: Ask, mask: Patch) -> Answer | None:
        """A mask changed by clicks: the old one is a prompt too, but not its box, which clicks may lie outside of."""
        box = mask.box()
        if box is None:
            return None
        xs, ys = [p[0] for p in ask.points], [p[1] for p in ask.points]
        around = min(box[0], *xs), min(box[1], *ys), max(box[2], *xs), max(box[3], *ys)
        seen = self._look(view, Crop.around(around, self._tuning.pad, self._sam.side))
        low = seen.crop.mask_in(mask)
        inner = inner_points(low, 1)
        points = [seen.crop.point_in(x, y) for x, y, _ in ask.points]
        labels = [int(positive) for _, _, positive in ask.points]
        clear = [p for p in inner if all(np.hypot(p[0] - q[0], p[1] - q[1]) > 24 for q in points)]
        logits, quality = self._sam.decode(
            seen.embedding, [*points, *clear], [*labels, *[1] * len(clear)], None, as_logits(low)
        )
        order = np.argsort(-quality)
        best = next((int(i) for i in order if obeys(logits[i], points, labels)), 0)
        return self._answer(view, seen, logits[best], float(quality[best]))

    def _clicked(self, view: View, ask: Ask) -> Answer | None:
        part = self._part(view, ask)
        whole = self._whole_thing(view, ask) if ask.look_for_whole else None
        if whole is None or (part is not None and not _is_part(part.patch, whole[0].patch, ask)):
            return part
        answer, detection = whole
        part_box = part.patch.box() if part else None
        if part is None or part_box is None or box_iou(part_box, detection.box) > self._tuning.whole_iou:
            return answer
        return Answer(answer.patch, answer.look, answer.quality, detection.label, detection.box, part_box)

    def _part(self, view: View, ask: Ask) -> Answer | None:
        """What SAM takes the clicks to mean: a look at their surroundings, and a closer one at what that found."""
        xs, ys = [p[0] for p in ask.points], [p[1] for p in ask.points]
        around = min(xs), min(ys), max(xs), max(ys)
        longest = max(view.grid.mask)
        side = max(CLICK_SHARE * longest, self._tuning.pad * max(around[2] - around[0], around[3] - around[1]))
        crop = Crop((around[0] + around[2] - side) / 2, (around[1] + around[3] - side) / 2, side, self._sam.side)
        seen = self._look(view, crop)
        logits, quality = self._most_like_a_thing(seen, ask)
        if edge_share(logits) > LARGE_EDGE:
            seen = self._look(view, Crop.whole(view.grid, self._sam.side))
            logits, quality = self._most_like_a_thing(seen, ask)
        answer = self._answer(view, seen, logits, quality)
        box = answer.patch.box() if answer else None
        if box is None or max(box[2] - box[0], box[3] - box[1]) > CLOSE_SHARE * longest:
            return answer
        closer = self._look(view, Crop.around(box, self._tuning.pad, self._sam.side))
        more, expected = self._decode(closer, ask.points, box)
        return self._answer(view, closer, more[0], float(expected[0])) or answer

    def _most_like_a_thing(self, seen: Seen, ask: Ask) -> tuple[F32, float]:
        """Of SAM's four masks for clicks, the one that is most a thing of its own: expected to be right, and of other
        colours than what is around it."""
        logits, quality = self._decode(seen, ask.points, None)
        points = [seen.crop.point_in(x, y) for x, y, _ in ask.points]
        labels = [int(positive) for _, _, positive in ask.points]
        best, most = 0, -np.inf
        for k, one in enumerate(logits):
            on = (one > 0).astype(np.uint8)
            if int(on.sum()) < LEAST_PIXELS:
                continue
            look = look_at(seen.image, on)
            alike = float(np.sqrt(look.colour * look.around).sum())
            worth = float(quality[k]) - 0.1 * alike - (0.0 if obeys(one, points, labels) else 1.0)
            if worth > most:
                best, most = k, worth
        return logits[best], float(quality[best])

    def _whole_thing(self, view: View, ask: Ask) -> tuple[Answer, Found] | None:
        """The detected object that the clicks lie in, where SAM's mask for its box fills the box well."""
        inside = [(x, y) for x, y, positive in ask.points if positive]
        around = [
            f
            for f in self._detections(view, self._tuning.detect_least)
            if all(f.box[0] <= x < f.box[2] and f.box[1] <= y < f.box[3] for x, y in inside)
        ]
        if not around:
            return None
        found = min(around, key=lambda f: (f.box[2] - f.box[0]) * (f.box[3] - f.box[1]))
        seen = self._look(view, Crop.around(found.box, self._tuning.pad, self._sam.side))
        logits, quality = self._decode(seen, ask.points, found.box)
        answer = self._answer(view, seen, logits[0], float(quality[0]))
        box = answer.patch.box() if answer else None
        if answer is None or box is None or box_iou(box, found.box) < self._tuning.whole_iou:
            return None
        return Answer(answer.patch, answer.look, answer.quality, found.label), found

    # --- refreshes

    def refresh(self, view: View, targets: Sequence[Target], pad: float) -> dict[int, Sighting]:
        box = targets[0].patch.box() if targets else None
        if box is None:
            return {}
        seen = self._look(view, Crop.around(box, pad, self._sam.side))
        out = {}
        for target in targets:
            sighting = self._refreshed(view, seen, target)
            if sighting is not None:
                out[target.id] = sighting
        return out

    def _refreshed(self, view: View, seen: Seen, target: Target) -> Sighting | None:
        low = seen.crop.mask_in(target.patch)
        before = (low >= 128).astype(np.uint8)
        others = [seen.crop.mask_in(patch) for i, patch in view.shown.items() if i != target.id]
        own = view.shown.get(target.id, target.patch)
        foreign = foreign_part(others, (seen.crop.mask_in(own) >= ON).astype(np.uint8))
        prompted = prompts_of(low, others)
        if prompted is None:
            return None
        shrunk = False
        if target.detected is not None:
            detected = seen.crop.box_in(target.detected)
            shrunk = box_iou(prompted.box, detected) < self._tuning.part_iou
            if shrunk:
                prompted = Prompted(prompted.points, prompted.labels, detected)
        # the old mask is no prompt, since it would lock in its own leaks and losses, except where a neighbour touches:
        # there it keeps the two apart
        reach = np.ones((TOUCH_REACH, TOUCH_REACH), np.uint8)
        touched = bool(cv2.bitwise_and(cv2.dilate(foreign, reach), before).any()) and not shrunk
        best = self._best(seen, prompted, prompted.box, as_logits(low) if touched else None, before, foreign, target)
        if best.similarity.look < self._tuning.doubtful_look and not shrunk:
            again = self._best(seen, prompted, grown(prompted.box), as_logits(low), before, foreign, target)
            best = again if again.score > best.score else best
        best = self._whole_again(seen, prompted, best, foreign, target) or best
        area = float(best.on.sum() + 1) / float(before.sum() + 1)
        fit = max(best.fit, box_iou(low_box(best.on), prompted.box)) if shrunk else best.fit
        measures = Measures(fit, best.quality, area, best.similarity, best.intrusion)
        return Sighting(self._patch(view.grid, seen.crop, best.logits), best.look, measures)

    def _whole_again(self, seen: Seen, prompted: Prompted, part: Choice, foreign: U8, target: Target) -> Choice | None:
        """The whole object where a refresh has shrunk to a part of it: prompted by points alone, since old mask and
        box would lock it in. None where nothing larger looks like the object."""
        t = self._tuning
        expected = target.area * (seen.crop.scale / MASK_STEP) ** 2
        size = float(part.on.sum())
        if size > t.shrunk * expected or size < LEAST_PIXELS:
            return None
        logits, quality = self._sam.decode(seen.embedding, prompted.points, prompted.labels)
        found: Choice | None = None
        for one, q in zip(logits, quality, strict=True):
            on = (one > 0).astype(np.uint8)
            if not (q > t.whole_quality and size < on.sum() < t.whole_most * expected):
                continue
            intrusion = share_of(on, foreign)
            if float((on & part.on).sum()) < t.whole_contains * size or intrusion > t.learn_intrusion:
                continue
            look = look_at(seen.image, on, seen.embedding)
            similarity = target.memory.similarity(look)
            if similarity.look < part.similarity.look - t.whole_look:
                continue
            if found is None or similarity.look > found.similarity.look:
                fit = float(cpu.iou(on[None], part.on[None])[0, 0])
                found = Choice(one, on, float(q), look, similarity, fit, part.score, intrusion)
        return found

    def _best(
        self, seen: Seen, prompted: Prompted, box: BoxXyxyPx, low: F32 | None, before: U8, foreign: U8, target: Target
    ) -> Choice:
        """Of SAM's four masks, the one that fits the carried mask and looks like the object."""
        logits, quality = self._sam.decode(seen.embedding, prompted.points, prompted.labels, box, low)
        usual = target.area * (seen.crop.scale / MASK_STEP) ** 2
        best: Choice | None = None
        for one, expected in zip(logits, quality, strict=True):
            on = (one > 0).astype(np.uint8)
            fit = float(cpu.iou(on[None], before[None])[0, 0])
            if fit < LEAST_FIT and best is not None:
                continue
            look = look_at(seen.image, on, seen.embedding)
            similarity = target.memory.similarity(look)
            change = abs(float(np.log((on.sum() + 1) / (before.sum() + 1))))
            excess = max(0.0, float(np.log((on.sum() + 1) / (usual + 1))))
            intrusion = share_of(on, foreign)
            score = fit + 0.3 * float(expected) + 0.8 * similarity.look - 0.1 * change - 0.3 * excess - intrusion
            if best is None or score > best.score:
                best = Choice(one, on, float(expected), look, similarity, fit, score, intrusion)
        assert best is not None
        return best

    # --- lost objects

    def search(self, view: View, wanted: Sequence[Wanted]) -> list[Candidate]:
        first = wanted[0]
        places = peaks(view, first, self._tuning.peak_least)[:2]
        if not places:
            return []
        place = places[first.searches % len(places)]
        half = self._tuning.search_pad * max(first.size) / 2
        seen = self._look(view, Crop(place.x - half, place.y - half, 2 * half, self._sam.side))
        point = self._likely_point(view, seen, first)
        logits, quality = self._sam.decode(seen.embedding, [point], [1])
        candidates = []
        for one, expected in zip(logits[1:], quality[1:], strict=True):
            on = (one > 0).astype(np.uint8)
            if int(on.sum()) < LEAST_PIXELS:
                continue
            patch = self._patch(view.grid, seen.crop, one)
            look, area = look_at(seen.image, on, seen.embedding), patch.area()
            measures = {
                lost.id: Measures(1.0, float(expected), area / max(1.0, lost.area), lost.memory.similarity(look))
                for lost in wanted
            }
            candidates.append(Candidate(patch, look, measures))
        # part, middle and whole are one candidate: the one that the lost object looks most like
        return sorted(candidates, key=lambda c: -_return_score(c.measures[first.id]))[:1]

    def _likely_point(self, view: View, seen: Seen, lost: Wanted) -> tuple[float, float]:
        """The place in the crop, near its middle, that has most of the lost object's colours around it."""
        odds = colour_map(view, lost)[colour_bins(seen.image)].astype(np.float32)
        likely = np.asarray(cv2.blur(odds, (9, 9)), np.float32)
        across = np.linspace(-1, 1, likely.shape[0], dtype=np.float32)
        likely = likely * np.exp(-1.5 * (across**2 + across[:, None] ** 2))
        y, x = np.unravel_index(int(likely.argmax()), likely.shape)
        return float(x) * MASK_STEP + MASK_STEP / 2, float(y) * MASK_STEP + MASK_STEP / 2

    # --- SAM

    def _look(self, view: View, crop: Crop) -> Seen:
        image = crop.image(view.picture, view.grid)
        size = self._sam.side // MASK_STEP
        small = np.asarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA), np.uint8)
        return Seen(crop, small, self._sam.encode(image))

    def _decode(
        self, seen: Seen, points: Sequence[tuple[float, float, bool]], box: BoxXyxyPx | None
    ) -> tuple[F32, F32]:
        places = [seen.crop.point_in(x, y) for x, y, _ in points]
        labels = [int(positive) for _, _, positive in points]
        return self._sam.decode(seen.embedding, places, labels, seen.crop.box_in(box) if box else None)

    def _patch(self, grid: Grid, crop: Crop, logits: F32) -> Patch:
        """Logits as a soft mask, without holes and specks of less than a hundredth of it."""
        on = (logits > 0).astype(np.uint8)
        small = max(2, int(on.sum()) // 100)
        tidy = cpu.clean(on, max_hole=small, max_speck=small)
        logits = np.where(tidy == on, logits, np.where(tidy > 0, 1.0, -1.0)).astype(np.float32)
        return crop.mask_out(logits, grid)

    def _answer(self, view: View, seen: Seen, logits: F32, quality: float) -> Answer | None:
        on = (logits > 0).astype(np.uint8)
        if int(on.sum()) < LEAST_PIXELS:
            return None
        return Answer(self._patch(view.grid, seen.crop, logits), look_at(seen.image, on, seen.embedding), quality)


def _is_part(part: Patch, whole: Patch, ask: Ask) -> bool:
    """Whether what was clicked belongs to a detected object: the object's mask has the clicks, and most of the part."""
    on = whole.cut(part.window) >= ON
    inside = int((on & (part.data >= ON)).sum())
    clicks = [whole.cut((int(x), int(y), int(x) + 1, int(y) + 1)) for x, y, positive in ask.points if positive]
    return all(int(c[0, 0]) >= ON for c in clicks) and inside > INSIDE_SHARE * max(1, part.area())


def _return_score(m: Measures) -> float:
    size = abs(float(np.log(max(m.area, 1e-3))))
    return m.similarity.look + 0.2 * m.quality - 0.3 * size
