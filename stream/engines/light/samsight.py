"""Sight with models: SAM on crops around objects, the detector for names."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from stream.engines.grid import F32, ON, U8, Patch, box_iou
from stream.engines.light.appearance import look_at
from stream.engines.light.crops import MASK_STEP, Crop
from stream.engines.light.detector import Detector
from stream.engines.light.gate import Measures
from stream.engines.light.motion import off_background, stands_apart
from stream.engines.light.sam import Sam
from stream.engines.light.samcrops import LEAST_PIXELS, Seen, look, mean_under, patch_of
from stream.engines.light.samprompts import as_logits, edge_share, inner_points, obeys
from stream.engines.light.samrefresh import Refresher
from stream.engines.light.search import Hunt, hunt
from stream.engines.light.sight import Answer, Ask, Candidate, Found, Searched, Sighting, Target, View, Wanted
from stream.engines.light.tuning import Tuning
from stream.models.store import ModelStore
from stream.types import BoxXyxyPx

CLICK_SHARE = 0.45
"""Side of the crop around a click, in shares of the picture's longer side: things that people click are mostly smaller,
and in the whole picture SAM sees districts rather than things."""
LARGE_EDGE = 0.15
"""A mask that has this share of the crop's edge goes on beyond it."""
CLOSE_SHARE = 0.26
"""A clicked thing smaller than this share of the picture gets a closer look."""
INSIDE_SHARE = 0.7


class SamSight:
    """Implements `Sight`. One thread at a time."""

    def __init__(self, sam: Sam, detector: Detector, tuning: Tuning) -> None:
        self._sam = sam
        self._detector = detector
        self._tuning = tuning
        self._refresher = Refresher(sam, tuning)
        self._latest: tuple[U8, Seen] | None = None
        """The last picture and crop that were encoded: several things may be asked for in one crop."""
        self._glanced: tuple[View, Ask, Answer | None] | None = None
        """What the last clicks seemed to mean at first sight."""

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
            area, pad = (ask.region, 1.0) if ask.region else (ask.box, self._tuning.pad)
            seen = self._shared(view, Crop.around(area, pad, self._sam.side))
            logits, quality = self._decode(seen, ask.points, ask.box)
            return self._answer(view, seen, logits[0], float(quality[0]))
        return self._clicked(view, ask)

    def _shared(self, view: View, crop: Crop) -> Seen:
        """A look that several asks of one picture share."""
        if self._latest is None or self._latest[0] is not view.picture or self._latest[1].crop != crop:
            self._latest = view.picture, look(self._sam, view, crop)
        return self._latest[1]

    def _given(self, view: View, mask: Patch) -> Answer | None:
        """A mask that the user gave is taken as it is."""
        box = mask.box()
        if box is None:
            return None
        seen = look(self._sam, view, Crop.around(box, self._tuning.pad, self._sam.side))
        on = (seen.crop.mask_in(mask) >= 128).astype(np.uint8)
        return Answer(mask, look_at(seen.image, on, seen.embedding), 1.0)

    def _refined(self, view: View, ask: Ask, mask: Patch) -> Answer | None:
        """A mask changed by clicks: the old one is a prompt too, but not its box, which clicks may lie outside of."""
        box = mask.box()
        if box is None:
            return None
        xs, ys = [p[0] for p in ask.points], [p[1] for p in ask.points]
        around = min(box[0], *xs), min(box[1], *ys), max(box[2], *xs), max(box[3], *ys)
        seen = look(self._sam, view, Crop.around(around, self._tuning.pad, self._sam.side))
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

    def glance(self, view: View, ask: Ask) -> Answer | None:
        if ask.mask is not None or ask.box is not None:
            return None
        self._glanced = view, ask, self._around_clicks(view, ask)
        return self._glanced[2]

    def _clicked(self, view: View, ask: Ask) -> Answer | None:
        part = self._part(view, ask)
        whole = self._whole_thing(view, ask) if ask.look_for_whole else None
        if whole is None or (part is not None and not _belong_together(part.patch, whole[0].patch, ask)):
            return part
        answer, detection = whole
        part_box = part.patch.box() if part else None
        if part is None or part_box is None or box_iou(part_box, detection.box) > self._tuning.whole_iou:
            return answer
        return Answer(answer.patch, answer.look, answer.quality, detection.label, detection.box, part_box)

    def _part(self, view: View, ask: Ask) -> Answer | None:
        """What SAM takes the clicks to mean: a look at their surroundings, and a closer one at what that found."""
        glanced, self._glanced = self._glanced, None
        known = glanced is not None and glanced[0] is view and glanced[1] is ask
        answer = glanced[2] if glanced is not None and known else self._around_clicks(view, ask)
        box = answer.patch.box() if answer else None
        if box is None or max(box[2] - box[0], box[3] - box[1]) > CLOSE_SHARE * max(view.grid.mask):
            return answer
        closer = look(self._sam, view, Crop.around(box, self._tuning.pad, self._sam.side))
        more, expected = self._decode(closer, ask.points, box)
        return self._answer(view, closer, more[0], float(expected[0])) or answer

    def _around_clicks(self, view: View, ask: Ask) -> Answer | None:
        xs, ys = [p[0] for p in ask.points], [p[1] for p in ask.points]
        around = min(xs), min(ys), max(xs), max(ys)
        side = max(
            CLICK_SHARE * max(view.grid.mask), self._tuning.pad * max(around[2] - around[0], around[3] - around[1])
        )
        crop = Crop((around[0] + around[2] - side) / 2, (around[1] + around[3] - side) / 2, side, self._sam.side)
        seen = look(self._sam, view, crop)
        logits, quality = self._most_like_a_thing(view, seen, ask)
        if edge_share(logits) > LARGE_EDGE:
            seen = look(self._sam, view, Crop.whole(view.grid, self._sam.side))
            logits, quality = self._most_like_a_thing(view, seen, ask)
        return self._answer(view, seen, logits, quality)

    def _most_like_a_thing(self, view: View, seen: Seen, ask: Ask) -> tuple[F32, float]:
        """Of SAM's four masks for clicks, the one that is most a thing of its own: expected to be right, of other
        colours than what is around it, and moving by itself."""
        logits, quality = self._decode(seen, ask.points, None)
        points = [seen.crop.point_in(x, y) for x, y, _ in ask.points]
        labels = [int(positive) for _, _, positive in ask.points]
        best, most = 0, -np.inf
        for k, one in enumerate(logits):
            on = (one > 0).astype(np.uint8)
            if int(on.sum()) < LEAST_PIXELS:
                continue
            there = look_at(seen.image, on)
            alike = float(np.sqrt(there.colour * there.around).sum())
            worth = float(quality[k]) - 0.1 * alike + self._tuning.apart_weight * _apart(view, seen, one)
            worth -= 0.0 if obeys(one, points, labels) else 1.0
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
        seen = look(self._sam, view, Crop.around(found.box, self._tuning.pad, self._sam.side))
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
        detected = targets[0].detected
        astray = detected is not None and box_iou(box, detected) < self._tuning.astray_iou
        around = detected if detected is not None and astray else _around(box, targets[0].whole)
        seen = look(self._sam, view, Crop.around(around, pad, self._sam.side))
        apart = None if view.flow is None else off_background(view.grid.flow_xy(), view.flow.whole())
        out = {}
        for target in targets:
            sighting = self._refresher.refresh(view, seen, target, apart)
            if sighting is not None:
                out[target.id] = sighting
        return out

    # --- lost objects

    def search(self, view: View, wanted: Sequence[Wanted]) -> Searched | None:
        first = wanted[0]
        where = hunt(view, first, self._sam.side, self._tuning)
        if where is None:
            return None
        seen = look(self._sam, view, where.crop)
        point = _likely_point(view, where)
        logits, quality = self._sam.decode(seen.embedding, [point], [1])
        boxed, boxed_quality = self._sam.decode(seen.embedding, [], [], seen.crop.box_in(where.body))
        logits, quality = np.concatenate((logits[1:], boxed[:1])), np.concatenate((quality[1:], boxed_quality[:1]))
        candidates = []
        for one, expected in zip(logits, quality, strict=True):
            on = (one > 0).astype(np.uint8)
            if int(on.sum()) < LEAST_PIXELS:
                continue
            patch = patch_of(view.grid, seen.crop, one)
            there, area = look_at(seen.image, on, seen.embedding), patch.area()
            moving = mean_under(patch, where.moving, view.grid)
            measures = {
                lost.id: Measures(
                    1.0, float(expected), area / max(1.0, lost.area), lost.memory.similarity(there), moving=moving
                )
                for lost in wanted
            }
            candidates.append(Candidate(patch, there, measures))
        # part, middle and whole are one candidate: the one that the lost object looks most like
        candidates.sort(key=lambda c: -_return_score(c.measures[first.id]))
        return Searched((where.place.x, where.place.y), candidates[:1])

    # --- SAM

    def _decode(
        self, seen: Seen, points: Sequence[tuple[float, float, bool]], box: BoxXyxyPx | None
    ) -> tuple[F32, F32]:
        places = [seen.crop.point_in(x, y) for x, y, _ in points]
        labels = [int(positive) for _, _, positive in points]
        return self._sam.decode(seen.embedding, places, labels, seen.crop.box_in(box) if box else None)

    def _answer(self, view: View, seen: Seen, logits: F32, quality: float) -> Answer | None:
        on = (logits > 0).astype(np.uint8)
        if int(on.sum()) < LEAST_PIXELS:
            return None
        return Answer(patch_of(view.grid, seen.crop, logits), look_at(seen.image, on, seen.embedding), quality)


def _belong_together(part: Patch, whole: Patch, ask: Ask) -> bool:
    """Whether what was clicked is a part of a detected object, or SAM's mask for the click takes in that object and
    more: the object's mask has the clicks, and one of the two masks most of the other."""
    on = whole.cut(part.window) >= ON
    inside = int((on & (part.data >= ON)).sum())
    clicks = [whole.cut((int(x), int(y), int(x) + 1, int(y) + 1)) for x, y, positive in ask.points if positive]
    return all(int(c[0, 0]) >= ON for c in clicks) and inside > INSIDE_SHARE * max(1, min(part.area(), whole.area()))


def _apart(view: View, seen: Seen, logits: F32) -> float:
    """How much SAM's mask moves as one thing, apart from what is around it."""
    if view.flow is None:
        return 0.0
    x0, y0, x1, y1 = window = seen.crop.flow_window(view.grid)
    on = (seen.crop.mask_out(logits, view.grid).small(view.grid)[y0:y1, x0:x1] >= ON).astype(np.uint8)
    return stands_apart(on, view.grid.flow_xy()[y0:y1, x0:x1], view.flow.within(window))


def _likely_point(view: View, where: Hunt) -> tuple[float, float]:
    """The place in the crop, near its middle, that has most of the chance around it, in pixels of the crop."""
    whole = cv2.resize(where.chance * np.float32(255), view.grid.mask, interpolation=cv2.INTER_LINEAR)
    odds = where.crop.mask_in(Patch(0, 0, whole.astype(np.uint8))).astype(np.float32)
    likely = np.asarray(cv2.blur(odds, (9, 9)), np.float32)
    across = np.linspace(-1, 1, likely.shape[0], dtype=np.float32)
    likely = likely * np.exp(-1.5 * (across**2 + across[:, None] ** 2))
    y, x = np.unravel_index(int(likely.argmax()), likely.shape)
    return float(x) * MASK_STEP + MASK_STEP / 2, float(y) * MASK_STEP + MASK_STEP / 2


def _around(box: BoxXyxyPx, whole: BoxXyxyPx | None) -> BoxXyxyPx:
    if whole is None:
        return box
    return min(box[0], whole[0]), min(box[1], whole[1]), max(box[2], whole[2]), max(box[3], whole[3])


def _return_score(m: Measures) -> float:
    size = abs(float(np.log(max(m.area, 1e-3))))
    return m.similarity.look + 0.2 * m.quality - 0.3 * size
